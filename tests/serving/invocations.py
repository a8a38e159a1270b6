"""Model processes that answer what a test says, targets and callers, for the tests of the prediction endpoint."""

import socketserver
from http.server import BaseHTTPRequestHandler

from django.test import Client

from serving.models import Endpoint, Replica, RequestLog, Target
from serving.recorder import recorder
from tests.factories import make_token, make_user, numbers

PATH = "/api/v1/ml/lifecycle/serve/{}/{}/invocations"
JSON = "application/json"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((dict(self.headers), body))
        status, answer, headers = self.server.answer
        self.send_response(status)
        for name, value in {"Content-Length": len(answer), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(answer)

    def address_string(self):
        return "unix"

    def log_message(self, *arguments):
        pass


class Process(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """An HTTP server on a unix socket that answers what the test says: for what real models do not do."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path):
        super().__init__(path, Handler)
        self.address = f"unix://{path}"
        self.received = []
        self.answer = (200, b'{"predictions": [1]}', {"X-Row-Count": 1})


def make_target(*addresses, model_name="churn", environment="production", **fields):
    endpoint, _ = Endpoint.objects.get_or_create(model_name=model_name, environment=environment)
    fields = {"state": "serving", "weight": 100, "model_version": 3, "instance_type": "small"} | fields
    target = Target.objects.create(endpoint=endpoint, deployment_id=next(numbers), model_path="/", **fields)
    for address in addresses:
        Replica.objects.create(target=target, name=f"replica{next(numbers)}", state="ready", address=address)
    return target


def make_caller(*roles, **token):
    return Client(headers={"Authorization": f"Bearer {make_token(make_user(*roles), **token)}"})


def call(client, body=b'{"inputs": [1]}', place=("churn", "production"), content_type=JSON, **options):
    return client.post(PATH.format(*place), body, content_type=content_type, **options)


def logged():
    recorder.close()
    return list(RequestLog.objects.order_by("id"))
