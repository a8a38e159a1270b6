"""What is asked about logged models: see `scenarios`."""

import re
from typing import Any

from tests.mlflow_rest.artifact_scenarios import Files

MOMENT = 1_772_368_259_123
FILTERS = [
    "", "name = 'ridge'", "name != 'ridge'", "attributes.name = 'ridge'", "name LIKE 'r%'", "name LIKE 'R%'",
    "name ILIKE 'R%'", "name like 'r%'", "name IN ('ridge', 'tree')", "name in ('ridge')", "name NOT IN ('ridge')",
    "name > 'a'", "name IS NULL", "name IN ()", "name IN ('a", "name = ridge",
    "model_type = 'regressor'", "model_type = ''", "model_type != ''", "status = '2'", "status = 'READY'",
    "model_id = '{ridge}'", "model_id IN ('{ridge}', '{tree}')", "source_run_id = '{run}'", "source_run_id = ''",
    "attributes.source_run_id = '{run}'", "experiment_id = '{one}'",
    "artifact_location LIKE 'mlflow-artifacts:/%/models/%'", "`name` = 'ridge'",
    "creation_time > 0", "creation_timestamp < 0", "last_updated_timestamp >= 1.5", "creation_timestamp_ms = 0",
    "creation_time = 'x'", "creation_time LIKE '1'", "creation_time IN (1)",
    "params.alpha = '0.1'", "params.alpha != '0.1'", "params.`alpha` LIKE '0%'", "params.nothing = 'x'",
    "params.alpha IN ('0.1', '0.5')", "params.alpha > '0'",
    "tags.team = 'risk'", "tags.team != 'risk'", "tags.team ILIKE 'R%'", "tags.`a.b` = 'c'", "tags.a.b = 'c'",
    "metrics.loss < 0.5", "metrics.loss <= 0.5", "metrics.loss = 0.25", "metrics.loss != 0.25", "metrics.loss > 0.2",
    "metrics.loss >= 100", "metrics.loss = 'x'", "metrics.loss IN (1)", "metrics.nothing > 0", "metrics.inf > 1e308",
    "metrics.loss < 0.5 AND params.alpha = '0.1'", "name = 'ridge' and tags.team = 'risk'", "name = 'a' OR name = 'b'",
    "(name = 'ridge')", "name = 'ridge' AND", "AND", "name =", "name", "= 'x'", "bogus = 'x'", "bogus.x = 'y'",
    "dataset.name = 'x'", "name = 'ridge'; name = 'tree'", ";", "'", "name = 'it''s'", "name = \"ridge\"",
]  # fmt: skip
ORDERS: list[Any] = [
    [], [{"field_name": "name"}], [{"field_name": "name", "ascending": False}],
    [{"field_name": "creation_time", "ascending": True}], [{"field_name": "creation_timestamp", "ascending": False}],
    [{"field_name": "last_updated_timestamp"}], [{"field_name": "model_type"}, {"field_name": "name"}],
    [{"field_name": "metrics.loss"}], [{"field_name": "metrics.loss", "ascending": False}],
    [{"field_name": "metrics.loss", "dataset_name": "wine"}],
    [{"field_name": "metrics.loss", "dataset_name": "wine", "dataset_digest": "a1", "ascending": False}],
    [{"field_name": "metrics.nothing"}], [{"field_name": "params.alpha"}], [{"field_name": "bogus"}],
    [{"field_name": ""}], [{}], "name", ["name"], [{"field_name": 5}],
    [{"field_name": "status"}, {"field_name": "name"}], [{"field_name": "source_run_id"}, {"field_name": "name"}],
]  # fmt: skip


class Models(Files):
    """A server, and logged models in it."""

    def make_model(self, name: Any, experiment: str | None, **fields: Any) -> str:
        answer = self.ask("POST", "logged-models", {"experiment_id": experiment, "name": name, **fields})
        found = answer.get("model", {}).get("info", {}).get("model_id", "")
        if found:
            self.names[found] = f"<model {name}>"
            self.noted.pop()
            self.show_model(found)
        return found

    def show_model(self, model: str) -> None:
        self.ask("GET", f"logged-models/{model}")

    def _told(self, value: Any, name: str = "") -> Any:
        if name in ("page_token", "next_page_token"):
            return "a token" if value else value
        if name in ("creation_timestamp_ms", "last_updated_timestamp_ms"):
            return type(value).__name__
        if isinstance(value, str) and (name == "filter" or "logged-models/" in value):
            for found in re.findall("m-[0-9a-f]{32}|(?<!-)[0-9a-f]{32}", value):
                value = value.replace(found, self.names.get(found, found))
        return super()._told(value, name)


