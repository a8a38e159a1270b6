"""What every serializer of the platform shares."""

import math
from typing import Any

from rest_framework import serializers

from core.errors import TooLarge
from core.models import User
from core.names import name_problem
from core.translation import gettext as _

# As MLflow's own server takes in one request.
MOST_AT_ONCE = 1000


class StrictFields:
    """Refuses fields it does not know: nothing is accepted to be ignored.

    `example` is a body that could be sent: the schema shows it, and the browsable API starts with it.
    """

    example: dict[str, Any] | None = None

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            fields = self.fields  # type: ignore[attr-defined]
            known = {name for name, field in fields.items() if not field.read_only}
            ours, unknown = _("This field is set by the server."), _("There is no such field.")
            problems = {name: ours if name in fields else unknown for name in data if name not in known}
            if problems:
                raise serializers.ValidationError(problems)
        return super().to_internal_value(data)  # type: ignore[misc]


class BoundedList(serializers.ListSerializer):
    """Refuses a list that is too long as a whole, before it looks at the items."""

    def to_internal_value(self, data: Any) -> Any:
        _refuse_many(data)
        return super().to_internal_value(data)


class StrictSerializer(StrictFields, serializers.Serializer):
    class Meta:
        list_serializer_class = BoundedList


class NoFields(StrictSerializer):
    """The body of a request that has nothing to say."""

    example: dict[str, Any] = {}


class StrictModelSerializer(StrictFields, serializers.ModelSerializer):
    pass


class ByName(serializers.SlugRelatedField):
    """Something named by one of its fields. A database that keeps no NUL cannot even be asked for one."""

    def to_internal_value(self, data: Any) -> Any:
        if "\x00" in str(data):
            self.fail("invalid")
        return super().to_internal_value(data)


class Username(ByName):
    """A user, shown by name."""

    def __init__(self, **options: Any):
        options.setdefault("read_only", True)
        if not options["read_only"]:
            options.setdefault("queryset", User.objects.all())
        super().__init__(slug_field="username", **options)


class Number(serializers.FloatField):
    """A float; NaN and the infinities travel as the strings "NaN", "Infinity" and "-Infinity", which JSON lacks."""

    takes_no_number = True
    NAMES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or (isinstance(data, str) and data not in self.NAMES):
            self.fail("invalid")
        try:
            return self.NAMES[data] if isinstance(data, str) else super().to_internal_value(data)
        except OverflowError:  # an integer that no float can hold
            self.fail("invalid")

    def to_representation(self, value: Any) -> Any:
        number = float(value)
        if math.isfinite(number):
            return number
        return "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")


class BoundedDict(serializers.DictField):
    """Refuses an object of too many names as a whole."""

    def to_internal_value(self, data: Any) -> Any:
        _refuse_many(data)
        return super().to_internal_value(data)


def _refuse_many(data: Any) -> None:
    if isinstance(data, (list, dict)) and len(data) > MOST_AT_ONCE:
        raise TooLarge(
            _("At most %(limit)s at once. Send the rest in further requests.") % {"limit": MOST_AT_ONCE}
        )


class Tags(BoundedDict):
    """A flat map of short names to text, as in MLflow."""

    child = serializers.CharField(allow_blank=True, max_length=5000)
    key = serializers.CharField(max_length=250, trim_whitespace=False)

    def to_internal_value(self, data: Any) -> dict[str, str]:
        tags = super().to_internal_value(data)
        for key in tags:
            self.key.run_validation(key)
            if problem := name_problem(key):
                raise serializers.ValidationError(problem)
        return tags
