"""What is asked of a server that speaks MLflow's protocol, ours or MLflow's own: the same requests in the same order.

Ids are told by the name of what they belong to, and times by whether they are there, so that the answers of two servers
can be compared.
"""

import json
from typing import Any

import requests

TIMES = {"creation_time", "last_update_time", "start_time", "end_time"}
# Lists whose order says nothing: MLflow tells models in the order of their ids, which are random.
SETS = {"params", "tags", "metrics_of_run", "dataset_inputs", "model_inputs", "model_outputs"}
JSON = "application/json"
FILTERS = [
    "", "name = 'a2'", "name != 'a2'", "attribute.name = 'a2'", "attr.name='a2'", "name = \"a2\"",
    "name LIKE 'b%'", "name LIKE 'B%'", "name ILIKE 'B%'", "name like 'b%'", "name LIKE '_2'", "name LIKE '[a]%'",
    "name LIKE '%/%'", "name LIKE '%\\_%'", "name LIKE 'a*'",
    "tags.team = 'risk'", "tag.team='risk'", "tags.`x.y` = 'One'", "tags.\"x.y\" = 'One'", "tags.team != 'risk'",
    "tags.team != 'x'", "tags.team LIKE 'R%'", "tags.team LIKE 'r%'", "tags.team ILIKE 'R%'", "tags.empty = ''",
    "tags.team IS NULL", "tags.team IS NOT NULL", "tags.team is not null", "name IS NULL",
    "experiment_id = '{a}'", "experiment_id = {a}", "experiment_id IN ('{a}','{b}')", "experiment_id NOT IN ('{a}')",
    "experiment_id != '0'", "experiment_id > '{a}'", "experiment_id = 'abc'", "experiment_id LIKE '1'",
    "creation_time > 0", "creation_time < 0", "creation_time <= 0", "creation_time = 0", "creation_time != 0",
    "creation_time = 'x'", "creation_time > 1.5", "creation_time LIKE '1'", "creation_time IN (1)",
    "last_update_time > 0 AND name = 'a2'", "name = 'a2' and tags.empty = ''", "name = 'a2' AND name = 'b'",
    "name = 'a2' OR name='b'", "(name = 'a2')", "name = 'a2' AND", "AND", "name =", "name", "name = a2", "= 'a2'",
    "bogus = 'x'", "bogus.name = 'x'", "metrics.a > 1", "name IN ('a2')", "name > 'a'", "name RLIKE 'a'",
    "tags.team > 'a'", "tags.team IN ('risk')", "tags.team IS", "'a2' = name", "name = 'it''s'", "name = '", ";",
]  # fmt: skip
ORDERS = [
    ["name"], ["name ASC"], ["name DESC"], ["experiment_id"], ["experiment_id DESC"], ["creation_time"],
    ["creation_time", "name DESC"], ["attribute.name"], ["tags.team"], ["bogus"], ["name FOO"], ["name ASC DESC"],
    "name", [""], ["name", "name DESC"],
]  # fmt: skip


