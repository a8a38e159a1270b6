"""What is asked about runs: see `scenarios`."""

import json
import re
from typing import Any

from tests.mlflow_rest.scenarios import Server

MOMENT = 1_772_368_259_123
DATASET = {"name": "wine", "digest": "abc123", "source_type": "local", "source": '{"uri": "/data/wine.csv"}'}
MODEL = {
    "run_id": "x",
    "artifact_path": "model",
    "utc_time_created": "2026-01-01",
    "model_uuid": "y",
    "flavors": {"f": {"a": 1, "config": 2}},
}


class Runs(Server):
    """A server, and what is asked about runs of one experiment."""

    def make_run(self, name: Any, experiment: str, **fields: Any) -> str:
        body = {"experiment_id": experiment, "run_name": name, "start_time": MOMENT, **fields}
        answer = self.ask("POST", "runs/create", body)
        found = answer.get("run", {}).get("info", {}).get("run_id", "")
        if found:
            self.names[found] = f"<run {name}>"
            self.noted.pop()
            self.ask("GET", "runs/get", {"run_id": found})
        return found

    def _told(self, value: Any, name: str = "") -> Any:
        """Of a run that goes on, MLflow tells when it ended before; here it has no end."""
        if (
            isinstance(value, dict)
            and value.get("status") in ("RUNNING", "SCHEDULED")
            and "run_name" in value
        ):
            value = {key: part for key, part in value.items() if key != "end_time"}
        if name == "filter":
            for found in re.findall("[0-9a-f]{32}", value):
                value = value.replace(found, self.names[found])
        return super()._told(value, name)

    def change(self, path: str, run: str | None, **fields: Any) -> None:
        self.ask("POST", f"runs/{path}", {"run_id": run, **fields})

    def show(self, run: str) -> None:
        self.ask("GET", "runs/get", {"run_id": run})


def runs(server: Runs) -> None:
    """A run's life: made, logged to, changed, deleted and restored, well and badly."""
    experiment = server.make("runs")
    a = server.make_run("a", experiment, user_id="sora", tags=[{"key": "team", "value": "risk"}])
    b = server.make_run("b", experiment)
    _make(server, experiment)
    for found in (a, "0" * 32, "", None, "../x", "x" * 300):
        server.ask("GET", "runs/get", {"run_id": found})
    server.ask("GET", "runs/get", {"run_uuid": a})
    _update(server, b)
    _tag(server, a)
    _log_parameters(server, a)
    _log_metrics(server, a)
    _log_batches(server, b)
    _log_inputs(server, a)
    _log_models(server, a)
    _delete(server, a, experiment)


def _make(server: Runs, experiment: str) -> None:
    closed = server.make("closed")
    server.ask("POST", "experiments/delete", {"experiment_id": closed})
    for where in (closed, "777777", "abc", "", None, 5):
        server.make_run("nowhere", where)
    tags: list[Any] = [
        [{"key": "mlflow.runName", "value": "t1"}], [{"key": "mlflow.user", "value": "me"}],
        [{"key": "k", "value": ""}],
        [{"key": "mlflow.note.content", "value": "**why**"}], [{"key": "k"}], [{"key": "v", "value": "v" * 8001}],
        [{"key": "twice", "value": "v"}, {"key": "twice", "value": "v"}],
    ]  # fmt: skip
    for number, some in enumerate(tags):
        server.make_run(f"t{number}", experiment, tags=some)
    server.make_run("mine", experiment, tags=[{"key": "mlflow.runName", "value": "other"}])
    for name in (5, "이름", "a/b:c"):
        server.make_run(name, experiment)
    for start in ("1772368259123", "x", -1, 2**40):
        server.make_run(f"started {start}", experiment, start_time=start)


def _update(server: Runs, run: str) -> None:
    for status in ("FINISHED", "RUNNING", "FAILED", "KILLED", "SCHEDULED", "FINISHED", 1, 3, "3", None):
        server.change("update", run, status=status, end_time=MOMENT + 1000)
        server.show(run)
    server.change("update", run, status="RUNNING")
    server.show(run)
    server.change("update", run, status="FAILED", end_time=MOMENT + 1000)
    for fields in (
        {"run_name": "renamed"}, {"run_name": ""}, {"run_name": "b"}, {"run_name": 5}, {"run_name": None},
        {"end_time": "x"}, {"end_time": MOMENT + 2000}, {"status": "FINISHED", "end_time": str(MOMENT + 3000)}, {},
    ):  # fmt: skip
        server.change("update", run, **fields)
        server.show(run)
    for found in ("0" * 32, "", None):
        server.change("update", found, status="FINISHED")


