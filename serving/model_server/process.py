"""One replica: loads a model, proves that it predicts, then serves it on a unix socket until told to stop.

Exit codes: 0 asked to stop, 70 a predict hung, 71 the model could not be loaded, 72 out of memory. After 70
and 72 the backend starts a new process; after 71 the last line of the log is {"error": the source of a sentence}.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

from core.sentences import joined
from core.sentences import sentence as _
from serving.model_server import limits, logs
from serving.model_server.app import ModelApp
from serving.model_server.batching import Batcher
from serving.model_server.errors import Busy, CannotLoad, PredictTimedOut, Refused, described
from serving.model_server.example import LOG_ANOTHER
from serving.model_server.mlmodel import MLModel
from serving.model_server.model import ServedModel

STOPPED, HUNG, NOT_LOADED, OUT_OF_MEMORY = 0, 70, 71, 72
WATCH_SECONDS = 0.1
LOG_CHECK_SECONDS = 5.0
FLUSH_SECONDS = 0.2  # for the last answers to leave their sockets
BACKLOG = 1024
IDLE_CONNECTION_SECONDS = 300  # longer than a gateway keeps its own, so that the gateway is the one to close


def run(spec: dict[str, Any]) -> None:
    """Be the replica that `spec` describes (ReplicaSpec's fields, replica, socket, log). Never returns.

    Meant to be the last call of a fresh child process: it redirects output, lowers limits for good and ends
    by os._exit, since exit handlers inherited through a fork are not this process's to run.
    """
    logs.redirect(spec["log"])
    signal.signal(signal.SIGTERM, lambda *_: os._exit(STOPPED))  # until there is something to finish
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the parent, who decides
    try:
        code = _serve(spec)
    except CannotLoad as error:
        logs.last_line(error.detail)
        code = NOT_LOADED
    except BaseException as error:
        logs.last_line(_("The model process failed: %s") % described(error))
        code = NOT_LOADED
    sys.stdout.flush()
    os._exit(code)


def _serve(spec: dict[str, Any]) -> int:
    temp = Path(spec["socket"]).parent / "temp"
    limits.apply(memory_bytes=int(spec["memory_bytes"]), cpu=int(spec["cpu"]), temp=temp)
    model = ServedModel(spec, MLModel(spec["model_path"]))
    return asyncio.run(Replica(spec, model).serve())


class Replica:
    """A loaded model between its queue and its socket."""

    def __init__(self, spec: dict[str, Any], model: ServedModel) -> None:
        self._spec = spec
        self._model = model
        self._leaving = False

    async def serve(self) -> int:
        """Serve until SIGTERM; every other way out is an exit of the process."""
        spec, model = self._spec, self._model
        self._batcher = Batcher(
            model.predictor,
            joinable=model.signature.inputs.joinable,
            queue_size=int(spec["queue_size"]),
            timeout_seconds=float(spec["timeout_seconds"]),
            cpu=int(spec["cpu"]),
            on_out_of_memory=self._out_of_memory,
        )
        self._app = ModelApp(
            model.scoring,
            self._batcher,
            max_body_bytes=int(spec["max_body_bytes"]),
            on_out_of_memory=self._out_of_memory,
        )
        self._server = _Server(_config(self._app))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._stop)
        watches = [asyncio.create_task(self._watch()), asyncio.create_task(self._watch_log())]
        serving = asyncio.create_task(self._server.serve(sockets=[_listen(spec["socket"])]))
        await self._warm_up()
        await serving
        for watch in watches:
            watch.cancel()
        return STOPPED

    async def _warm_up(self) -> None:
        """The first prediction, through the queue that requests use; only then is the replica ready."""
        inputs, params = self._model.example.inputs()
        try:
            await self._batcher.submit(inputs, params, "warm-up")
        except Refused as refused:
            if self._leaving or self._app.stopping:
                return
            raise CannotLoad(
                joined([self._model.example.not_answered(refused.detail), LOG_ANOTHER])
            ) from None
        self._app.warm = True
        logs.line(level="info", message="ready", replica=self._spec["replica"])

    def _stop(self) -> None:
        """Finish what is in flight, then leave; the server waits for its open requests."""
        self._app.stopping = True
        self._server.should_exit = True

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self._batcher.overdue():
                await self._leave(HUNG, PredictTimedOut(float(self._spec["timeout_seconds"])))

    async def _watch_log(self) -> None:
        while True:
            await asyncio.sleep(LOG_CHECK_SECONDS)
            logs.bound_size(self._spec["log"])

    def _out_of_memory(self) -> None:
        self._exit = asyncio.create_task(self._leave(OUT_OF_MEMORY, Busy("The model restarts; try again.")))

    async def _leave(self, code: int, current: Refused) -> None:
        """Answer everybody and end the process at once: its predict thread cannot be ended otherwise."""
        if self._leaving:
            return
        self._leaving = self._app.stopping = True
        self._batcher.abandon(current, Busy("The model process restarts; try again."))
        logs.line(level="error", message=f"leaving with exit code {code}", detail=current.detail)
        if not self._app.warm:
            logs.last_line(self._model.example.not_answered(current.detail))
        await asyncio.sleep(FLUSH_SECONDS)
        os._exit(code)


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling, which would end the process by the signal instead of exit code
    0.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: ModelApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="asyncio",
        http="httptools",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=IDLE_CONNECTION_SECONDS,
    )


def _listen(path: str) -> socket.socket:
    """A listening socket that only this user can connect to."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(mask)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener
