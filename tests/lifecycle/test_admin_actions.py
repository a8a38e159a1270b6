"""The lifecycle's admin: each action and each form calls its operation, and refuses what that refuses."""

import pytest

from core.models import AuditEvent
from lifecycle.models import CodeAllowance, Deployment, DriftEvent, Experiment, ModelAlias, ModelVersion, Run
from tests.admin_rows import act, client_of, told, url
from tests.factories import (
    make_deployment,
    make_experiment,
    make_file,
    make_model,
    make_registered,
    make_run,
    make_user,
    make_version,
)

pytestmark = pytest.mark.django_db
EXPERIMENT, RUN, VERSION = "lifecycle.experiment", "lifecycle.run", "lifecycle.modelversion"
DEPLOYMENT, ITEM, DRIFT = "lifecycle.deployment", "lifecycle.checklistitem", "lifecycle.driftevent"
ALIAS, ALLOWANCE = "lifecycle.modelalias", "lifecycle.codeallowance"


def audited(action: str) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action=action, via="admin"))


def fresh(row):
    return type(row).objects.get(pk=row.pk)


def offered(client, label: str) -> set[str]:
    return set(
        client.get(url(label)).context["cl"].model_admin.get_actions(client.get(url(label)).wsgi_request)
    )


def ready():
    """A version that waits for somebody else's approval."""
    return make_registered(ticked=True)


# --- How actions ask, act and tell ----------------------------------------------------------------------------------


def test_an_action_asks_before_it_acts():
    version = ready()
    client = client_of("approver")
    asked = client.post(url(VERSION), {"action": "archive", "index": "0", "_selected_action": version.pk})
    assert asked.status_code == 200
    assert "It goes nowhere until" in asked.content.decode()
    assert fresh(version).stage == "experimental"
    act(client, VERSION, "archive", version, reason="old")
    assert fresh(version).stage == "archived"
    assert [event.reason for event in audited("model_version.archive")] == ["old"]


def test_an_action_over_many_rows_does_what_it_can_and_tells_each_refusal():
    client = client_of("scientist")
    active, archived = make_experiment(), make_experiment(name="<b>gone</b>", status="archived")
    response = act(client, EXPERIMENT, "archive", active, archived)
    page = client.get(response.url)
    assert told(page) == [
        "Archive: done for 1.",
        "Refused for <b>gone</b>: “<b>gone</b>” is Archived already.",
    ]
    assert "<b>gone</b>" not in page.content.decode()
    assert fresh(active).status == "archived"
    assert len(audited("experiment.archive")) == 1


def test_rows_that_have_left_the_list_meanwhile_are_told_of():
    client = client_of("scientist")
    active, archived = make_experiment(), make_experiment(status="archived")
    response = act(client, EXPERIMENT, "archive", active, archived, path=f"{url(EXPERIMENT)}?status=active")
    assert "1 of the chosen rows are no longer in this list. Nothing was done to them." in told(
        client.get(response.url)
    )


def test_more_rows_than_a_page_has_cannot_be_chosen():
    client = client_of("scientist")
    experiment = make_experiment()
    for answers in (
        {"select_across": "1", "_selected_action": [experiment.pk]},
        {"_selected_action": list(range(1, 102))},
    ):
        response = client.post(
            url(EXPERIMENT), {"action": "archive", "confirmed": "1", "select_across": "0"} | answers
        )
        assert told(client.get(response.url)) == ["Choose at most 100 rows at a time."]
    assert fresh(experiment).status == "active"


def test_an_action_asked_for_on_a_rows_page_leads_back_there():
    client = client_of("scientist")
    experiment = make_experiment()
    detail = url(EXPERIMENT, "change", experiment.pk)
    assert 'value="archive"' in client.get(detail).content.decode()
    assert act(client, EXPERIMENT, "archive", experiment, from_detail="1").url == detail


def test_an_action_that_is_not_offered_is_refused():
    version = ready()
    for role, action in (
        ("viewer", "approve"),
        ("scientist", "approve"),
        ("approver", "deploy"),
        ("admin", "erase"),
    ):
        assert act(client_of(role), VERSION, action, version, environment="development").status_code == 403
    assert not AuditEvent.objects.filter(via="admin").exists()


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("viewer", set()),
        ("scientist", {"deploy", "set_alias"}),
        ("approver", {"approve", "reject", "move_stage", "archive"}),
        ("operator", {"deploy"}),
        ("admin", {"approve", "reject", "move_stage", "archive", "deploy", "set_alias"}),
    ],
)
def test_the_roles_decide_which_actions_are_offered(role, expected):
    assert offered(client_of(role), VERSION) == expected


