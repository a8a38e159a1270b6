"""Every list: strict parameters, bounded pages, stable order, exports that a spreadsheet opens safely."""

import csv
import io
import json

import pytest
from django.utils import timezone

from core.models import Alert
from tests.factories import make_client

pytestmark = pytest.mark.django_db
URL = "/api/v1/alerts"


def make_alert(title="Disk full", **fields):
    fields.setdefault("key", f"key-{Alert.objects.count()}")
    return Alert.objects.create(**{"domain": "core", "severity": "low", "title": title} | fields)


@pytest.fixture
def viewer():
    return make_client("viewer")


def titles(answer):
    assert answer.status_code == 200, answer.data
    return [row["title"] for row in answer.data["results"]]


def exported(answer):
    assert answer.status_code == 200
    return b"".join(answer.streaming_content).decode()


# --- Parameters ---------------------------------------------------------------------------------------------


def test_a_misspelt_filter_is_refused_naming_the_known_ones(viewer):
    make_alert()
    answer = viewer.get(URL, {"severty": "low"})
    assert answer.status_code == 400
    assert answer.data["code"] == "invalid"
    assert "severity" in answer.data["fields"]["severty"]


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", "1001"),
        ("limit", "ten"),
        ("limit", "1e2"),
        ("limit", "٣"),
        ("limit", ""),
        ("limit", "99999999999999999999"),
        ("offset", "-1"),
        ("offset", "x"),
        ("offset", "99999999999"),
        ("ordering", "title"),
        ("ordering", "raised_at,nonsense"),
        ("ordering", "acknowledged_by__password"),
        ("export", "xlsx"),
        ("export", ""),
    ],
)
def test_a_value_out_of_bounds_is_refused_naming_its_parameter(viewer, parameter, value):
    answer = viewer.get(URL, {parameter: value})
    assert answer.status_code == 400
    assert parameter in answer.data["fields"]


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("ordering", "--raised_at"),
        ("ordering", "-"),
        ("open", "maybe"),
        ("acknowledged", "1.5"),
        ("search", " ".join(f"word{number}" for number in range(1000))),
    ],
)
def test_a_value_that_means_nothing_is_refused_naming_its_parameter(viewer, parameter, value):
    answer = viewer.get(URL, {parameter: value})
    assert answer.status_code == 400
    assert list(answer.data["fields"]) == [parameter]


@pytest.mark.parametrize(("value", "found"), [("true", ["open"]), ("false", ["over"]), ("1", ["open"])])
def test_true_and_false_are_told_apart(viewer, value, found):
    make_alert("open")
    make_alert("over", resolved_at=timezone.now())
    assert titles(viewer.get(URL, {"open": value})) == found


def test_a_nul_character_is_refused(viewer):
    assert viewer.get(URL, {"search": "a\x00b"}).status_code == 400


def test_both_spellings_of_a_path_answer(viewer):
    assert viewer.get(URL).status_code == viewer.get(f"{URL}/").status_code == 200


# --- Pages --------------------------------------------------------------------------------------------------


def test_a_page_has_fifty_rows_unless_asked(viewer):
    Alert.objects.bulk_create(Alert(key=str(n), domain="core", severity="low", title="t") for n in range(60))
    answer = viewer.get(URL)
    assert (answer.data["count"], len(answer.data["results"])) == (60, 50)
    assert len(viewer.get(URL, {"limit": 1000}).data["results"]) == 60


def test_pages_follow_each_other_without_gap_or_repetition(viewer):
    Alert.objects.bulk_create(
        Alert(key=str(n), domain="core", severity="low", title=str(n)) for n in range(7)
    )
    seen, url = [], f"{URL}?limit=3&ordering=severity"
    while url:
        answer = viewer.get(url)
        seen += titles(answer)
        url = answer.data["next"]
    assert seen == ["6", "5", "4", "3", "2", "1", "0"]
    assert viewer.get(f"{URL}?limit=3&offset=3").data["previous"]


def test_a_page_past_the_end_is_empty(viewer):
    make_alert()
    answer = viewer.get(URL, {"offset": 100})
    assert titles(answer) == []
    assert answer.data["count"] == 1


def test_a_list_is_ordered_both_ways(viewer):
    for severity in ("low", "critical", "high"):
        make_alert(severity, severity=severity)
    assert titles(viewer.get(URL, {"ordering": "severity"})) == ["critical", "high", "low"]
    assert titles(viewer.get(URL, {"ordering": "-severity"})) == ["low", "high", "critical"]


def test_a_search_finds_text_whatever_its_case(viewer):
    make_alert("Disk full")
    make_alert("Other", message="the DISK again")
    make_alert("100% busy")
    assert sorted(titles(viewer.get(URL, {"search": "disk"}))) == ["Disk full", "Other"]
    assert titles(viewer.get(URL, {"search": "0%"})) == ["100% busy"]


# --- Exports ------------------------------------------------------------------------------------------------


def test_a_list_is_exported_as_csv_filtered_and_ordered(viewer):
    make_alert('a, quoted "one"\nof two lines', severity="high")
    make_alert("디스크", severity="critical")
    make_alert("left out", severity="high", domain="features")
    answer = viewer.get(URL, {"export": "csv", "domain": "core", "ordering": "severity"})
    assert answer["Content-Type"].startswith("text/csv")
    assert answer["Content-Disposition"] == 'attachment; filename="alerts.csv"'
    rows = list(csv.DictReader(io.StringIO(exported(answer), newline="")))
    assert [row["title"] for row in rows] == ["디스크", 'a, quoted "one"\nof two lines']


def test_an_export_is_whole_and_not_one_page(viewer):
    Alert.objects.bulk_create(
        Alert(key=str(n), domain="core", severity="low", title="t") for n in range(1100)
    )
    assert len(exported(viewer.get(URL, {"export": "csv"})).splitlines()) == 1101


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_a_spreadsheet_would_run_is_quoted(viewer, start):
    make_alert(f"{start}HYPERLINK(1)")
    (row,) = csv.DictReader(io.StringIO(exported(viewer.get(URL, {"export": "csv"})), newline=""))
    assert row["title"] == f"'{start}HYPERLINK(1)"


def test_a_list_is_exported_as_json_unchanged(viewer):
    make_alert("=1+1")
    make_alert("디스크")
    answer = viewer.get(URL, {"export": "json"})
    assert answer["Content-Disposition"] == 'attachment; filename="alerts.json"'
    rows = json.loads(exported(answer))
    assert [row["title"] for row in rows] == ["디스크", "=1+1"]
    assert rows == json.loads(json.dumps(viewer.get(URL).json()["results"]))


def test_an_empty_list_is_an_empty_file(viewer):
    assert exported(viewer.get(URL, {"export": "csv"})) == ""
    assert json.loads(exported(viewer.get(URL, {"export": "json"}))) == []


def test_an_export_refuses_the_same_mistakes_as_the_list(viewer):
    assert viewer.get(URL, {"export": "csv", "severity": "awful"}).status_code == 400
    assert viewer.get(URL, {"export": "csv", "nonsense": "1"}).status_code == 400


def test_an_export_takes_a_sign_in(client):
    assert client.get(URL, {"export": "csv"}).status_code == 401


# --- The audit trail as a list ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "limits", "status"),
    [("viewer", {}, 403), ("operator", {}, 403), ("admin", {}, 200), ("admin", {"read_only": True}, 403)],
)
def test_the_audit_trail_is_exported_by_admins(role, limits, status):
    client = make_client(role, **limits)
    assert client.get("/api/v1/audit-events").status_code == 200
    assert client.get("/api/v1/audit-events", {"export": "csv"}).status_code == status
