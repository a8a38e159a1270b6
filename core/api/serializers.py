"""What every serializer of the platform shares."""

import math
from typing import Any

from rest_framework import serializers

from core.models import User


class StrictFields:
    """Refuses fields it does not know: nothing is accepted to be ignored."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            known = {name for name, field in self.fields.items() if not field.read_only}  # type: ignore[attr-defined]
            problems = {
                name: "This field is set by the server." if name in self.fields else "There is no such field."  # type: ignore[attr-defined]
                for name in data
                if name not in known
            }
            if problems:
                raise serializers.ValidationError(problems)
        return super().to_internal_value(data)  # type: ignore[misc]


class StrictSerializer(StrictFields, serializers.Serializer):
    pass


class StrictModelSerializer(StrictFields, serializers.ModelSerializer):
    pass


class Username(serializers.SlugRelatedField):
    """A user, shown by name."""

    def __init__(self, **options: Any):
        options.setdefault("read_only", True)
        if not options["read_only"]:
            options.setdefault("queryset", User.objects.all())
        super().__init__(slug_field="username", **options)


class Number(serializers.FloatField):
    """A float; NaN and the infinities travel as the strings "NaN", "Infinity" and "-Infinity", which JSON lacks."""

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


class Tags(serializers.DictField):
    """A flat map of short names to text, as in MLflow."""

    child = serializers.CharField(allow_blank=True, max_length=5000)
    key = serializers.CharField(max_length=250, trim_whitespace=False)

    def to_internal_value(self, data: Any) -> dict[str, str]:
        tags = super().to_internal_value(data)
        for key in tags:
            self.key.run_validation(key)
        return tags
