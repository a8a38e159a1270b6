"""Serving's part in backups: it has no files to keep, since replicas are made again, and forgets the old ones."""

from collections.abc import Iterator

from django.conf import settings

from core.operations.backups.parts import Part
from serving.backends.local import is_owned
from serving.backends.run_directory import replica_directories, short_run_directory
from serving.operations.targets import forget_replicas


class Replicas(Part):
    def problem(self) -> str:
        run_dir = short_run_directory(settings.DATA_DIR)
        if is_owned(run_dir):
            return f"A serving agent runs on {settings.DATA_DIR}. Stop the platform first."
        if replica_directories(run_dir):
            return (
                f"{run_dir} has model processes of an earlier platform. End them with SIGINT to its agent "
                "(Ctrl-C on script/server), or remove that folder if they are gone; then restore."
            )
        return ""

    def settle(self) -> Iterator[str]:
        forget_replicas()
        return iter(())
