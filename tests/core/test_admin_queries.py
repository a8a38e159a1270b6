"""Lists and details make as many queries for many rows as for few. `bench/admin.py` measures 100,000 rows."""

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.admin_rows import client_of, labels, url
from tests.everything import make_everything

pytestmark = pytest.mark.django_db
MOST_IN_A_LIST = 8
MOST_IN_A_DETAIL = 10


def queries_of(client, path: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


def test_more_rows_take_no_more_queries():
    client = client_of("admin")

    def counted() -> dict[str, int]:
        return {label: queries_of(client, url(label)) for label in labels()}

    make_everything()
    counted()
    few = counted()
    for name in ("second", "third"):
        make_everything(name=name, author=name)
    assert counted() == few
    assert {label: number for label, number in few.items() if number > MOST_IN_A_LIST} == {}


def test_details_take_few_queries():
    make_everything()
    client = client_of("admin")
    for label in labels():
        path = url(label, "change", apps.get_model(label).objects.first().pk)
        assert queries_of(client, path) <= MOST_IN_A_DETAIL, label


def test_the_first_page_takes_few_queries():
    make_everything()
    assert queries_of(client_of("admin"), "/admin/") <= 5
