"""Prompts by MLflow's protocol, in which they are registered models with a tag: here they are rows of their own."""

import pytest

from core.models import AuditEvent, RegistryName
from prompts.models import Prompt, PromptVersion
from prompts.operations import versions
from tests.factories import (
    make_client,
    make_model,
    make_model_run,
    make_prompt,
    make_prompt_version,
    make_registered,
)
from tests.mlflow_rest.test_registry import ask, done, refusal

pytestmark = pytest.mark.django_db

MODELS = "/api/v1/ml/lifecycle/models"
MARK = {"key": "mlflow.prompt.is_prompt", "value": "true"}
ONLY_PROMPTS = "tags.`mlflow.prompt.is_prompt` = 'true'"
TAKEN = (400, "RESOURCE_ALREADY_EXISTS")
INVALID = (400, "INVALID_PARAMETER_VALUE")
ABSENT = (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.fixture(autouse=True)
def artifact_root(settings, tmp_path):
    settings.ARTIFACT_ROOT = str(tmp_path)


@pytest.fixture
def client():
    return make_client("scientist")


@pytest.fixture
def greeting():
    """The first version of “greeting”."""
    return make_prompt_version(prompt=make_prompt(name="greeting"), content="Greet {{name}}.")


def create(client, name, *tags):
    return ask(client, "POST", "registered-models/create", name=name, tags=[MARK, *tags])


def create_version(client, name, text="Greet {{name}}.", **fields):
    tags = [MARK, {"key": "mlflow.prompt.text", "value": text}]
    body = {"name": name, "source": "prompt-template", "tags": tags, **fields}
    return ask(client, "POST", "model-versions/create", **body)


def names(client, **asked):
    found = done(client, "GET", "registered-models/search", **asked)
    return [model["name"] for model in found.get("registered_models", [])]


def by_alias(client, alias):
    return ask(client, "GET", "registered-models/alias", name="greeting", alias=alias)


def test_a_prompt_and_its_versions_are_rows_of_their_own_and_audited(client):
    assert create(client, "greeting", {"key": "team", "value": "shop"}).status_code == 200
    told = create_version(client, "greeting", description="first").json()["model_version"]

    assert (told["version"], told["status"], told["current_stage"]) == ("1", "READY", "None")
    version = PromptVersion.objects.select_related("prompt").get()
    assert (version.prompt.name, version.prompt.tags) == ("greeting", {"team": "shop"})
    assert (version.content, version.description, version.tags) == ("Greet {{name}}.", "first", {})
    assert version.created_by == version.prompt.created_by == client.user
    rows = AuditEvent.objects.filter(domain="prompts").order_by("pk").values_list("action", "changes")
    assert [action for action, _changes in rows] == ["prompt.create", "prompt_version.create"]
    assert set(rows[1][1]) == {"content_sha256"}


def test_searches_for_models_find_no_prompts_and_those_for_prompts_no_models(client, greeting):
    make_registered(model_name="wine")
    assert names(client) == ["wine"]
    assert names(client, filter=ONLY_PROMPTS) == ["greeting"]
    assert [row["model_name"] for row in client.get(MODELS).json()["results"]] == ["wine"]


def test_a_search_reads_many_prompts_with_few_queries(client, django_assert_max_num_queries):
    for number in range(20):
        prompt = make_prompt(name=f"prompt {number:02}")
        versions.set_alias(actor=client.user, version=make_prompt_version(prompt=prompt), alias="live")
    with django_assert_max_num_queries(6):
        assert len(names(client, filter=ONLY_PROMPTS)) == 20


def test_of_a_model_and_a_prompt_only_one_has_a_name(client, greeting):
    make_model(name="wine")
    assert refusal(create(client, "wine")) == TAKEN
    assert refusal(ask(client, "POST", "registered-models/create", name="greeting")) == TAKEN
    for name, new_name in (("wine", "greeting"), ("greeting", "wine")):
        renamed = ask(client, "POST", "registered-models/rename", name=name, new_name=new_name)
        assert refusal(renamed) == TAKEN
    run = make_model_run(created_by=client.user)
    registered = client.post(
        MODELS, {"model_name": "greeting", "run_id": run.run_id, "artifact_path": "model"}
    )
    assert registered.status_code == 409
    assert set(RegistryName.objects.values_list("name", "kind")) == {
        ("wine", "model"),
        ("greeting", "prompt"),
    }


def test_a_name_is_free_once_what_had_it_is_renamed_or_deleted(client, greeting):
    make_model(name="wine")
    done(client, "POST", "registered-models/rename", name="greeting", new_name="welcome")
    done(client, "DELETE", "registered-models/delete", name="wine")
    assert create(client, "wine").status_code == 200
    assert ask(client, "POST", "registered-models/create", name="greeting").status_code == 200
    done(client, "DELETE", "registered-models/delete", name="welcome")
    assert create(client, "welcome").status_code == 200
    assert Prompt.objects.filter(name="welcome").count() == 2, "what is deleted is kept"


def test_latest_is_the_version_of_the_highest_number_that_is_there(client, greeting):
    make_prompt_version(prompt=greeting.prompt, content="Hello {{name}}!")
    assert by_alias(client, "latest").json()["model_version"]["version"] == "2"
    done(client, "DELETE", "model-versions/delete", name="greeting", version="2")
    assert by_alias(client, "Latest").json()["model_version"]["version"] == "1"
    done(client, "DELETE", "model-versions/delete", name="greeting", version="1")
    assert refusal(by_alias(client, "latest")) == ABSENT
    assert create_version(client, "greeting").json()["model_version"]["version"] == "3"


def test_an_alias_moves_and_goes_with_its_version(client, greeting):
    make_prompt_version(prompt=greeting.prompt)
    for version in ("1", "2", "2"):
        done(client, "POST", "registered-models/alias", name="greeting", alias="live", version=version)
    assert by_alias(client, "live").json()["model_version"]["version"] == "2"
    done(client, "DELETE", "model-versions/delete", name="greeting", version="2")
    assert refusal(by_alias(client, "live")) == INVALID
    told = (
        AuditEvent.objects.filter(action="prompt_alias.set").order_by("pk").values_list("changes", flat=True)
    )
    assert [change["version"] for change in told] == [[None, 1], [1, 2]]


@pytest.mark.parametrize("call", ["set-tag", "delete-tag"])
@pytest.mark.parametrize("key", ["mlflow.prompt.text", "mlflow.prompt.is_prompt"])
def test_neither_its_text_nor_that_it_is_a_prompt_ever_changes(client, greeting, call, key):
    method, more = ("POST", {"value": "other"}) if call == "set-tag" else ("DELETE", {})
    asked = {"name": "greeting", "version": "1", "key": key, **more}
    assert refusal(ask(client, method, f"model-versions/{call}", **asked)) == INVALID
    asked.pop("version")
    assert refusal(ask(client, method, f"registered-models/{call}", **asked)) == INVALID
    greeting.refresh_from_db()
    assert (greeting.content, greeting.tags) == ("Greet {{name}}.", {})


def test_a_model_never_becomes_a_prompt(client):
    make_registered(model_name="wine")
    for call, more in (("registered-models", {}), ("model-versions", {"version": "1"})):
        marked = ask(client, "POST", f"{call}/set-tag", name="wine", **MARK, **more)
        assert refusal(marked) == INVALID
    assert refusal(create_version(client, "wine")) == ABSENT


def test_a_prompt_has_no_versions_of_models_no_stages_and_no_files(client, greeting):
    run = make_model_run(created_by=client.user)
    asked = {"name": "greeting", "source": f"runs:/{run.run_id}/model", "run_id": run.run_id}
    assert refusal(ask(client, "POST", "model-versions/create", **asked)) == INVALID
    moved = {"name": "greeting", "version": "1", "stage": "Production"}
    assert refusal(ask(client, "POST", "model-versions/transition-stage", **moved)) == INVALID
    make_model(name="wine")
    copied = ask(client, "POST", "model-versions/create", name="wine", source="models:/greeting/1")
    assert refusal(copied) == INVALID


def test_a_version_without_a_text_or_with_one_too_long_is_refused(client, greeting, monkeypatch):
    body = {"name": "greeting", "source": "prompt-template", "tags": [MARK]}
    assert refusal(ask(client, "POST", "model-versions/create", **body)) == INVALID
    monkeypatch.setattr(versions, "MAX_CONTENT", 5)
    assert refusal(create_version(client, "greeting", "123456")) == INVALID
    assert PromptVersion.objects.count() == 1


@pytest.mark.parametrize("role", ["viewer", "approver", "operator"])
def test_who_is_no_author_reads_prompts_and_changes_none(role, greeting):
    client = make_client(role)
    named = {"name": "greeting"}
    done(client, "GET", "registered-models/get", **named)
    done(client, "GET", "model-versions/get", **named, version="1")
    refused = [
        create(client, "new"),
        create_version(client, "greeting"),
        ask(client, "PATCH", "registered-models/update", **named, description="x"),
        ask(client, "POST", "registered-models/rename", **named, new_name="x"),
        ask(client, "DELETE", "registered-models/delete", **named),
        ask(client, "POST", "registered-models/set-tag", **named, key="a", value="b"),
        ask(client, "DELETE", "registered-models/delete-tag", **named, key="a"),
        ask(client, "POST", "registered-models/alias", **named, alias="live", version="1"),
        ask(client, "DELETE", "registered-models/alias", **named, alias="live"),
        ask(client, "PATCH", "model-versions/update", **named, version="1", description="x"),
        ask(client, "DELETE", "model-versions/delete", **named, version="1"),
        ask(client, "POST", "model-versions/set-tag", **named, version="1", key="a", value="b"),
        ask(client, "DELETE", "model-versions/delete-tag", **named, version="1", key="a"),
    ]
    assert [refusal(response) for response in refused] == [(403, "PERMISSION_DENIED")] * len(refused)
    assert not AuditEvent.objects.filter(domain="prompts", actor=client.user).exists()


def test_a_token_for_prompts_reads_and_writes_them_and_sees_no_model(greeting):
    client = make_client("scientist", domain="prompts")
    make_registered(model_name="wine")
    assert create_version(client, "greeting").status_code == 200
    assert names(client, filter=ONLY_PROMPTS) == ["greeting"]
    for response in (
        ask(client, "GET", "registered-models/get", name="wine"),
        ask(client, "GET", "model-versions/get", name="wine", version="1"),
        ask(client, "GET", "registered-models/search"),
        ask(client, "GET", "model-versions/search"),
        ask(client, "POST", "registered-models/create", name="tea"),
        ask(client, "GET", "experiments/get", experiment_id="0"),
    ):
        assert refusal(response) == (403, "PERMISSION_DENIED")


def test_a_token_for_the_lifecycle_sees_no_prompt(greeting):
    client = make_client("scientist", domain="lifecycle")
    wanted = {"filter": ONLY_PROMPTS}
    for response in (
        ask(client, "GET", "registered-models/get", name="greeting"),
        ask(client, "GET", "model-versions/get", name="greeting", version="1"),
        by_alias(client, "latest"),
        ask(client, "GET", "registered-models/search", **wanted),
        ask(client, "GET", "model-versions/search", **wanted),
        create(client, "new"),
    ):
        assert refusal(response) == (403, "PERMISSION_DENIED")


def test_a_token_for_prompts_hears_that_nothing_has_a_name(greeting):
    client = make_client("scientist", domain="prompts")
    assert refusal(ask(client, "GET", "registered-models/get", name="missing")) == ABSENT
    assert refusal(ask(client, "GET", "model-versions/get", name="missing", version="1")) == ABSENT
    assert refusal(ask(client, "DELETE", "registered-models/delete", name="missing")) == ABSENT


def test_who_may_see_neither_models_nor_prompts_is_refused_before_the_request_is_read(greeting):
    client = make_client("scientist", domain="serving")
    body = "{" + " " * 1000
    response = client.generic("POST", "/api/2.0/mlflow/registered-models/create", body, "application/json")
    assert refusal(response) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize("value", ["true", "false", "anything"])
def test_no_model_is_told_with_the_mark_of_a_prompt(client, value):
    run = make_model_run(created_by=client.user)
    marked = {"tags": {MARK["key"]: value}, "model_name": "wine"}
    made = client.post(MODELS, {**marked, "run_id": run.run_id, "artifact_path": "model"}, format="json")
    assert made.status_code == 201, made.content
    told = done(client, "GET", "model-versions/get", name="wine", version="1")["model_version"]
    assert "tags" not in told
    tag = {"key": MARK["key"], "value": value}
    if value != "true":
        refused = ask(client, "POST", "registered-models/create", name="tea", tags=[tag])
        assert refusal(refused) == INVALID
    assert refusal(ask(client, "POST", "registered-models/set-tag", name="wine", **tag)) == INVALID


@pytest.mark.parametrize("origin", [{"run_id": "0" * 32}, {"run_link": "https://ci"}, {"model_id": "m-1"}])
def test_a_prompt_version_is_of_no_run_and_of_no_model(client, greeting, origin):
    assert refusal(create_version(client, "greeting", **origin)) == INVALID


def test_an_alias_that_cannot_be_one_is_refused_even_to_be_deleted(client, greeting):
    make_model(name="wine")
    for name in ("greeting", "wine"):
        gone = {"name": name, "alias": "a b"}
        assert refusal(ask(client, "DELETE", "registered-models/alias", **gone)) == INVALID
        done(client, "DELETE", "registered-models/alias", name=name, alias="latest")
