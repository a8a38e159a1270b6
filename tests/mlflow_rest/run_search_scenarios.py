"""What is asked of searches of runs: see `scenarios`."""

from typing import Any

from tests.mlflow_rest.run_scenarios import DATASET, MOMENT, Runs

FILTERS = [
    "", "metrics.loss < 0.5", "metrics.loss <= 0.5", "metrics.loss > 0.25", "metrics.loss >= 0.25",
    "metrics.loss = 0.5",
    "metrics.loss != 0.5", "metric.loss = 0.5", "metrics.`a b/c` > 1", "metrics.\"a b/c\" > 1", "metrics.loss = 'x'",
    "metrics.loss LIKE '0%'", "metrics.loss < 1e308", "metrics.loss < -1", "metrics.nothing > 0",
    "metrics.loss IS NULL",
    "metrics.loss IN (1)", "metrics.loss > -1e400", "loss < 1",
    "params.depth = '3x'", "params.depth != '3x'", "param.depth = '3x'", "parameters.depth='3x'", "params.depth = 3",
    "params.depth LIKE '%x'", "params.depth LIKE '%X'", "params.depth ILIKE '%X'", "params.depth > '3x'",
    "params.empty = ''",
    "params.depth IS NULL", "params.depth IS NOT NULL", "params.depth is null", "params.depth IN ('3x')",
    "tags.team = 'risk'", "tags.team != 'risk'", "tags.team LIKE 'r%'", "tags.team ILIKE 'R%'", "tags.team LIKE 'R%'",
    "tags.team IS NULL", "tags.team IS NOT NULL", "tags.`x.y` = 'One'", "tags.team IN ('risk')", "tags.team > 'a'",
    "tags.mlflow.runName = 'a'", "tags.`mlflow.runName` LIKE '%'", "tags.mlflow.runName != 'a'",
    "tags.mlflow.runName IS NULL",
    "tags.mlflow.note.content = 'why'", "tags.mlflow.note.content IS NOT NULL", "tags.mlflow.note.content != 'x'",
    "attributes.status = 'FINISHED'", "status = 'FINISHED'", "status != 'FINISHED'", "status = 'finished'",
    "status LIKE 'F%'",
    "status IN ('FINISHED')", "attributes.run_name = 'a'", "run_name = 'a'", "run_name != 'a'", "run_name LIKE 'A'",
    "run_name ILIKE 'A'", "`run name` = 'a'", "attributes.`Run Name` = 'a'", "attr.run_name LIKE '%'",
    "run_name IS NULL",
    "run_id = '{a}'", "run_id != '{a}'", "run_id IN ('{a}','{b}')", "run_id NOT IN ('{a}')",
    "attributes.run_id IN ('{a}')",
    "run_id LIKE '%'", "run_id IN ('x')", "run_id IN ()", "run_name IN ('a')",
    "artifact_uri LIKE 'mlflow-artifacts:%'", "artifact_uri = 'x'", "artifact_uri LIKE '%{a}%'",
    "user_id = 'sora'", "user_id != 'sora'", "attributes.user_id = ''",
    "start_time > 0", "attributes.start_time = {moment}", "start_time != {moment}", "start_time <= {moment}",
    "start_time < {moment}", "start_time >= {moment}", "created > 0", "attributes.Created > {moment}",
    "start_time = 'x'",
    "end_time > 0", "end_time != 5", "end_time < 0", "start_time > 1.5", "start_time < 1.5", "start_time = 1.5",
    "start_time != 1.5", "start_time LIKE '1'", "start_time IN (1)",
    "datasets.name = 'wine'", "dataset.name = 'wine'", "datasets.digest = 'abc123'", "datasets.context = 'training'",
    "dataset.context != 'training'", "dataset.name LIKE 'w%'", "dataset.name IN ('wine','x')",
    "dataset.name ILIKE 'W%'",
    "dataset.colour = 'x'", "datasets.name > 'x'", "dataset.name = wine", "dataset.name IS NULL",
    "metrics.loss < 1 AND params.depth = '3x'", "metrics.loss < 1 and tags.team = 'risk' and status = 'FINISHED'",
    "metrics.loss < 1 OR params.depth = '3x'", "metrics.loss < 1 AND metrics.loss > 0", "(metrics.loss < 1)",
    "params.depth = '3x' AND params.depth = '4x'", "metrics.loss <", "AND", "bogus = 'x'", "bogus.x = 'y'",
    "lifecycle_stage = 'active'",
    "experiment_id = '1'", "params.a = 'it''s'", "params.a = '", ";", "metrics.loss < 1;", "NOT metrics.loss < 1",
    "x" * 300,
]  # fmt: skip
ORDERS: list[Any] = [
    [], ["metrics.loss"], ["metrics.loss ASC"], ["metrics.loss DESC"], ["metric.loss DESC", "params.depth"],
    ["metrics.nothing"],
    ["metrics.`a b/c` DESC"], ["params.depth"], ["params.depth DESC"], ["parameters.depth desc"], ["tags.team"],
    ["tags.team DESC"], ["tags.mlflow.runName"], ["tags.mlflow.note.content"], ["attributes.start_time"],
    ["start_time DESC"],
    ["start_time ASC"], ["end_time"], ["end_time DESC"], ["status"], ["status DESC", "run_name"], ["run_name"],
    ["run_name DESC"], ["user_id", "run_name DESC"], ["created DESC"], ["Created"],
    ["bogus"], ["bogus.x"], ["metrics.loss FOO"], ["metrics.loss ASC DESC"], ["metrics.loss", "metrics.loss DESC"],
    ["start_time", "created"], "metrics.loss", [""], [5], ["dataset.name"], ["experiment_id"], ["lifecycle_stage"],
]  # fmt: skip


