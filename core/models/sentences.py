"""A column for texts that people of several languages read."""

from typing import Any

from django.db import models

from core.sentences import source_of, storable
from core.translation import in_english, say


class SentenceField(models.JSONField):
    """Keeps a sentence's source beside its English wording; what is read is in the reader's language.

    Search in `<field>__text`: the English wording, or what a person wrote.
    """

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        if isinstance(value, str):
            value = storable({"text": in_english(value), "source": source_of(value)})
        return super().get_db_prep_value(value, connection, prepared)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        kept = super().from_db_value(value, expression, connection)
        return say(kept["source"]) if isinstance(kept, dict) else kept