def test_an_answer_that_is_missing_is_asked_for_again_and_nothing_is_done():
    version = ready()
    response = act(client_of("approver"), VERSION, "reject", version, reason="  ")
    assert response.status_code == 200
    assert response.context["form"].errors["reason"]
    assert fresh(version).rejected_at is None


# --- Versions -------------------------------------------------------------------------------------------------------


def test_somebody_else_approves_a_version():
    version, client = ready(), client_of("approver")
    act(client, VERSION, "approve", version, approval_notes="looked at it")
    assert fresh(version).is_approved
    (event,) = audited("model_version.approve")
    assert (event.actor, event.reason) == (client.user, "looked at it")


@pytest.mark.parametrize("superuser", [False, True])
def test_nobody_approves_or_rejects_their_own_work_here_either(superuser):
    author = make_user("admin", is_superuser=superuser)
    version = make_registered(created_by=author, ticked=True)
    client = client_of(user=author)
    for action in ("approve", "reject"):
        page = client.get(act(client, VERSION, action, version, approval_notes="", reason="because").url)
        assert "You had a hand in this version" in told(page)[0]
    assert (fresh(version).approved_at, fresh(version).rejected_at) == (None, None)
    assert not AuditEvent.objects.filter(via="admin").exists()


def test_an_open_checklist_keeps_a_version_from_being_approved():
    version, client = make_registered(), client_of("approver")
    page = client.get(act(client, VERSION, "approve", version, approval_notes="").url)
    assert "Not yet approved on the checklist" in told(page)[0]
    assert fresh(version).approved_at is None


def test_a_version_is_rejected_with_a_reason():
    version = ready()
    act(client_of("approver"), VERSION, "reject", version, reason="drifts")
    assert fresh(version).rejected_at
    assert [event.reason for event in audited("model_version.reject")] == ["drifts"]


def test_a_version_moves_to_a_stage_only_with_approval():
    client = client_of("approver")
    approved, draft = make_version(approved=True), make_version()
    response = act(client, VERSION, "move_stage", approved, draft, stage="staging", reason="")
    assert (fresh(approved).stage, fresh(draft).stage) == ("staging", "experimental")
    assert "is not approved" in " ".join(told(client.get(response.url)))


def test_a_version_is_deployed_where_the_role_allows_it():
    version, client = make_version(approved=True, stage="production"), client_of("scientist")
    answers = {"instance_type": "medium", "deployment_notes": "try"}
    page = client.get(act(client, VERSION, "deploy", version, environment="production", **answers).url)
    assert "deploy in staging and production" in told(page)[0]
    assert not Deployment.objects.exists()
    act(client, VERSION, "deploy", version, environment="development", **answers)
    deployment = Deployment.objects.get()
    assert (deployment.environment, deployment.status, deployment.deployment_notes) == (
        "development",
        "pending",
        "try",
    )
    assert deployment.endpoint_config["instance_type"] == "medium"


def test_an_alias_is_pointed_and_removed():
    client, version = client_of("scientist"), make_version()
    act(client, VERSION, "set_alias", version, alias="champion")
    alias = ModelAlias.objects.get()
    assert alias.version == version
    page = client.get(act(client, VERSION, "set_alias", version, alias="v12").url)
    assert "reads as a version" in told(page)[-1]
    act(client, ALIAS, "remove", alias)
    assert not ModelAlias.objects.exists()
    assert len(audited("model_alias.delete")) == 1


def test_a_checklist_item_is_ticked_and_keeps_its_note_unless_told_another():
    client = client_of("operator")
    item = make_registered().checklist.first()
    act(client, ITEM, "tick", item, status="approved", note="seen")
    assert (fresh(item).status, fresh(item).note, fresh(item).completed_by) == (
        "approved",
        "seen",
        client.user,
    )
    act(client, ITEM, "tick", item, status="pending", note="")
    assert (fresh(item).status, fresh(item).note) == ("pending", "seen")


# --- Runs, deployments, drift, allowances ---------------------------------------------------------------------------


