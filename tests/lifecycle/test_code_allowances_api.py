"""Which model files may run code when they load: nobody's, until an admin says so."""

import pytest

from core.errors import Conflict
from core.models import AuditEvent
from lifecycle.models import Deployment
from lifecycle.operations import validation
from lifecycle.operations.code_allowances import code_allowed
from lifecycle.operations.validation import fetch_copy
from tests.factories import make_client, make_deployment, make_file, make_registered, make_user, make_version

pytestmark = pytest.mark.django_db
URL = "/api/v1/ml/lifecycle/code-allowances"


@pytest.fixture
def admin():
    return make_client("admin")


@pytest.fixture
def version():
    return make_registered()


def test_no_code_runs_unless_somebody_allowed_it(version):
    assert not code_allowed(version)


def test_a_model_is_allowed_and_revoked(admin, version):
    answer = admin.post(URL, {"model_name": version.model.name, "reason": "reviewed by security"})
    assert answer.status_code == 201, answer.data
    assert answer.data["allowed_by"] == admin.user.username
    assert code_allowed(version)
    assert admin.delete(f"{URL}/{answer.data['id']}").status_code == 204
    assert not code_allowed(version)
    assert admin.delete(f"{URL}/{answer.data['id']}").status_code == 409
    assert list(
        AuditEvent.objects.filter(object_type="codeallowance").order_by("id").values_list("action", flat=True)
    ) == [
        "code_allowance.create",
        "code_allowance.revoke",
    ]


def test_an_allowance_is_of_that_model_only(admin, version):
    admin.post(URL, {"model_name": version.model.name, "reason": "reviewed"})
    assert not code_allowed(make_registered())


def test_an_uploader_is_allowed_for_the_files_they_uploaded(admin, version):
    admin.post(URL, {"uploader": version.created_by.username, "reason": "trusted team"})
    assert code_allowed(version)


def test_a_file_slipped_in_by_somebody_else_is_not_covered(admin, version):
    admin.post(URL, {"uploader": version.created_by.username, "reason": "trusted team"})
    make_file(version.run, "model/model.skops", "malice", actor=make_user("scientist"))
    assert not code_allowed(version)


def test_nor_is_it_when_the_allowed_uploader_replaces_it_while_it_is_copied(admin, version, monkeypatch):
    """What was copied before is still somebody else's, and may not run code in the check."""
    admin.post(URL, {"uploader": version.created_by.username, "reason": "trusted team"})
    make_file(version.run, "model/model.skops", "malice", actor=make_user("scientist"))
    deployment = make_deployment(model_version=version)
    checked = []

    class Backend:
        def check(self, spec, **options):
            checked.append(spec)
            raise Conflict("enough seen")

    def copied_and_replaced(copied):
        path = fetch_copy(copied)
        make_file(copied.run, "model/model.skops", "harmless", actor=version.created_by)
        return path

    monkeypatch.setattr(validation, "fetch_copy", copied_and_replaced)
    monkeypatch.setattr(validation, "serving_backend", Backend)
    with pytest.raises(Conflict, match="enough seen"):
        validation.validate(Deployment.objects.get(pk=deployment.pk))
    assert [spec.allow_code for spec in checked] == [False]


def test_registering_what_somebody_else_uploaded_does_not_cover_it(admin, version):
    other = make_user("scientist")
    admin.post(URL, {"uploader": other.username, "reason": "trusted"})
    assert not code_allowed(make_registered(created_by=other, run_id=version.run.run_id))


def test_a_version_without_files_is_not_covered(admin):
    version = make_version()
    admin.post(URL, {"uploader": version.created_by.username, "reason": "trusted"})
    assert not code_allowed(version)


@pytest.mark.parametrize(
    "change",
    [{"uploader": "user"}, {"model_name": None}, {"reason": ""}, {"reason": "  "}, {"model_name": "none"}],
)
def test_an_allowance_names_one_thing_and_says_why(admin, version, change):
    make_user("scientist", username="user")
    answer = admin.post(URL, {"model_name": version.model.name, "reason": "reviewed"} | change, format="json")
    assert answer.status_code == 400
    assert not code_allowed(version)


def test_an_allowance_of_nothing_is_refused(admin):
    assert admin.post(URL, {"reason": "because"}).status_code == 400


def test_the_same_thing_is_allowed_once_at_a_time(admin, version):
    body = {"model_name": version.model.name, "reason": "reviewed"}
    assert admin.post(URL, body).status_code == 201
    assert admin.post(URL, body).status_code == 409


@pytest.mark.parametrize("roles", [["viewer"], ["scientist", "approver", "operator"]])
def test_only_admins_allow_and_revoke(admin, version, roles):
    client = make_client(*roles)
    body = {"model_name": version.model.name, "reason": "reviewed"}
    assert client.post(URL, body).status_code == 403
    allowance = admin.post(URL, body).data
    assert client.delete(f"{URL}/{allowance['id']}").status_code == 403
    assert code_allowed(version)


def test_a_read_only_token_of_an_admin_allows_nothing(version):
    body = {"model_name": version.model.name, "reason": "reviewed"}
    assert make_client("admin", read_only=True).post(URL, body).status_code == 403


def test_everybody_sees_what_is_allowed(admin, version):
    first = admin.post(URL, {"model_name": version.model.name, "reason": "reviewed"}).data
    second = admin.post(URL, {"uploader": version.created_by.username, "reason": "trusted"}).data
    admin.delete(f"{URL}/{first['id']}")
    viewer = make_client("viewer")
    assert [row["id"] for row in viewer.get(URL).data["results"]] == [second["id"], first["id"]]
    assert [row["id"] for row in viewer.get(URL, {"in_force": "true"}).data["results"]] == [second["id"]]
    assert viewer.get(URL, {"model_name": version.model.name}).data["count"] == 1


def test_allowances_take_a_sign_in(client):
    assert client.get(URL).status_code == 401
    assert client.post(URL, {}, content_type="application/json").status_code == 401
    assert client.delete(f"{URL}/1").status_code == 401