def _tag(server: Runs, run: str) -> None:
    pairs: list[Any] = [
        ("k", "v"), ("k", "v2"), ("empty", ""), ("none", None), ("../x", "v"), ("a b/c:d", "v"), ("", "v"), (None, "v"),
        ("bad*", "v"), ("k" * 250, "v"), ("k" * 251, "v"), ("long", "v" * 8001), ("n", 5),
        ("mlflow.note.content", "note"),
        ("mlflow.runName", "a2"), ("mlflow.runName", "a"), ("이름", "값"), ("/x", "v"), ("a//b", "v"), (".", "v"),
    ]  # fmt: skip
    for key, value in pairs:
        server.change("set-tag", run, key=key, value=value)
    server.show(run)
    server.change("set-tag", "0" * 32, key="k", value="v")
    for key in ("k", "k", "none", "a b/c:d", "", None, "mlflow.note.content", "mlflow.note.content"):
        server.change("delete-tag", run, key=key)
    server.change("delete-tag", "0" * 32, key="k")
    server.show(run)


def _log_parameters(server: Runs, run: str) -> None:
    pairs: list[Any] = [
        ("p", "1x"), ("p", "1x"), ("p", "2x"), ("empty", ""), ("none", None), ("../x", "v"), ("a b/c:d", "v"),
        ("", "v"),
        ("bad*", "v"), ("p" * 250, "v"), ("p" * 251, "v"), ("long", "v" * 6001), ("long", "v" * 6000), ("n", 5),
    ]  # fmt: skip
    for key, value in pairs:
        server.change("log-parameter", run, key=key, value=value)
    server.show(run)
    server.change("log-parameter", "0" * 32, key="p", value="v")


def _log_metrics(server: Runs, run: str) -> None:
    def log(key: Any, value: Any, timestamp: Any = MOMENT, **fields: Any) -> None:
        server.change("log-metric", run, key=key, value=value, timestamp=timestamp, **fields)

    for value in (
        1,
        0.5,
        "0.25",
        "NaN",
        "Infinity",
        "-Infinity",
        None,
        "x",
        True,
        "1e3",
        1e308,
        "",
        [1],
        -0.0,
    ):
        log("m", value)
        server.show(run)
    for step in (0, 1, 5, 3, -7, "4", 2.0, "x", None, 2**62):
        log("stepped", 0.5, step=step)
        server.show(run)
    for timestamp in (0, 1, -1, "5", 7.0, None, "x", 2**62):
        log("timed", 0.5, timestamp)
    for key in ("a b/c:d", "../x", "", None, "bad*", "m" * 250, "m" * 251, 5, "이름"):
        log(key, 1)
    for value in ("NaN", 0.0, -1.0, "NaN"):  # at one step and time
        log("nans", value)
    server.show(run)
    server.change("log-metric", run, key="m", value=1)
    server.change("log-metric", run, key="m", timestamp=1)
    server.change("log-metric", "0" * 32, key="m", value=1, timestamp=1)
    for key in ("m", "stepped", "timed", "nans", "nothing", "", None):
        server.ask("GET", "metrics/get-history", {"run_id": run, "metric_key": key})
    _history(server, run)


def _history(server: Runs, run: str) -> None:
    asked = {"run_id": run, "metric_key": "stepped"}
    for most in (0, -1, 2, 100):
        server.ask("GET", "metrics/get-history", {**asked, "max_results": most})
    token = server.ask("GET", "metrics/get-history", {**asked, "max_results": 2})["next_page_token"]
    server.ask("GET", "metrics/get-history", {**asked, "max_results": 2, "page_token": token})
    server.ask("GET", "metrics/get-history", {**asked, "page_token": token})
    server.ask("GET", "metrics/get-history", {"run_id": "0" * 32, "metric_key": "m"})


