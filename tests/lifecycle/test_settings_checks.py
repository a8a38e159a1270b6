"""A setting that cannot be meant so stops the start, instead of being ignored."""

import os
import subprocess
import sys

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
        ("PORT", 0),
        ("PORT", 65536),
        ("INSTANCE_TYPES", []),
        ("INSTANCE_TYPES", {"small": 1}),
        ("INSTANCE_TYPES", {"small": {"cpu": "1", "memory_bytes": 1, "timeout_seconds": 1}}),
        ("DEFAULT_INSTANCE_TYPE", "huge"),
        ("INSTANCE_TYPES", {"small": {"cpu": 1, "memory_bytes": 1}}),
        ("INSTANCE_TYPES", {"small": {"cpu": 1, "memory_bytes": 1, "timeout_seconds": 0}}),
    ],
)
def test_a_setting_that_would_be_ignored_is_refused_by_name(settings, name, value):
    setattr(settings, name, value)

    with pytest.raises(SystemCheckError, match=name):
        call_command("check")


def test_a_setting_without_effect_is_told(settings, capsys):
    settings.MLFLOW_TRACKING_URI = "http://mlflow.example.org"
    call_command("check")
    assert "MLFLOW_TRACKING_URI is set and has no effect" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "abc"), ("INSTANCE_TYPES", "{small"), ("LOG_LEVEL", "loud"), ("SERVING_SAMPLE_RATE", "half")],
)
def test_a_setting_that_cannot_be_read_ends_a_command_with_one_line(name, value, tmp_path):
    ended = subprocess.run(
        [sys.executable, "manage.py", "check"],
        env={**os.environ, "DATA_DIR": str(tmp_path), name: value},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.strip().splitlines()
    assert name in line
    assert value.lower() in line.lower()
