"""What is asked about prompts, which are registered models with a tag that says so: see `scenarios`."""

import json
from typing import Any

from tests.mlflow_rest.registry_scenarios import MLMODEL, Registry

IS_PROMPT = "mlflow.prompt.is_prompt"
TEXT = "mlflow.prompt.text"
TYPE = "_mlflow_prompt_type"
FORMAT = "_mlflow_prompt_response_format"
CONFIG = "_mlflow_prompt_model_config"
EXPERIMENTS = "_mlflow_experiment_ids"
PLACE = "prompt-template"
MESSAGES = [
    {"role": "system", "content": "You are a {{style}} assistant."},
    {"role": "user", "content": "{{question}}"},
]
TAG = f"tags.`{IS_PROMPT}`"
PROMPT = f"{TAG} = 'true'"
PROMPT_FILTERS = [
    "", PROMPT, f"{TAG} != 'true'", f"{TAG} = 'false'", f"{TAG} != 'false'", f"{TAG} = 'TRUE'", f"{TAG} = 'x'",
    f"{TAG} LIKE 'true'", f"tag.`{IS_PROMPT}` = 'true'", f"name LIKE 'g%' AND {PROMPT}", "name LIKE 'g%'",
    f"{PROMPT} AND name ILIKE 'G%'", "name = 'greeting'", f"{PROMPT} AND name = 'shop'",
    f"{TAG} != 'true' AND name = 'shop'", f"{TAG} = 'false' AND name = 'greeting'", f"{PROMPT} AND name != 'greeting'",
    "tags.team = 'risk'", f"{PROMPT} AND tags.team = 'risk'", f"{TAG} != 'true' AND tags.team = 'risk'",
    f"{PROMPT} AND tags.team != 'risk'", f"{PROMPT} AND tags.team = 'risk' AND tags.`a.b` = 'c'",
    f"tags.{EXPERIMENTS} LIKE '%,7,%' AND {PROMPT}", f"{PROMPT} AND tags.{EXPERIMENTS} LIKE '%,1,%'",
    f"{PROMPT} AND {TAG} != 'true'", f"{PROMPT} AND bogus = 'x'",
]  # fmt: skip
VERSION_FILTERS = [
    "", PROMPT, f"{TAG} != 'true'", f"{TAG} = 'false'", f"{TAG} != 'false'", "name = 'greeting'",
    f"name = 'greeting' AND tag.`{IS_PROMPT}` = 'true'", f"{PROMPT} AND name = 'shop'",
    f"{TAG} != 'true' AND name = 'shop'", f"{TAG} = 'false' AND name = 'greeting'",
    f"{PROMPT} AND name LIKE '%t%'", f"{PROMPT} AND name IN ('chat', 'shop')", f"{PROMPT} AND version_number > 1",
    "tags.team = 'risk'", f"{PROMPT} AND tags.team = 'risk'", f"{PROMPT} AND tags.team != 'risk'",
    f"tags.{TYPE} = 'text'", f"tags.{TYPE} != 'text' AND {PROMPT}",
    f"{PROMPT} AND tags.`{TEXT}` LIKE '%{{{{name}}}}%'", f"{PROMPT} AND source_path = '{PLACE}'",
    f"tags.`mlflow.prompt.associatedRunIds` LIKE '%abc%' AND {PROMPT}", f"{PROMPT} AND bogus = 'x'",
]  # fmt: skip


def prompts(server: Registry) -> None:
    """A prompt's life: made, written, named, found and deleted, well and badly, beside a model."""
    experiment = server.make("prompts")
    run = server.make_run("writing", experiment)
    server.send("PUT", f"artifacts/{experiment}/{run}/artifacts/model/MLmodel", MLMODEL)
    tags = _tags({"team": "risk"})
    server.ask("POST", "registered-models/create", {"name": "shop", "tags": tags})
    server.register("shop", source=f"runs:/{run}/model", run_id=run, tags=tags)
    _make(server)
    _describe(server)
    _rename(server)
    _tag(server)
    _write(server)
    _write_badly(server, run)
    _show(server)
    _describe_versions(server)
    _alias(server)
    _search(server)
    _use_as_source(server, run)
    _delete_versions(server)
    _delete(server)


