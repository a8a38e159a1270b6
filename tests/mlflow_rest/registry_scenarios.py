"""What is asked about registered models and their versions: see `scenarios`."""

import json
from typing import Any

from tests.mlflow_rest.logged_model_scenarios import Models

MLMODEL = b"flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n"
MODEL_FILTERS = [
    "", "name = 'wine'", "name != 'wine'", "name LIKE 'w%'", "name ILIKE 'W%'", "name LIKE 'W%'",
    "name IN ('wine', 'x')",
    "name NOT IN ('wine')", "attribute.name = 'wine'", "name > 'a'", "name = wine", "name =", "name", "bogus = 'x'",
    "tags.team = 'risk'", "tags.team != 'risk'", "tag.team LIKE 'r%'", "tags.team ILIKE 'R%'", "tags.`a.b` = 'c'",
    "tags.team = 'risk' AND name = 'wine'", "tags.team = 'risk' AND tags.`a.b` = 'c'", "tags.nothing = 'x'",
    "tags.team > 'a'", "tags.team IN ('risk')", "tags.`mlflow.prompt.is_prompt` = 'true'",
    "tags.`mlflow.prompt.is_prompt` != 'true'", "tags.`mlflow.prompt.is_prompt` = 'false'", "name = 'a' OR name = 'b'",
    "metrics.loss > 1", "run_id = 'x'", "name = 'it''s'", "creation_timestamp > 0", "last_updated_timestamp > 0",
]  # fmt: skip
MODEL_ORDERS = [
    [], ["name"], ["name DESC"], ["timestamp"], ["timestamp DESC"], ["last_updated_timestamp DESC", "name"],
    ["name ASC"], ["bogus"], ["name FOO"], ["name", "name DESC"], ["creation_timestamp"], ["version_number"],
]  # fmt: skip
VERSION_FILTERS = [
    "", "name = 'wine'", "name != 'wine'", "name LIKE 'w%'", "name IN ('wine')", "run_id = '{run}'", "run_id = ''",
    "run_id IN ('{run}', 'x')", "run_id IN ()", "run_id LIKE '%'", "source_path LIKE 'models:/%'",
    "source_path = 'models:/{model}'", "source_path IN ('x')", "version_number = 1", "version_number > 1",
    "version_number != 1", "version_number <= 2", "version_number = '1'", "version_number = 1.5",
    "version_number LIKE '1'", "version_number IN (1)", "tags.team = 'risk'", "tags.team != 'risk'",
    "tags.team LIKE 'r%'", "tags.team > 'a'", "tags.nothing = 'x'", "name = 'wine' AND version_number = 1",
    "bogus = 'x'", "name =", "version = 1", "current_stage = 'None'", "creation_timestamp > 0",
    "tags.`mlflow.prompt.is_prompt` != 'true'",
]  # fmt: skip
VERSION_ORDERS = [
    ["name", "version_number"], ["version_number DESC", "name"], ["creation_timestamp", "name", "version_number"],
    ["last_updated_timestamp DESC", "name", "version_number"], ["name DESC"], ["bogus"], ["run_id"], ["name", "name"],
]  # fmt: skip


class Registry(Models):
    """A server, and registered models in it."""

    def register(self, name: Any, **fields: Any) -> Any:
        return self.ask("POST", "model-versions/create", {"name": name, **fields})

    def show_version(self, name: Any, version: Any) -> None:
        self.ask("GET", "model-versions/get", {"name": name, "version": version})

    def show_latest(self, method: str, body: Any) -> None:
        """Of the latest versions the order says nothing."""
        self.ask(method, "registered-models/get-latest-versions", body)
        question, (status, told) = self.noted.pop()
        if isinstance(told, dict):
            told = sorted(told.get("model_versions", []), key=json.dumps)
        self.noted.append((question, (status, told)))

    def _told(self, value: Any, name: str = "") -> Any:
        if isinstance(value, dict) and value.get("description") == "":
            value = {key: part for key, part in value.items() if key != "description"}
        if name in ("creation_timestamp", "last_updated_timestamp"):
            return type(value).__name__
        if isinstance(value, str) and name in ("source", "filter", "artifact_uri"):
            for found, told in self.names.items():
                if len(found) >= 32:
                    value = value.replace(found, told)
        told = super()._told(value, name)
        is_list = name == "latest_versions" and isinstance(told, list)
        return sorted(told, key=json.dumps) if is_list else told


