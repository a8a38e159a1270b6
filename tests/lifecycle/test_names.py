"""What things may be called."""

import pytest

from core.errors import Invalid
from core.names import check_key, check_registered_name
from lifecycle.names import check_experiment_name


@pytest.mark.parametrize("name", ["churn", "team/churn", "v1.2:3", "한글 실험", "n" * 500, "..."])
def test_an_experiment_name_may_hold_almost_anything(name):
    assert check_experiment_name(name) == name


@pytest.mark.parametrize("name", ["", "  ", "n" * 501, "a\x00", "a\nb", "\x1b[31m", "\ud800"])
def test_an_experiment_name_holds_no_control_characters_and_has_a_length(name):
    with pytest.raises(Invalid):
        check_experiment_name(name)


@pytest.mark.parametrize("name", ["churn", "v1.2", "한글 모델", "a@b", "n" * 250])
def test_a_model_name_may_hold_dots_and_spaces(name):
    assert check_registered_name(name) == name


@pytest.mark.parametrize("name", ["", "a/b", "a:b", ".", "..", "n" * 251, "a\tb"])
def test_a_model_name_holds_neither_slash_nor_colon(name):
    with pytest.raises(Invalid):
        check_registered_name(name)


@pytest.mark.parametrize("name", ["auc", "val/auc", "a b", "top-5.acc:x", "정확도", "n" * 250])
def test_a_key_follows_mlflow(name):
    assert check_key(name) == name


@pytest.mark.parametrize(
    "name", ["", "a?b", "a#b", "../x", "/x", "a//b", "a/../b", ".", "a/", "n" * 251, "a\x00", "a\n"]
)
def test_a_key_that_mlflow_would_refuse_is_refused(name):
    with pytest.raises(Invalid):
        check_key(name)