def searches(server: Runs) -> None:
    """Filters, orders, views and pages over seven runs in two experiments."""
    one, other = server.make("one"), server.make("other")
    a, b = _make_runs(server, one, other)
    for filter in FILTERS:
        asked = filter.replace("{a}", a).replace("{b}", b).replace("{moment}", str(MOMENT))
        _search(server, [one, other], filter=asked, order_by=["run_name"])
    for order in ORDERS:
        _search(server, [one, other], order_by=order)
    _page(server, one, other)
    server.change("delete", a)
    for view in ("ACTIVE_ONLY", "DELETED_ONLY", "ALL", 1, 2, 3, None):
        _search(server, [one, other], run_view_type=view, order_by=["run_name"])
    server.ask("POST", "experiments/delete", {"experiment_id": other})
    for view in ("ACTIVE_ONLY", "DELETED_ONLY"):
        _search(server, [one, other], run_view_type=view, order_by=["run_name"])


def _search(server: Runs, experiments: Any, **fields: Any) -> Any:
    return server.ask("POST", "runs/search", {"experiment_ids": experiments, **fields})


def _make_runs(server: Runs, one: str, other: str) -> tuple[str, str]:
    tags = [{"key": "team", "value": "risk"}, {"key": "x.y", "value": "One"}]
    a = server.make_run("a", one, user_id="sora", tags=tags, start_time=MOMENT + 5)
    b = server.make_run("b", one, tags=[{"key": "team", "value": "fraud"}], start_time=MOMENT + 3)
    c = server.make_run(
        "c", one, tags=[{"key": "mlflow.note.content", "value": "why"}], start_time=MOMENT + 4
    )
    d = server.make_run("d", other, start_time=MOMENT)
    e = server.make_run("e", other, start_time=MOMENT + 9)
    server.make_run("f", other, user_id="jun", start_time=MOMENT + 8)
    for run, value in ((a, 0.25), (b, "NaN"), (c, "Infinity"), (d, -0.5), (e, 0.5)):
        server.change("log-metric", run, key="loss", value=value, timestamp=MOMENT, step=3)
    server.change("log-metric", a, key="loss", value=0.75, timestamp=MOMENT, step=1)
    server.change("log-metric", d, key="a b/c", value=2, timestamp=MOMENT)
    for run, depth in ((a, "3x"), (b, "4x"), (d, "10X"), (e, "")):
        server.change("log-parameter", run, key="depth", value=depth)
    server.change("log-parameter", c, key="empty", value="")
    server.change("update", b, status="FINISHED", end_time=MOMENT + 10)
    server.change("update", d, status="FAILED", end_time=MOMENT + 20)
    server.change("update", e, status="KILLED", end_time=MOMENT + 15)
    context = [{"key": "mlflow.data.context", "value": "training"}]
    server.change("log-inputs", a, datasets=[{"dataset": DATASET, "tags": context}])
    server.change("log-inputs", d, datasets=[{"dataset": {**DATASET, "name": "beer", "digest": "other"}}])
    return a, b


def _page(server: Runs, one: str, other: str) -> None:
    both = [one, other]
    for some in ([one], [other], [], ["777777"], [one, one], ["abc"], "no", None, [""]):
        _search(server, some, order_by=["run_name"])
    for most in (1, 2, 6, 50_000, 50_001, 0, -1, "2"):
        _search(server, both, max_results=most, order_by=["run_name"])
    token = _search(server, both, max_results=4, order_by=["metrics.loss DESC"])["next_page_token"]
    _search(server, both, max_results=4, order_by=["metrics.loss DESC"], page_token=token)
    for token in ("x", "!!", "eyJ4IjogMX0=", "bnVsbA=="):
        _search(server, both, page_token=token)