def registry(server: Registry) -> None:
    """A registered model's life: made, described, versioned, moved, searched and deleted, well and badly."""
    experiment = server.make("registry")
    run = server.make_run("training", experiment)
    server.send("PUT", f"artifacts/{experiment}/{run}/artifacts/model/MLmodel", MLMODEL)
    model = server.make_model("logged", experiment, source_run_id=run)
    server.send("PUT", f"artifacts/{experiment}/models/{model}/artifacts/MLmodel", MLMODEL)
    _make(server)
    _describe(server)
    _version(server, experiment, run, model)
    _version_badly(server, experiment, run, model)
    _describe_versions(server)
    _alias(server)
    _move(server)
    _search(server, run, model)
    _delete(server)


def _make(server: Registry) -> None:
    def make(name: Any, **fields: Any) -> None:
        server.ask("POST", "registered-models/create", {"name": name, **fields})

    make("wine", description="Red.", tags=[{"key": "team", "value": "risk"}, {"key": "a.b", "value": "c"}])
    make("water")
    for name in ("wine", "", " ", None, 5, "a/b", "a:b", "이름", "..", "a b"):
        make(name)
    for number, tags in enumerate(
        ([{"key": "k"}], [{"key": "../k", "value": "v"}], [{"key": "k" * 251, "value": "v"}], "no", None,
         [{"key": "k", "value": "1"}, {"key": "k", "value": "2"}], [{"key": "k", "value": "v" * 100_001}])
    ):  # fmt: skip
        make(f"tags{number}", tags=tags)
    for name in ("wine", "nothing", "", "a/b"):
        server.ask("GET", "registered-models/get", {"name": name})
    server.ask("GET", "registered-models/get", {})


def _describe(server: Registry) -> None:
    for name, description in (
        ("wine", "White."),
        ("wine", ""),
        ("nothing", "x"),
        ("wine", 5),
        ("wine", "Red."),
    ):
        server.ask("PATCH", "registered-models/update", {"name": name, "description": description})
    for name, key, value in (
        ("wine", "k", "v"), ("wine", "k", "w"), ("wine", "empty", ""), ("nothing", "k", "v"), ("wine", "../k", "v"),
        ("wine", "", "v"), ("wine", "n", 5), ("wine", "long", "v" * 100_001),
    ):  # fmt: skip
        server.ask("POST", "registered-models/set-tag", {"name": name, "key": key, "value": value})
    for name, key in (("wine", "k"), ("wine", "k"), ("wine", "../k"), ("nothing", "k"), ("wine", "")):
        server.ask("DELETE", "registered-models/delete-tag", {"name": name, "key": key})
    server.ask("GET", "registered-models/get", {"name": "wine"})
    for name, new_name in (
        ("water", "tea"),
        ("tea", "wine"),
        ("nothing", "x"),
        ("tea", "a/b"),
        ("tea", ""),
        ("tea", "water"),
    ):
        server.ask("POST", "registered-models/rename", {"name": name, "new_name": new_name})
    server.ask("GET", "registered-models/get", {"name": "water"})


