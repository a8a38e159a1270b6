"""How the web server runs. Threads, since a prediction waits for a model process most of its time."""

import gc
from logging.config import dictConfig
from resource import RLIMIT_NOFILE, getrlimit, setrlimit

from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger

from mlops_site import settings


class JsonLogger(Logger):
    """Gunicorn's own lines, written like all others. No access log: each request has an id."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        dictConfig(settings.LOGGING)


bind = f"{settings.HOST}:{settings.PORT}"
worker_class = "mlops_site.web_worker.PatientWorker"
workers = settings.WEB_WORKERS
threads = settings.WEB_THREADS
preload_app = True  # imported once, and the processes share that memory
logger_class = JsonLogger

# Longer than the 60 s for which common proxies keep a connection: so they close it, and no request is lost.
keepalive = 75
timeout = 60
graceful_timeout = 30
limit_request_line = 8190
limit_request_fields = 100
# Each connection is an open file, and many systems allow 1,024 of them until a process asks for more.
worker_connections = 1000
_files, _most_files = getrlimit(RLIMIT_NOFILE)
setrlimit(RLIMIT_NOFILE, (max(_files, min(4 * worker_connections, _most_files)), _most_files))
control_socket_disable = True  # it would lie in the home directory, and the supervisor does its work


def when_ready(_server: Arbiter) -> None:
    """Before the processes are forked: the collector would write to all that they share, and so copy it for each."""
    gc.collect()
    gc.freeze()
