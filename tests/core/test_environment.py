"""What is set wrongly is refused by name, in one line, without a secret in it."""

import os

import pytest
from django.core.exceptions import ImproperlyConfigured

from mlops_site.environment import Environment


@pytest.fixture
def read(monkeypatch):
    def read(method, value, **options):
        monkeypatch.setitem(os.environ, "A_SETTING", value)
        return getattr(Environment(), method)("A_SETTING", **options)

    return read


@pytest.mark.parametrize("method", ["int", "float", "json"])
def test_a_value_that_cannot_be_read_is_refused_by_the_name_of_its_setting(read, method):
    with pytest.raises(ImproperlyConfigured, match="The setting A_SETTING is “many”"):
        read(method, "many")


@pytest.mark.parametrize("rate", ["often", "0/minute", "-1/minute", "3"])
def test_a_rate_that_cannot_be_read_is_refused_with_an_example(read, rate):
    with pytest.raises(ImproperlyConfigured, match="A_SETTING is “.+”. Write .* 20/5 minutes"):
        read("rate", rate, default="1/minute")


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("database", "hunter2"),
        ("database", "postgres://mlops:hunter2@db:port/mlops"),
        ("database", "postgres://mlops:99/hunter2@db/mlops/hunter2"),
        ("database", "postgres://mlops:99?hunter2@db/mlops"),
        ("redis", "redis://:99#hunter2@redis:6379/0"),
        ("database", "postgres://mlops:hunter2@[db/mlops"),
        ("database", "mysql://mlops:hunter2@db/mlops"),
        ("redis", "redis://:hunter2@redis:port/0"),
        ("redis", "http://:hunter2@redis:6379/0"),
    ],
)
def test_an_address_that_cannot_be_read_is_refused_without_its_password(read, method, address):
    with pytest.raises(ImproperlyConfigured, match="A_SETTING is not an address") as refusal:
        read(method, address, default="")

    assert "hunter2" not in str(refusal.value)


def test_a_password_in_an_address_is_percent_encoded(read):
    database = read("database", "postgres://mlops:p%2Fss%40@db:5433/mlops", default="")

    assert (database["PASSWORD"], database["HOST"], database["PORT"]) == ("p/ss@", "db", 5433)