def _log_batches(server: Runs, run: str) -> None:
    point = {"key": "loss", "value": 0.5, "timestamp": MOMENT, "step": 1}
    batches: list[dict[str, Any]] = [
        {},
        {"metrics": [point], "params": [{"key": "q", "value": "v"}], "tags": [{"key": "t", "value": "v"}]},
        {"metrics": [point, point, {**point, "step": 2, "value": 0.25}]},
        {"metrics": [{**point, "step": step} for step in range(1000)]},
        {"metrics": [{**point, "step": step} for step in range(1001)]},
        {"params": [{"key": f"p{number}", "value": "v"} for number in range(100)]},
        {"params": [{"key": f"p{number}", "value": "v"} for number in range(101)]},
        {"tags": [{"key": f"t{number}", "value": "v"} for number in range(101)]},
        {"metrics": [{**point, "step": step} for step in range(999)], "params": [{"key": "over", "value": "v"}] * 2},
        {"params": [{"key": "twice", "value": "v"}, {"key": "twice", "value": "v"}]},
        {"params": [{"key": "q", "value": "other"}]},
        {"params": [{"key": "q", "value": "v"}]},
        {"tags": [{"key": "t", "value": "1y"}, {"key": "t", "value": "2y"}]},
        {"tags": [{"key": "mlflow.runName", "value": "by batch"}]},
        {"tags": [{"key": "mlflow.runName", "value": "b"}]},
        {"metrics": [{"key": "loss", "value": 1, "timestamp": -1}]},
        {"metrics": [{"key": "loss", "value": 1}]},
        {"metrics": [{"key": "loss", "timestamp": 1}]},
        {"metrics": [{"value": 1, "timestamp": 1}]},
        {"metrics": [{**point, "key": "bad*"}]},
        {"params": [{"value": "v"}]},
        {"params": [{"key": "bad*", "value": "v"}]},
        {"tags": [{"value": "v"}]},
        {"tags": [{"key": "bad*", "value": "v"}]},
        {"metrics": "no"}, {"params": "no"}, {"tags": "no"}, {"metrics": [5]},
        {"metrics": [{**point, "value": "NaN", "step": 9}, {**point, "value": "Infinity", "step": 8}]},
        {"metrics": [{**point, "key": "fresh"}], "params": [{"key": "q", "value": "changed"}]},
    ]  # fmt: skip
    for batch in batches:
        server.change("log-batch", run, **batch)
    server.show(run)
    for found in ("0" * 32, "", None):
        server.change("log-batch", found, metrics=[point])


def _log_inputs(server: Runs, run: str) -> None:
    tag = {"key": "mlflow.data.context", "value": "training"}
    inputs: list[Any] = [
        [{"dataset": DATASET, "tags": [tag]}], [{"dataset": DATASET, "tags": []}], [],
        [{"dataset": {**DATASET, "digest": "other", "schema": "{}", "profile": "{}"}}],
        [{"dataset": {**DATASET, "name": "n" * 501}}], [{"dataset": {**DATASET, "digest": "d" * 37}}],
        [{"dataset": {**DATASET, "name": "long", "source": "s" * 65_536}}], "no",
        [{"dataset": {**DATASET, "name": "tags"}, "tags": [{"key": "k" * 256, "value": "v"}]}],
        [{"dataset": {**DATASET, "name": "tags"}, "tags": [{"key": "k", "value": "v" * 501}]}],
        [{"dataset": {**DATASET, "name": "same"}}, {"dataset": {**DATASET, "name": "same"}}],
    ]  # fmt: skip
    for datasets in inputs:
        server.change("log-inputs", run, datasets=datasets)
    server.show(run)
    server.change("log-inputs", "0" * 32, datasets=[{"dataset": DATASET}])


def _log_models(server: Runs, run: str) -> None:
    for told in (MODEL, MODEL, {"flavors": {}}, 5, "x"):
        server.change("log-model", run, model_json=json.dumps(told))
    for raw in ("{", "", None):
        server.change("log-model", run, model_json=raw)
    server.show(run)


def _delete(server: Runs, run: str, experiment: str) -> None:
    for path in ("delete", "delete"):
        server.change(path, run)
        server.show(run)
    point = {"key": "late", "value": 1, "timestamp": 1}
    server.change("update", run, status="FINISHED", end_time=MOMENT)
    server.change("log-metric", run, **point)
    server.change("log-parameter", run, key="late", value="v")
    server.change("set-tag", run, key="late", value="v")
    server.change("delete-tag", run, key="team")
    server.change("log-batch", run, metrics=[point])
    server.change("log-inputs", run, datasets=[{"dataset": DATASET}])
    server.change("log-model", run, model_json=json.dumps(MODEL))
    for path in ("restore", "restore"):
        server.change(path, run)
        server.show(run)
    for path in ("delete", "restore"):
        for found in ("0" * 32, "", None):
            server.change(path, found)
    server.ask("POST", "experiments/delete", {"experiment_id": experiment})
    server.show(run)
    server.ask("POST", "experiments/restore", {"experiment_id": experiment})
    server.show(run)