def logged_models(server: Models) -> None:
    """A logged model's life: made, logged to, finalized, found, deleted, well and badly."""
    one = server.make("logged models")
    run = server.make_run("training", one)
    ridge = server.make_model(
        "ridge", one, model_type="regressor", source_run_id=run,
        params=[{"key": "alpha", "value": "0.1"}],
        tags=[{"key": "team", "value": "risk"}, {"key": "a.b", "value": "c"}],
    )  # fmt: skip
    tree = server.make_model("tree", one, params=[{"key": "alpha", "value": "0.5"}])
    _make_badly(server, one)
    _finalize(server, ridge, tree)
    _tag(server, ridge)
    _log_parameters(server, ridge)
    _log_metrics(server, run, ridge, tree)
    _note(server, run, ridge, tree)
    _search(server, {"one": one, "run": run, "ridge": ridge, "tree": tree})
    _keep_files(server, one, ridge)
    _delete(server, one, tree)


def _make_badly(server: Models, experiment: str) -> None:
    closed = server.make("closed to models")
    server.ask("POST", "experiments/delete", {"experiment_id": closed})
    for where in (closed, "777777", "abc", "", None, 5):
        server.make_model("x", where)
    for name in ("a/b", "a:b", "a.b", "a%b", 'a"b', "a'b", 5, "n" * 500, "이름"):
        server.make_model(name, experiment)
    for field in ("params", "tags"):
        for number, some in enumerate(([{"key": "k"}], "no", None, [{"key": "k", "value": "v" * 9000}])):
            server.make_model(f"{field}{number}", experiment, **{field: some})
    server.make_model("typed", experiment, model_type=5)


def _finalize(server: Models, ridge: str, tree: str) -> None:
    path = f"logged-models/{ridge}"
    for status in ("LOGGED_MODEL_READY", 2, "2", "LOGGED_MODEL_UPLOAD_FAILED", 3, "", None, 1, 2):
        server.ask("PATCH", path, {"model_id": ridge, "status": status})
    server.ask("PATCH", path, {"model_id": ridge})
    missing = "m-" + "0" * 32
    server.ask("PATCH", f"logged-models/{missing}", {"model_id": missing, "status": 2})
    for found in (ridge, tree, missing, "x"):
        server.show_model(found)


def _tag(server: Models, model: str) -> None:
    path = f"logged-models/{model}/tags"
    for tags in (
        [{"key": "team", "value": "fraud"}, {"key": "new", "value": "1"}],
        [{"key": "twice", "value": "1"}, {"key": "twice", "value": "2"}],
        [{"key": "empty", "value": ""}], [], None, "no",
    ):  # fmt: skip
        server.ask("PATCH", path, {"model_id": model, "tags": tags})
    server.show_model(model)
    for key in ("new", "new", "nothing", "empty"):
        server.ask("DELETE", f"{path}/{key}")
    server.ask("PATCH", path, {"model_id": model, "tags": [{"key": "team", "value": "risk"}]})
    server.show_model(model)


def _log_parameters(server: Models, model: str) -> None:
    path = f"logged-models/{model}/params"
    for params in (
        [{"key": "depth", "value": "3"}, {"key": "empty", "value": ""}], [], None, "no",
        [{"key": "depth", "value": "4"}],
    ):  # fmt: skip
        server.ask("POST", path, {"model_id": model, "params": params})
        server.show_model(model)
    missing = "m-" + "0" * 32
    server.ask("POST", f"logged-models/{missing}/params", {"model_id": missing, "params": []})


def _log_metrics(server: Models, run: str, ridge: str, tree: str) -> None:
    def point(key: str, value: Any, **fields: Any) -> dict[str, Any]:
        return {"key": key, "value": value, "timestamp": MOMENT, "step": 0, **fields}

    server.change("log-metric", run, **point("loss", 0.25, model_id=ridge))
    server.change("log-metric", run, **point("loss", 0.25, model_id=ridge))
    points = [
        point("loss", 0.2, model_id=ridge, step=1, dataset_name="wine", dataset_digest="a1"),
        point("loss", 0.75, model_id=tree, step=1, dataset_name="wine", dataset_digest="a1"),
        point("loss", 0.1, model_id=tree, step=2, dataset_name="wine", dataset_digest="b2"),
        point("loss", 0.9, model_id=tree, step=3, dataset_name="water", dataset_digest="a1"),
        point("inf", "Infinity", model_id=tree),
        point("plain", 1),
    ]
    server.change("log-batch", run, metrics=points)
    server.change("log-batch", run, metrics=points)
    server.change("log-metric", run, **point("loss", 0.3, model_id="m-" + "0" * 32))
    for call in (
        lambda metric: server.change("log-metric", run, **metric),
        lambda metric: server.change("log-batch", run, metrics=[metric]),
    ):
        call(point("half", 1, dataset_name="wine"))
        call(point("half", 1, dataset_digest="a1"))
    for model in (ridge, tree):
        server.show_model(model)
    server.show(run)


