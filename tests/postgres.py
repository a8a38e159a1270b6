"""Databases of tests' own on a PostgreSQL server, which can be taken away for a while."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg


class PostgresDatabase:
    """A new, empty database; dropped with everybody who is still connected when the block ends."""

    def __init__(self, server: str, name: str):
        self.server = server
        self.name = f"{name}_{os.getpid()}"
        self.url = urlsplit(server)._replace(path=f"/{self.name}").geturl()

    def __enter__(self) -> "PostgresDatabase":
        self._do(f"CREATE DATABASE {self.name}")
        return self

    def __exit__(self, *exception: object) -> None:
        self._do(f"DROP DATABASE {self.name} WITH (FORCE)")

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody can connect, and whoever was connected is cut off, until the block ends."""
        self._do(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS false")
        self._do(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.name}'")
        try:
            yield
        finally:
            self._do(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS true")

    def _do(self, statement: str) -> None:
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(statement)