def _tags(tags: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _prompt(server: Registry, name: Any, tags: dict[str, Any] | None = None, **fields: Any) -> None:
    tags = {IS_PROMPT: "true", **(tags or {})}
    server.ask("POST", "registered-models/create", {"name": name, "tags": _tags(tags), **fields})


def _add(
    server: Registry, name: Any, template: Any, tags: dict[str, Any] | None = None, **fields: Any
) -> None:
    """Another version of a prompt: a text, or the messages of a chat."""
    kind, text = ("text", template) if isinstance(template, str) else ("chat", json.dumps(template))
    tags = {IS_PROMPT: "true", TEXT: text, TYPE: kind, **(tags or {})}
    server.register(name, **{"source": PLACE, "tags": _tags(tags), **fields})


def _show_prompts(server: Registry, *names: str) -> None:
    for name in names:
        server.ask("GET", "registered-models/get", {"name": name})


def _make(server: Registry) -> None:
    _prompt(server, "greeting", {"team": "risk", "a.b": "c"}, description="Hello.")
    _prompt(server, "summary")
    _prompt(server, "chat", {"team": "sales"}, description="")
    for name in ("greeting", "shop", "", None, 5, "a/b", "two words", "프롬프트"):
        _prompt(server, name)
    server.ask("POST", "registered-models/create", {"name": "greeting"})
    server.ask("POST", "registered-models/create", {"name": "summary", "tags": _tags({"team": "risk"})})
    for number, tags in enumerate(({"../k": "v"}, {"": "v"}, {"long": "v" * 100_001})):
        _prompt(server, f"prompt{number}", tags)
    twice = [*_tags({IS_PROMPT: "true", "k": "1"}), {"key": "k", "value": "2"}]
    server.ask("POST", "registered-models/create", {"name": "twice", "tags": twice})
    _show_prompts(server, "greeting", "summary", "chat", "nothing")


def _describe(server: Registry) -> None:
    for name, description in (
        ("greeting", "Good day."), ("greeting", ""), ("summary", "Short."), ("nothing", "x"), ("greeting", "안녕."),
    ):  # fmt: skip
        server.ask("PATCH", "registered-models/update", {"name": name, "description": description})
    server.ask("PATCH", "registered-models/update", {"name": "greeting"})
    _show_prompts(server, "greeting")


def _rename(server: Registry) -> None:
    for name, new_name in (
        ("summary", "digest"), ("digest", "greeting"), ("digest", "shop"), ("shop", "greeting"), ("nothing", "x"),
        ("digest", "a/b"), ("digest", "digest"), ("digest", "summary"),
    ):  # fmt: skip
        server.ask("POST", "registered-models/rename", {"name": name, "new_name": new_name})
    _show_prompts(server, "summary", "digest")


def _tag(server: Registry) -> None:
    for name, key, value in (
        ("greeting", "k", "v"), ("greeting", "k", "w"), ("greeting", "empty", ""), ("greeting", EXPERIMENTS, ",7,"),
        ("nothing", "k", "v"), ("greeting", "../k", "v"),
    ):  # fmt: skip
        server.ask("POST", "registered-models/set-tag", {"name": name, "key": key, "value": value})
    _show_prompts(server, "greeting")
    for name, key in (("greeting", "k"), ("greeting", "k"), ("nothing", "k")):
        server.ask("DELETE", "registered-models/delete-tag", {"name": name, "key": key})
    _show_prompts(server, "greeting")


def _write(server: Registry) -> None:
    _add(server, "greeting", "Hello {{name}}.", description="First.")
    _add(server, "greeting", "Good day {{ name }}.\n안녕, {{name}}.", {"team": "risk"})
    answer = json.dumps({"type": "object", "properties": {"answer": {"type": "string"}}})
    model = json.dumps({"model_name": "small", "temperature": 0.7})
    _add(server, "chat", MESSAGES, {FORMAT: answer, CONFIG: model, "team": "sales"}, description="Asks.")
    _add(server, "chat", MESSAGES[1:], description="")
    _add(server, "summary", "Say {{text}} in {% if short %}ten{% else %}fifty{% endif %} words.")
    _add(server, "summary", "It's \"{{text}}\" \\ 'quoted'.", {"empty": ""})
    _add(server, "summary", "v" * 5_001)


def _write_badly(server: Registry, run: str) -> None:
    for source in (
        "s3://x/y", f"runs:/{run}/model", "models:/shop/1", "models:/greeting/1", "/etc", "Prompt-Template",
        "prompt-template/", "prompts:/greeting/1", "", None,
    ):  # fmt: skip
        _add(server, "greeting", "x", source=source)
    _add(server, "greeting", "x", source=f"runs:/{run}/model", run_id=run)
    tags = _tags({IS_PROMPT: "true", TEXT: "x", TYPE: "text"})
    server.register("greeting", tags=tags)
    for name in ("nothing", "", "a/b"):
        _add(server, name, "x")
    for some in ({"../k": "v"}, {"": "v"}):
        _add(server, "greeting", "x", some)
    _add(server, "greeting", "v" * 100_001)
    _add(server, "greeting", "x", description=5)


def _show(server: Registry) -> None:
    for name, version in (
        ("greeting", "1"), ("greeting", "2"), ("chat", "1"), ("chat", "2"), ("summary", "1"), ("summary", "2"),
        ("greeting", "9"), ("greeting", "x"), ("greeting", "-1"), ("greeting", " 1"),
        ("greeting", "latest"), ("nothing", "1"), ("a/b", "1"),
    ):  # fmt: skip
        server.show_version(name, version)
    _show_prompts(server, "greeting", "chat")
    for name, version in (("greeting", "1"), ("greeting", "9"), ("greeting", "x"), ("nothing", "1")):
        server.ask("GET", "model-versions/get-download-uri", {"name": name, "version": version})
    for stages in (None, ["None"], ["Production"], ["bogus"]):
        server.show_latest("GET", {"name": "greeting"} | ({"stages": stages} if stages is not None else {}))
    server.show_latest("POST", {"name": "chat"})
    server.show_latest("GET", {"name": "nothing"})


def _describe_versions(server: Registry) -> None:
    for version, description in (("1", "Once."), ("1", ""), ("9", "x"), ("x", "x"), ("2", "Twice.")):
        body = {"name": "greeting", "version": version, "description": description}
        server.ask("PATCH", "model-versions/update", body)
    server.ask("PATCH", "model-versions/update", {"name": "greeting", "version": "2"})
    for version, key, value in (
        ("1", "k", "v"), ("1", "k", "w"), ("1", "empty", ""), ("9", "k", "v"), ("x", "k", "v"), ("1", "../k", "v"),
        ("1", CONFIG, '{"temperature": 1.0}'),
        ("1", "mlflow.prompt.associatedRunIds", "abc"),
    ):  # fmt: skip
        body = {"name": "greeting", "version": version, "key": key, "value": value}
        server.ask("POST", "model-versions/set-tag", body)
    server.show_version("greeting", "1")
    for version, key in (("1", "k"), ("1", "k"), ("9", "k"), ("x", "k"), ("1", CONFIG)):
        body = {"name": "greeting", "version": version, "key": key}
        server.ask("DELETE", "model-versions/delete-tag", body)
    server.show_version("greeting", "1")
    _show_prompts(server, "greeting")


def _alias(server: Registry) -> None:
    path = "registered-models/alias"
    for name, alias, version in (
        ("greeting", "champion", "1"), ("greeting", "champion", "2"), ("greeting", "old", "1"),
        ("greeting", "short", "2"), ("chat", "champion", "1"), ("greeting", "champion", "9"),
        ("greeting", "champion", "x"), ("nothing", "champion", "1"), ("greeting", "latest", "1"),
        ("greeting", "LATEST", "1"), ("greeting", "v1", "1"), ("greeting", "", "1"),
        ("greeting", "7", "1"),
    ):  # fmt: skip
        server.ask("POST", path, {"name": name, "alias": alias, "version": version})
    for name, alias in (
        ("greeting", "champion"), ("greeting", "old"), ("greeting", "latest"), ("greeting", "LATEST"),
        ("chat", "latest"), ("twice", "latest"), ("nothing", "latest"), ("greeting", "nothing"),
        ("nothing", "champion"), ("greeting", "1"),
    ):  # fmt: skip
        server.ask("GET", path, {"name": name, "alias": alias})
    server.show_version("greeting", "1")
    server.show_version("greeting", "2")
    _show_prompts(server, "greeting")
    for name, alias in (
        ("greeting", "old"), ("greeting", "old"), ("greeting", "latest"), ("nothing", "x"),
    ):  # fmt: skip
        server.ask("DELETE", path, {"name": name, "alias": alias})
    server.ask("GET", path, {"name": "greeting", "alias": "old"})
    _show_prompts(server, "greeting")


def _search(server: Registry) -> None:
    """Always in the order of names: prompts are made within one millisecond of each other."""
    for path, filters, order in (
        ("registered-models/search", PROMPT_FILTERS, ["name"]),
        ("model-versions/search", VERSION_FILTERS, ["name", "version_number"]),
    ):
        for filter in filters:
            server.ask("GET", path, {"filter": filter, "max_results": 100, "order_by": order})
        for other in (["name DESC", "version_number DESC"][: len(order)], ["bogus"]):
            server.ask("GET", path, {"filter": PROMPT, "max_results": 100, "order_by": other})
        for number in (200_001, "x"):
            server.ask("GET", path, {"filter": PROMPT, "max_results": number, "order_by": order})
        for filter in (PROMPT, ""):
            _turn_pages(server, path, {"filter": filter, "max_results": 2, "order_by": order})
    newest = {"filter": f"name = 'summary' AND {PROMPT}", "order_by": ["version_number DESC"]}
    _turn_pages(server, "model-versions/search", newest | {"max_results": 2})


def _turn_pages(server: Registry, path: str, query: dict[str, Any]) -> None:
    """To the third page at most."""
    token = ""
    for _ in range(3):
        page = query | ({"page_token": token} if token else {})
        token = server.ask("GET", path, page).get("next_page_token", "")
        if not token:
            return


def _use_as_source(server: Registry, run: str) -> None:
    for where in ("/1", "/9", "/None", "@champion"):
        server.register("shop", source=f"models:/greeting{where}")
    server.register("shop", source="models:/greeting/1", run_id=run)
    server.register("shop", source="models:/shop/1")


def _delete_versions(server: Registry) -> None:
    def delete(name: str, *versions: str) -> None:
        for version in versions:
            server.ask("DELETE", "model-versions/delete", {"name": name, "version": version})

    delete("greeting", "2", "2", "x")
    delete("nothing", "1")
    server.show_version("greeting", "2")
    for alias in ("champion", "latest"):
        server.ask("GET", "registered-models/alias", {"name": "greeting", "alias": alias})
    _show_prompts(server, "greeting")
    _add(server, "greeting", "Bye {{name}}.")
    delete("chat", "1")
    server.show_latest("GET", {"name": "chat"})
    _add(server, "chat", MESSAGES)
    delete("summary", "1", "2", "3")
    server.ask("GET", "registered-models/alias", {"name": "summary", "alias": "latest"})
    _add(server, "summary", "Again {{text}}.")
    query = {"filter": PROMPT, "max_results": 100, "order_by": ["name", "version_number"]}
    server.ask("GET", "model-versions/search", query)


def _delete(server: Registry) -> None:
    def delete(name: Any) -> None:
        server.ask("DELETE", "registered-models/delete", {"name": name})

    for name in ("greeting", "greeting", "a/b"):
        delete(name)
    server.show_version("greeting", "1")
    server.ask("GET", "registered-models/alias", {"name": "greeting", "alias": "champion"})
    _add(server, "greeting", "x")
    _prompt(server, "greeting")
    _add(server, "greeting", "New {{name}}.")
    _show_prompts(server, "greeting")
    delete("greeting")
    server.ask("POST", "registered-models/create", {"name": "greeting", "description": "A model now."})
    _prompt(server, "greeting")
    query = {"max_results": 100, "order_by": ["name"]}
    for filter in (PROMPT, "name = 'greeting'"):
        server.ask("GET", "registered-models/search", {"filter": filter, **query})
    delete("shop")
    _prompt(server, "shop")
    server.ask("GET", "registered-models/search", {"filter": PROMPT, **query})
