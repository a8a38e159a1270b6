"""Celery's filesystem transport, with files that are seen whole or not at all.

kombu's own writes a message into a file that workers see already: one that reads it while it is empty ends.
A process killed as it makes an exchange's table leaves an empty one, after which nobody can send anything.
"""

import os
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

from kombu.transport import filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Raises OSError when the message cannot be written, such as on a full disk."""
        name = f"{round(monotonic() * 1000)}_{uuid4()}.{queue}.msg"
        # Delivered messages lie there until they are swept, and so will the draft of a killed process.
        draft = Path(self.processed_folder, name)
        draft.write_text(dumps(payload))
        draft.rename(Path(self.data_folder_out, name))

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """Once the table is there, kombu changes it under a lock and in one write."""
        table = self._exchange_file(exchange)
        if not table.exists():
            self._make_table(table)
        super()._queue_bind(exchange, routing_key, pattern, queue)

    def _make_table(self, table: Path) -> None:
        draft = table.with_name(f"{table.name}.{uuid4()}")
        draft.write_text("[]")
        try:
            os.link(draft, table)
        except FileExistsError:
            return  # another process was first; its table is as good
        finally:
            draft.unlink()


class Transport(filesystem.Transport):
    Channel = Channel
