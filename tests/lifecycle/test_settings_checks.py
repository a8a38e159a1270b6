"""A setting that cannot be meant so stops the start, instead of being ignored."""

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError


def test_the_defaults_pass():
    call_command("check")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("APPROVAL_REQUIRED_STAGES", ["prodution"]),
        ("SERVING_BACKEND", "abacus"),
        ("SERVING_SAMPLE_RATE", 7.0),
        ("MAX_INSTANCES", 0),
        ("DEFAULT_INSTANCE_TYPE", "huge"),
        ("INSTANCE_TYPES", {"small": {"cpu": 1, "memory_bytes": 1}}),
        ("INSTANCE_TYPES", {"small": {"cpu": 1, "memory_bytes": 1, "timeout_seconds": 0}}),
    ],
)
def test_a_setting_that_would_be_ignored_is_refused_by_name(settings, name, value):
    setattr(settings, name, value)

    with pytest.raises(SystemCheckError, match=name):
        call_command("check")