class Server:
    """Asks, and notes what was asked and answered."""

    def __init__(self, url: str, token: str = ""):
        self.url = url
        self.session = requests.Session()
        if token:
            self.session.headers["Authorization"] = f"Bearer {token}"
        self.names: dict[str, str] = {}
        self.noted: list[tuple[str, Any]] = []

    def ask(
        self, method: str, path: str, body: Any = None, *, raw: str | None = None, kind: str = JSON
    ) -> Any:
        """`body` is sent as JSON, or as a query; `raw` as it is."""
        options: dict[str, Any] = (
            {"params": body} if method == "GET" else {"json": {} if body is None else body}
        )
        if raw is not None:
            options = {"data": raw.encode(), "headers": {"Content-Type": kind} if kind else {}}
        response = self.session.request(method, f"{self.url}/api/2.0/mlflow/{path}", timeout=60, **options)
        try:
            answer = response.json()
            told = answer.get("error_code") or self._told(answer)
        except ValueError:
            answer, told = {}, "no JSON"
        question = self._told(f"{method} {path} {kind} {raw}" if raw is not None else [method, path, body])
        self.noted.append((json.dumps(question, ensure_ascii=False), (response.status_code, told)))
        return answer

    def _told(self, value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            if "params" in value or "metrics" in value:  # the data of a run
                value = {**value, "metrics_of_run": value.get("metrics", [])}
                value.pop("metrics", None)
            return {key: self._told(part, key) for key, part in value.items() if part != []}
        if isinstance(value, list):
            told = [self._told(part, name) for part in value]
            return sorted(told, key=json.dumps) if name in SETS else told
        if name in TIMES:
            return type(value).__name__
        if isinstance(value, str) and value.startswith("mlflow-artifacts:/"):
            return "/".join(self.names.get(part, part) for part in value.split("/"))
        return self.names.get(value, value) if isinstance(value, str) else value

    def make(self, name: Any, **fields: Any) -> str:
        found = self.ask("POST", "experiments/create", {"name": name, **fields}).get("experiment_id", "")
        self.names[found] = f"<{name}>"
        return found


def experiments(server: Server) -> None:
    """Every call of experiments/*, well and badly."""
    ask, make = server.ask, server.make
    ask("GET", "experiments/get", {"experiment_id": "0"})
    ask("GET", "experiments/get-by-name", {"experiment_name": "Default"})
    a = make("a")
    b = make("b/with slash", tags=[{"key": "team", "value": "risk"}, {"key": "x.y", "value": "One"}])
    c = make("이름")
    _make_badly(server)
    for found in (a, b, "999999", "abc", "", " 1", "-1", "9" * 18):
        ask("GET", "experiments/get", {"experiment_id": found})
    ask("GET", "experiments/get", {})
    for name in ("nothing", "b/with slash", "이름", ""):
        ask("GET", "experiments/get-by-name", {"experiment_name": name})
    for new_name in ("a2", "a2", "b/with slash", "", None, 5, "n" * 501):
        ask("POST", "experiments/update", {"experiment_id": a, "new_name": new_name})
    ask("POST", "experiments/update", {"experiment_id": int(a), "new_name": "a3"})
    _tag(server, a)
    _search(server, a, b)
    for path in ("delete", "delete", "restore", "restore", "delete"):
        ask("POST", f"experiments/{path}", {"experiment_id": c})
    ask("GET", "experiments/get", {"experiment_id": c})
    ask("POST", "experiments/update", {"experiment_id": c, "new_name": "other"})
    ask("POST", "experiments/set-experiment-tag", {"experiment_id": c, "key": "k", "value": "v"})
    ask("POST", "experiments/delete-experiment-tag", {"experiment_id": c, "key": "k"})
    make("이름")
    for view in ("ACTIVE_ONLY", "DELETED_ONLY", "ALL", 1, 2, 3, "2", None):
        ask("POST", "experiments/search", {"max_results": 100, "view_type": view, "order_by": ["name"]})
    for path in ("delete", "restore"):
        for found in ("0", "777777", "abc", "", None):
            ask("POST", f"experiments/{path}", {"experiment_id": found})


def _make_badly(server: Server) -> None:
    for name in ("a", "", None, 5, "n" * 500, "n" * 501):
        server.make(name)
    tags: list[Any] = [
        [{"key": "bad*", "value": "1"}], [{"key": "k", "value": "v" * 20_001}], [{"key": "k" * 251, "value": "v"}],
        [{"key": "../k", "value": "v"}], [{"value": "v"}], [{"key": "k"}], "no", [5], None,
        [{"key": "k", "value": "1"}, {"key": "k", "value": "2"}], [{"key": "k", "value": "v" * 20_000}],
    ]  # fmt: skip
    for number, some in enumerate(tags):
        server.make(f"tags {number}", tags=some)
    for raw in (
        "{",
        "",
        "null",
        '"{\\"name\\": \\"encoded twice\\"}"',
        '{"name": "unknown field", "colour": 1}',
    ):
        server.ask("POST", "experiments/create", raw=raw)
    for kind in ("text/plain", "", "application/json; charset=utf-8"):
        server.ask("POST", "experiments/create", raw=json.dumps({"name": f"sent as {kind}"}), kind=kind)


def _tag(server: Server, experiment: str) -> None:
    path = "experiments/set-experiment-tag"
    for key, value in (
        ("k", "v"),
        ("k", "v2"),
        ("empty", ""),
        ("none", None),
        ("../x", "v"),
        ("a b/c:d", "v"),
        ("", "v"),
    ):
        server.ask("POST", path, {"experiment_id": experiment, "key": key, "value": value})
    for body in (
        {"experiment_id": experiment, "value": "v"},
        {"key": "k", "value": "v"},
        {"experiment_id": "777777", "key": "k"},
    ):
        server.ask("POST", path, body)
    server.ask("POST", path, {"experiment_id": experiment, "key": "n", "value": 5})
    server.ask("GET", "experiments/get", {"experiment_id": experiment})
    for key in ("k", "k", "none", "a b/c:d", "", None):
        server.ask("POST", "experiments/delete-experiment-tag", {"experiment_id": experiment, "key": key})


def _search(server: Server, a: str, b: str) -> None:
    path = "experiments/search"
    for filter in FILTERS:
        asked = filter.replace("{a}", a).replace("{b}", b)
        server.ask("POST", path, {"max_results": 100, "filter": asked, "order_by": ["name"]})
    for order in ORDERS:
        server.ask("POST", path, {"max_results": 100, "order_by": order})
    for number in (0, -1, 1, 2, 50_000, 50_001, None, "2", "x", 1.0, 1.5):
        server.ask("POST", path, {"max_results": number, "order_by": ["name"]})
    token = server.ask("POST", path, {"max_results": 2, "order_by": ["name"]})["next_page_token"]
    for method in ("GET", "POST"):
        server.ask(method, path, {"max_results": 2, "order_by": ["name"], "page_token": token})
        server.ask(method, path, {"max_results": 2, "order_by": ["name DESC"], "view_type": "ALL"})
        server.ask(method, path, {})
    for token in ("x", "!!", "eyJ4IjogMX0=", "bnVsbA==", ""):
        server.ask("POST", path, {"max_results": 2, "page_token": token, "order_by": ["name"]})