def test_experiments_and_runs_are_put_aside_and_brought_back():
    client, experiment, run = client_of("scientist"), make_experiment(), make_run()
    act(client, EXPERIMENT, "archive", experiment)
    act(client, RUN, "delete", run)
    assert (fresh(experiment).status, bool(fresh(run).deleted_at)) == ("archived", True)
    act(client, EXPERIMENT, "restore", experiment)
    act(client, RUN, "restore", run)
    assert (fresh(experiment).status, bool(fresh(run).deleted_at)) == ("active", False)
    assert len(audited("run.delete")) == len(audited("run.restore")) == 1


def test_a_deployment_is_terminated_where_the_role_allows_it():
    client = client_of("scientist")
    development = make_deployment(status="active")
    production = make_deployment(status="active", environment="production")
    act(client, DEPLOYMENT, "terminate", development, production, reason="done")
    assert (fresh(development).status, fresh(production).status) == ("terminated", "active")
    assert [event.reason for event in audited("deployment.terminated")] == ["done"]


def test_a_deployment_is_rolled_back_to_the_version_before():
    model = make_model()
    first, second = (make_version(model=model, approved=True, stage="production") for _ in range(2))
    before = make_deployment(model_version=first, status="terminated", environment="production")
    now = make_deployment(model_version=second, status="active", environment="production")
    client = client_of("operator")
    act(client, DEPLOYMENT, "roll_back", now, reason="slow")
    assert Deployment.objects.get(rollback_from=now).model_version == before.model_version
    assert [event.reason for event in audited("deployment.roll_back")] == ["slow"]


def test_drift_is_acknowledged_once():
    event = DriftEvent.objects.create(
        model_version=make_version(),
        detected_at="2026-01-01T00:00:00Z",
        severity="high",
        metric_name="psi",
        metric_value=1,
        threshold=0.2,
    )
    client = client_of("operator")
    act(client, DRIFT, "acknowledge", event)
    assert fresh(event).acknowledged_by == client.user
    page = client.get(act(client, DRIFT, "acknowledge", event).url)
    assert "acknowledged already" in told(page)[-1]


def test_code_is_allowed_and_revoked_by_admins():
    model, client = make_model(name="pickled"), client_of("admin")
    answers = {"model": "pickled", "uploader": "", "reason": "reviewed"}
    assert client.post(url(ALLOWANCE, "add"), answers).status_code == 302
    allowance = CodeAllowance.objects.get()
    assert (allowance.model, allowance.allowed_by) == (model, client.user)
    for wrong in (
        answers,
        answers | {"model": ""},
        answers | {"model": "nothing"},
        answers | {"model": "a\0b"},
    ):
        refused = client.post(url(ALLOWANCE, "add"), wrong)
        assert refused.status_code == 200, wrong
        assert refused.context["errors"]
    act(client, ALLOWANCE, "revoke", allowance)
    assert fresh(allowance).revoked_at
    assert len(audited("code_allowance.create")) == len(audited("code_allowance.revoke")) == 1


# --- Forms ----------------------------------------------------------------------------------------------------------


def test_an_experiment_is_made_and_changed_by_form_each_with_one_audit_row():
    client = client_of("scientist")
    answers = {"name": "churn", "description": "", "tags": '{"team": "risk"}', "metadata": ""}
    client.post(url(EXPERIMENT, "add"), answers)
    experiment = Experiment.objects.get(name="churn")
    assert (experiment.owner, experiment.tags, experiment.metadata) == (client.user, {"team": "risk"}, {})
    client.post(
        url(EXPERIMENT, "change", experiment.pk), answers | {"metadata": "{}", "description": "who leaves"}
    )
    assert fresh(experiment).description == "who leaves"
    assert AuditEvent.objects.filter(via="admin").count() == 2
    assert audited("experiment.update")[0].changes == {"description": ["", "who leaves"]}


def test_what_the_operation_refuses_is_shown_beside_what_was_typed():
    archived = make_experiment(name="old", status="archived")
    client = client_of("scientist")
    answers = {"name": "bell \a", "description": "typed with care", "tags": "{}", "metadata": "{}"}
    for path, words in (
        (url(EXPERIMENT, "add"), "A name holds no control characters, and none"),
        (url(EXPERIMENT, "change", archived.pk), "is archived. Restore it first."),
    ):
        page = client.post(path, answers)
        assert page.status_code == 200
        assert words in page.content.decode()
        assert "typed with care" in page.content.decode()
    assert fresh(archived).name == "old"
    assert not AuditEvent.objects.filter(via="admin").exists()