def _version(server: Registry, experiment: str, run: str, model: str) -> None:
    server.register(
        "wine", source=f"models:/{model}", model_id=model, tags=[{"key": "team", "value": "risk"}]
    )
    server.register(
        "wine", source=f"runs:/{run}/model", run_id=run, description="By hand.", run_link="http://ci/1"
    )
    server.register("wine", source=f"mlflow-artifacts:/{experiment}/{run}/artifacts/model", run_id=run)
    server.register(
        "wine", source=f"mlflow-artifacts:/{experiment}/models/{model}/artifacts", model_id=model, run_id=run
    )
    server.register("water", source="models:/wine/1")
    server.register("water", source="models:/wine/2", run_id=run)
    for name, version in (
        ("wine", "1"), ("wine", "2"), ("wine", "3"), ("wine", "4"), ("water", "1"), ("water", "2"), ("wine", "9"),
        ("wine", "x"), ("wine", ""), ("nothing", "1"), ("a/b", "1"), ("wine", "-1"), ("wine", " 1"), ("wine", "1.0"),
    ):  # fmt: skip
        server.show_version(name, version)
    server.ask("GET", "registered-models/get", {"name": "wine"})
    server.ask("GET", f"logged-models/{model}")
    for version in ("1", "2", "3", "4", "9", "x"):
        server.ask("GET", "model-versions/get-download-uri", {"name": "wine", "version": version})
    for stages in (None, [], ["None"], ["none", "Production"], ["Staging"], ["bogus"]):
        for method in ("GET", "POST"):
            server.show_latest(
                method,
                {"name": "wine"} | ({"stages": stages} if stages is not None else {}),
            )
    server.show_latest("GET", {"name": "nothing"})


def _version_badly(server: Registry, experiment: str, run: str, model: str) -> None:
    place = f"mlflow-artifacts:/{experiment}/{run}/artifacts"
    for source in (
        f"models:/{model}", "models:/m-" + "0" * 32, "models:/nothing/1", "models:/wine/9", "models:/wine@nothing",
        f"runs:/{run}/model", f"{place}/model", "/etc", "file:///etc", "../..", f"runs:/{run}/../x",
        f"{place}/../../x", f"{place}/%2e%2e/x", f"{place}/%252e%252e/x", f"{place}\\..\\x", f"{place}/model#x",
        f"{place}/model?x=1", "file://host/etc", "models://host/wine/1", f"runs://host/{run}/model",
    ):  # fmt: skip
        server.register("wine", source=source)
    server.register("wine", source=f"models:/{model}", run_id=run)
    server.register("wine", source=f"runs:/{run}/model", run_id="0" * 32)
    server.register("wine", source=f"runs:/{run}/model", model_id=model)
    server.register("wine", source=f"{place}/model", run_id="0" * 32)
    server.register("wine", source="models:/wine/1", run_id="0" * 32)
    server.register("nothing", source=f"runs:/{run}/model", run_id=run)
    for name in ("", None, "a/b"):
        server.register(name, source=f"runs:/{run}/model", run_id=run)
    server.register("wine")
    server.register("wine", source="")
    for tags in ("no", [{"key": "../k", "value": "v"}]):
        server.register("wine", source=f"runs:/{run}/model", run_id=run, tags=tags)


def _describe_versions(server: Registry) -> None:
    for version, description in (
        ("1", "First."),
        ("1", ""),
        ("9", "x"),
        ("x", "x"),
        ("1", 5),
        ("1", "First."),
    ):
        server.ask(
            "PATCH", "model-versions/update", {"name": "wine", "version": version, "description": description}
        )
    server.ask("PATCH", "model-versions/update", {"name": "wine", "version": "2"})
    for version, key, value in (
        ("1", "k", "v"), ("1", "k", "w"), ("1", "empty", ""), ("9", "k", "v"), ("x", "k", "v"), ("1", "../k", "v"),
        ("1", "", "v"), (1, "k", "v"),
    ):  # fmt: skip
        body = {"name": "wine", "version": version, "key": key, "value": value}
        server.ask("POST", "model-versions/set-tag", body)
    for version, key in (("1", "k"), ("1", "k"), ("9", "k"), ("1", "../k")):
        server.ask("DELETE", "model-versions/delete-tag", {"name": "wine", "version": version, "key": key})
    server.show_version("wine", "1")


