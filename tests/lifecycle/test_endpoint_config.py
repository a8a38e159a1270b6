"""What an endpoint's configuration may ask for."""

import pytest

from core.errors import Invalid
from lifecycle.endpoint_config import build, check_external_endpoint, read


def refused(asked, current=None):
    with pytest.raises(Invalid) as error:
        build(asked, current=current)
    return error.value.fields


def test_nothing_asked_means_one_small_instance():
    config = build({})
    assert (config.instances, config.instance_type, config.auto_scaling) == (1, "small", False)
    assert (config.scale.minimum, config.scale.maximum) == (1, 1)


def test_a_fixed_count_is_kept_for_minimum_and_maximum():
    scale = build({"instances": 3}).scale
    assert (scale.initial, scale.minimum, scale.maximum) == (3, 3, 3)


def test_auto_scaling_starts_at_its_minimum():
    scale = build({"auto_scaling": True, "min_instances": 2, "max_instances": 5}).scale
    assert (scale.initial, scale.minimum, scale.maximum) == (2, 2, 5)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"instances": 0}, "instances"),
        ({"instances": 1000}, "instances"),
        ({"instance_type": "huge"}, "instance_type"),
        ({"backend": "kserve"}, "backend"),
        ({"min_instances": 2}, "min_instances"),
        ({"auto_scaling": True, "instances": 2}, "instances"),
        ({"auto_scaling": True, "min_instances": 3, "max_instances": 2}, "max_instances"),
        ({"backend": "external", "instances": 2}, "instances"),
    ],
)
def test_a_field_that_would_change_nothing_or_cannot_be_is_refused(asked, field):
    assert f"endpoint_config.{field}" in refused(asked)


def test_switching_auto_scaling_off_goes_back_to_a_fixed_count():
    scaled = build({"auto_scaling": True, "min_instances": 2, "max_instances": 4})
    config = build({"auto_scaling": False, "instances": 2}, current=scaled)
    assert (config.instances, config.min_instances, config.max_instances) == (2, None, None)


def test_the_backend_of_a_deployment_is_fixed():
    assert "backend" in refused({"backend": "external"}, current=build({}))


def test_what_was_stored_reads_back_the_same():
    config = build({"instances": 2, "slo_p95_ms": 20.0})
    assert read(config.as_json()) == config


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "/path", "http://user:secret@host/", "javascript:alert(1)", ""]
)
def test_an_external_endpoint_is_a_plain_web_address(url):
    with pytest.raises(Invalid):
        check_external_endpoint(url)
