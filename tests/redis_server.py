"""A Redis server of tests' own, which can be taken away."""

import shutil
import socket
import subprocess
import time

import redis


class RedisServer:
    """An empty server on a free port, which keeps nothing; ended when the block ends."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> "RedisServer":
        program = shutil.which("redis-server")
        assert program, "These tests start a Redis server of their own: install redis-server."
        self._process = subprocess.Popen(
            [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            stdout=subprocess.DEVNULL,
        )
        self._wait_until_it_answers()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Take it away, with all it knew."""
        self._process.kill()
        self._process.wait()

    def _wait_until_it_answers(self) -> None:
        until = time.monotonic() + 10
        while True:
            try:
                redis.Redis.from_url(self.url).ping()
                return
            except redis.ConnectionError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
