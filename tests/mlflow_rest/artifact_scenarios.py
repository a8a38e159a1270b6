"""What is asked about files of runs: see `scenarios`."""

import http.client
import json
from urllib.parse import urlsplit

from tests.mlflow_rest.run_scenarios import Runs

# Places outside a run's files, in ways that a server may decode differently. MLflow takes others for names of files;
# here they are refused, see `test_artifacts`.
ESCAPES = [
    "../x.txt", "a/../../x.txt", "%2e%2e/x.txt", "..%2fx.txt", "%2e%2e%2fx.txt", "%252e%252e%252fx.txt", "x.txt%23y",
    "%2e%2e", "%25252e%25252e%25252fx.txt",
]  # fmt: skip


class Files(Runs):
    """A server, and the files of one run in it."""

    def send(self, method: str, path: str, content: bytes | None = None) -> None:
        """Ask for `path` below the proxy's address exactly as it is written."""
        where = urlsplit(self.url)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
        headers = {"Content-Type": "application/json"} if method == "POST" else {}
        if token := self.session.headers.get("Authorization"):
            headers["Authorization"] = str(token)
        connection.request(method, f"/api/2.0/mlflow-artifacts/{path}", content, headers)
        response = connection.getresponse()
        self.noted.append((self._asked(f"{method} {path}"), (response.status, self._read(response))))
        connection.close()

    def _read(self, response: http.client.HTTPResponse) -> object:
        content = response.read()
        try:
            answer = json.loads(content)
        except ValueError:
            return "no JSON" if response.status >= 400 else content.decode()
        return answer.get("error_code") or self._told(answer)

    def _asked(self, question: str) -> str:
        return "/".join(self.names.get(part, part) for part in question.split("/"))


def artifacts(server: Files) -> None:
    """Files that come, are listed, read and deleted, and places where none may be."""
    experiment = server.make("files")
    run = server.make_run("files", experiment)
    place = f"{experiment}/{run}/artifacts"
    _upload(server, place)
    _list(server, run, place)
    _read(server, place)
    _presign(server, run, place)
    _escape(server, run, place)
    _delete(server, run, place)


def _upload(server: Files, place: str) -> None:
    for path, content in {
        "notes.txt": b"first", "model/MLmodel": b"flavors: {}", "model/data/model.pkl": b"\\x00\\x01", "empty.bin": b"",
        "with%20space.txt": b"s", "%EC%9D%B4%EB%A6%84.txt": b"k", "a+b.txt": b"plus", "notes.txt ": b"x",
    }.items():  # fmt: skip
        if not path.endswith(" "):
            server.send("PUT", f"artifacts/{place}/{path}", content)
    server.send("PUT", f"artifacts/{place}/notes.txt", b"second")


def _list(server: Files, run: str, place: str) -> None:
    for path in (None, "", "model", "model/data", "notes.txt", "nothing", "model/"):
        server.ask("GET", "artifacts/list", {"run_id": run} | ({} if path is None else {"path": path}))
    for found in ("0" * 32, "", None):
        server.ask("GET", "artifacts/list", {"run_id": found})
    for path in (place, f"{place}/model", f"{place}/model/data", f"{place}/nothing", f"{place}/notes.txt"):
        server.send("GET", f"artifacts?path={path}")


def _read(server: Files, place: str) -> None:
    for path in (
        "notes.txt",
        "model/MLmodel",
        "empty.bin",
        "with%20space.txt",
        "%EC%9D%B4%EB%A6%84.txt",
        "a+b.txt",
    ):
        server.send("GET", f"artifacts/{place}/{path}")
    for path in ("nothing.txt", "Notes.txt"):
        server.send("GET", f"artifacts/{place}/{path}")


def _presign(server: Files, run: str, place: str) -> None:
    for call, body in {
        "mpu/create": {"path": "big.bin", "num_parts": 2},
        "mpu/complete": {
            "path": "big.bin",
            "upload_id": "1",
            "parts": [{"part_number": 1, "etag": "e", "url": "u"}],
        },
        "mpu/abort": {"path": "big.bin", "upload_id": "1"},
    }.items():
        server.send("POST", f"{call}/{place}/model", json.dumps(body).encode())
    server.send("GET", f"presigned/{place}/notes.txt")
    for call in ("presigned-upload-url", "presigned-download-url"):
        for body in ({"run_id": run, "path": "notes.txt"}, {"run_id": run}, {"path": "notes.txt"}):
            server.ask("POST", f"artifacts/{call}", body)


def _escape(server: Files, run: str, place: str) -> None:
    for path in ESCAPES:
        server.send("GET", f"artifacts?path={place}/{path}")
        for method in ("GET", "PUT", "DELETE"):
            server.send(method, f"artifacts/{place}/{path}", b"mine" if method == "PUT" else None)
    for path in (
        "..",
        "../..",
        "/etc",
        "a/../..",
        "%2e%2e",
        "%252e%252e",
        "x#y",
        "file:///etc",
        "C:\\",
    ):
        server.ask("GET", "artifacts/list", {"run_id": run, "path": path})


def _delete(server: Files, run: str, place: str) -> None:
    for path in ("empty.bin", "model/data", "model", "nothing"):
        server.send("DELETE", f"artifacts/{place}/{path}")
        server.ask("GET", "artifacts/list", {"run_id": run})