def _alias(server: Registry) -> None:
    path = "registered-models/alias"
    for name, alias, version in (
        ("wine", "champion", "1"), ("wine", "challenger", "2"), ("wine", "champion", "2"), ("wine", "old", "1"),
        ("wine", "champion", "9"), ("wine", "champion", "x"), ("nothing", "champion", "1"), ("wine", "v1", "1"),
        ("wine", "latest", "1"), ("wine", "a b", "1"), ("wine", "", "1"), ("wine", "a" * 256, "1"),
    ):  # fmt: skip
        server.ask("POST", path, {"name": name, "alias": alias, "version": version})
    for name, alias in (
        ("wine", "champion"),
        ("wine", "nothing"),
        ("nothing", "champion"),
        ("wine", ""),
        ("wine", "a b"),
    ):
        server.ask("GET", path, {"name": name, "alias": alias})
    server.show_version("wine", "2")
    server.ask("GET", "registered-models/get", {"name": "wine"})
    for name, alias in (("wine", "old"), ("wine", "old"), ("nothing", "x"), ("wine", "")):
        server.ask("DELETE", path, {"name": name, "alias": alias})
    server.ask("GET", "registered-models/get", {"name": "wine"})


def _move(server: Registry) -> None:
    """Where stages need no approval."""
    for version, stage, archive in (
        ("1", "Staging", False), ("2", "staging", True), ("2", "Production", None), ("3", "PRODUCTION", True),
        ("3", "Archived", True), ("3", "bogus", False), ("9", "Staging", False), ("x", "Staging", False),
        ("1", "None", False), ("1", "", False), ("4", "Archived", False),
    ):  # fmt: skip
        body = {"name": "wine", "version": version, "stage": stage, "archive_existing_versions": archive}
        server.ask("POST", "model-versions/transition-stage", body)
    server.ask("GET", "registered-models/get", {"name": "wine"})
    server.show_latest("GET", {"name": "wine"})


def _search(server: Registry, run: str, model: str) -> None:
    for path, filters, orders in (
        ("registered-models/search", MODEL_FILTERS, MODEL_ORDERS),
        ("model-versions/search", VERSION_FILTERS, VERSION_ORDERS),
    ):
        order = orders[0]
        for filter in filters:
            asked = filter.replace("{run}", run).replace("{model}", model)
            server.ask("GET", path, {"filter": asked, "max_results": 100, "order_by": order})
        for order in orders[1:]:
            server.ask("GET", path, {"max_results": 100, "order_by": order})
        for number in (1, 2, "2", 1001, 200_001, "x"):
            server.ask("GET", path, {"max_results": number, "order_by": orders[0]})
        token = server.ask("GET", path, {"max_results": 1, "order_by": orders[0]})["next_page_token"]
        server.ask("GET", path, {"max_results": 2, "order_by": orders[0], "page_token": token})
        for token in ("x", "!!", "bnVsbA==", ""):
            server.ask("GET", path, {"max_results": 2, "page_token": token, "order_by": orders[0]})


def _delete(server: Registry) -> None:
    for version in ("1", "1", "9", "x"):
        server.ask("DELETE", "model-versions/delete", {"name": "wine", "version": version})
    server.show_version("wine", "1")
    server.ask("GET", "registered-models/get", {"name": "wine"})
    for name in ("wine", "wine", "nothing", "", "a/b"):
        server.ask("DELETE", "registered-models/delete", {"name": name})
    server.show_version("wine", "2")
    server.ask("POST", "registered-models/create", {"name": "wine"})
    server.ask("GET", "registered-models/get", {"name": "wine"})
    server.ask("GET", "model-versions/search", {"filter": "name = 'wine'"})
