"""What the gateway alone spends on a prediction: all of the platform between the web server and the model.

    python -m bench.gateway [--requests 3000]

One thread calls the WSGI application, again and again, in front of a replica that answers; there is no web server and
no client in this process. Counted is its CPU time, that of the thread which writes the request log included.
`bench.serving` has the whole web process.
"""

import argparse
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from bench import sides
from bench.serving import MODELS, ROWS, as_body, platform, samples
from lifecycle.demo import training
from tests.stack import Stack

REPEATS = 5
WARM_UP_REQUESTS = 200


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway")
    parser.add_argument("--requests", type=int, default=3000, help="requests of one row in each repeat")
    requests = parser.parse_args().requests
    averages = ", ".join(f"{average:.2f}" for average in os.getloadavg())
    print(f"load average before the start {averages}; {REPEATS} × {requests} requests, medians\n")
    print("| model/rows | CPU ms a request (lowest–highest) |\n| --- | --- |")
    data = training.load()
    candidates = {candidate.name: candidate for candidate in training.train_candidates(data)}
    with platform() as running, tempfile.TemporaryDirectory() as folder:
        application = load_application(running.stack)
        for model, name in MODELS.items():
            path = Path(folder) / model
            training.save(candidates[name], data, path)
            with sides.ours(running, path) as ours:
                for rows in ROWS:
                    body = as_body(samples(data, rows)[0]).encode()
                    number = requests if rows == 1 else max(1, requests // 10)
                    spent = measure(application, ours, body, number)
                    print(
                        f"| {model}/{rows} | {median(spent):.2f} ({min(spent):.2f}–{max(spent):.2f}) |",
                        flush=True,
                    )
    return 0


def load_application(stack: Stack) -> Callable[..., Any]:
    """The platform's WSGI application in this process, on the data of `stack`."""
    os.environ.update(stack.environment)
    from mlops_site.wsgi import application

    return application


def measure(application: Callable[..., Any], side: sides.Side, body: bytes, number: int) -> list[float]:
    """Milliseconds of CPU a request, once for each repeat."""
    ask(application, side, body, WARM_UP_REQUESTS)
    spent = []
    for _ in range(REPEATS):
        before = time.process_time()
        ask(application, side, body, number)
        spent.append((time.process_time() - before) * 1000 / number)
    return spent


def ask(application: Callable[..., Any], side: sides.Side, body: bytes, number: int) -> None:
    def start_response(status: str, _headers: list[tuple[str, str]]) -> None:
        if status != "200 OK":
            raise SystemExit(f"A prediction was answered {status}.")

    for _ in range(number):
        response = application(environ(side, body), start_response)
        b"".join(response)
        response.close()


def environ(side: sides.Side, body: bytes) -> dict[str, Any]:
    """As the web server hands a request on."""
    url = urlsplit(side.url)
    return {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": url.path,
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": url.hostname,
        "SERVER_PORT": str(url.port),
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": url.netloc,
        "HTTP_AUTHORIZATION": side.headers["Authorization"],
        "CONTENT_TYPE": side.headers["Content-Type"],
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


if __name__ == "__main__":
    sys.exit(main())