def _note(server: Models, run: str, ridge: str, tree: str) -> None:
    server.change("outputs", run, models=[{"model_id": ridge, "step": 3}])
    server.show(run)
    server.change("outputs", run, models=[{"model_id": tree}])
    server.change("outputs", run, models=[{"model_id": tree, "step": 9}])
    server.show(run)
    server.change("log-inputs", run, models=[{"model_id": tree}])
    server.change("log-inputs", run, models=[{"model_id": tree}], datasets=[])
    server.show(run)
    for models in ([], None, "no"):
        server.change("outputs", run, models=models)
    server.change("outputs", "0" * 32, models=[{"model_id": ridge}])


def _search(server: Models, found: dict[str, str]) -> None:
    path, experiments = "logged-models/search", [found["one"]]

    def search(**asked: Any) -> Any:
        told = {"experiment_ids": experiments, "max_results": 50, **asked}
        return server.ask("POST", path, {"order_by": [{"field_name": "name"}], **told})

    for filter in FILTERS:
        for name, value in found.items():
            filter = filter.replace(f"{{{name}}}", value)
        search(filter=filter)
    for order in ORDERS:
        search(order_by=order, filter="name IN ('ridge', 'tree')")
    for datasets in (
        [{"dataset_name": "wine", "dataset_digest": "a1"}], [{"dataset_name": "wine"}], [{"dataset_name": "water"}],
        [{"dataset_name": "wine", "dataset_digest": "b2"}, {"dataset_name": "water"}], [{"dataset_digest": "a1"}],
        [{"dataset_name": ""}], [], "no", [5], None,
    ):  # fmt: skip
        search(datasets=datasets)
        search(datasets=datasets, filter="metrics.loss > 0.5")
    for number in (0, 1, 2, None, "2"):
        search(max_results=number, filter="name IN ('ridge', 'tree')")
    token = search(max_results=1).get("next_page_token", "")
    search(max_results=2, page_token=token)
    for token in ("x", "!!", "bnVsbA==", ""):
        search(page_token=token)
    for where in ([], None, ["777777"], "no", [5], ["abc"]):
        search(experiment_ids=where)


def _keep_files(server: Models, experiment: str, model: str) -> None:
    place = f"{experiment}/models/{model}/artifacts"
    for path, content in {"MLmodel": b"flavors: {}", "data/model.skops": b"abc", "empty": b""}.items():
        server.send("PUT", f"artifacts/{place}/{path}", content)
    for path in (None, "", "data", "MLmodel", "nothing", "..", "data/"):
        asked = {} if path is None else {"artifact_directory_path": path}
        server.ask("GET", f"logged-models/{model}/artifacts/directories", asked)
    for path in ("MLmodel", "data/model.skops", "nothing", "../MLmodel"):
        server.send("GET", f"artifacts/{place}/{path}")
    server.send("GET", f"artifacts?path={place}")
    server.send("GET", f"artifacts?path={place}/data")
    server.send("DELETE", f"artifacts/{place}/data")
    server.send("GET", f"artifacts?path={place}")


def _delete(server: Models, experiment: str, model: str) -> None:
    path = f"logged-models/{model}"
    for _time in range(2):
        server.ask("DELETE", path)
    server.show_model(model)
    server.ask("GET", path, {"allow_deleted": "true"})
    server.ask("GET", path, {"allow_deleted": "false"})
    server.ask("POST", "logged-models/search", {"experiment_ids": [experiment], "filter": "name = 'tree'"})
    server.ask("PATCH", path, {"model_id": model, "status": 2})
    server.ask("PATCH", f"{path}/tags", {"model_id": model, "tags": [{"key": "late", "value": "1"}]})
    server.ask("GET", f"{path}/artifacts/directories")
    server.ask("DELETE", "logged-models/m-" + "0" * 32)