@pytest.mark.parametrize("tags", ["[]", '{"a": 1}', "{", '"x"', "3"])
def test_tags_that_are_none_are_refused(tags):
    answers = {"name": "x", "description": "", "tags": tags, "metadata": ""}
    page = client_of("scientist").post(url(EXPERIMENT, "add"), answers)
    assert (page.status_code, Experiment.objects.count()) == ((200, 0) if tags != "[]" else (302, 1))


def test_what_only_operations_change_is_not_taken_from_a_form():
    run, version = make_run(notes="old"), make_version()
    client = client_of("admin")
    client.post(
        url(RUN, "change", run.pk),
        {
            "name": "n",
            "notes": "new",
            "dataset_name": "",
            "dataset_version": "",
            "status": "failed",
            "run_id": "1" * 32,
        },
    )
    assert (fresh(run).notes, fresh(run).status, fresh(run).run_id) == ("new", "running", run.run_id)
    client.post(
        url(VERSION, "change", version.pk),
        {"version_label": "v1", "description": "", "tags": "{}", "rollback_notes": "", "stage": "production",
         "approved_sha256": "0" * 64, "content_sha256": "1" * 64},
    )  # fmt: skip
    assert (fresh(version).version_label, fresh(version).stage) == ("v1", "experimental")
    assert (fresh(version).approved_sha256, fresh(version).content_sha256) == ("", version.content_sha256)


@pytest.mark.parametrize(
    ("role", "label"),
    [(role, label) for role in ("viewer", "approver") for label in (EXPERIMENT, RUN, VERSION, DEPLOYMENT)],
)
def test_who_may_not_edit_gets_no_form_and_cannot_post_one(role, label):
    row = {
        EXPERIMENT: make_experiment,
        RUN: make_run,
        VERSION: make_version,
        DEPLOYMENT: make_deployment,
    }[label]()
    client = client_of(role)
    assert 'name="_save"' not in client.get(url(label, "change", row.pk)).content.decode()
    assert (
        client.post(url(label, "change", row.pk), {"name": "x", "deployment_notes": "x"}).status_code == 403
    )


def test_notes_of_a_deployment_are_for_those_who_may_deploy_there():
    scientist, operator = client_of("scientist"), client_of("operator")
    deployment = make_deployment(environment="production")
    path = url(DEPLOYMENT, "change", deployment.pk)
    assert scientist.post(path, {"deployment_notes": "x"}).status_code == 403
    operator.post(path, {"deployment_notes": "night shift"})
    assert fresh(deployment).deployment_notes == "night shift"


def test_a_run_is_found_by_its_id_name_and_experiment():
    run = make_run(name="baseline", experiment=make_experiment(name="churn"))
    make_run(name="other")
    client = client_of("viewer")
    for words in (run.run_id, "base", "churn"):
        assert list(client.get(url(RUN), {"q": words}).context["cl"].result_list) == [run]
    assert Run.objects.count() == 2
    assert ModelVersion.objects.count() == 0


def test_an_approval_is_of_what_the_page_showed_when_it_asked():
    version = make_registered(ticked=True)
    make_file(version.run, "model/model.skops", "other weights", actor=version.created_by)
    version.checklist.update(status="approved")
    client = client_of("approver")
    asked = client.post(url(VERSION), {"action": "approve", "_selected_action": [version.pk]})
    shown = fresh(version).content_sha256
    assert f'name="seen-{version.pk}" value="{shown}"' in asked.content.decode()

    make_file(version.run, "model/model.skops", "yet others", actor=version.created_by)
    version.checklist.update(status="approved")
    act(client, VERSION, "approve", version, **{f"seen-{version.pk}": shown})
    assert fresh(version).approved_at is None

    act(client, VERSION, "approve", version, **{f"seen-{version.pk}": fresh(version).content_sha256})
    assert fresh(version).approved_sha256 == fresh(version).content_sha256


@pytest.mark.parametrize("field", ["tags", "metadata"])
@pytest.mark.parametrize("text", ['{"a": "\\ud800"}', '{"\\u0000": "b"}'])
def test_what_no_database_keeps_is_refused_in_json_too(field, text):
    experiment = make_experiment(name="churn")
    answers = {"name": "churn", "description": "", "tags": "{}", "metadata": "{}", field: text}
    response = client_of("scientist", user=experiment.owner).post(
        url(EXPERIMENT, "change", experiment.pk), answers
    )
    assert "cannot be kept" in response.content.decode()
    experiment.refresh_from_db()
    assert (experiment.tags, experiment.metadata) == ({}, {})
