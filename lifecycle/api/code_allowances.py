"""/code-allowances: whose model files may run code when they load."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers, status
from rest_framework.request import Request

from core.api.filters import TrueOrFalseFilter
from core.api.serializers import ByName, StrictSerializer, Username
from core.api.views import Listed, Response
from core.models import User
from lifecycle.api.base import LifecycleResource
from lifecycle.models import CodeAllowance, RegisteredModel
from lifecycle.operations import code_allowances


class CodeAllowanceSerializer(serializers.ModelSerializer):
    model_name = serializers.CharField(source="model.name", default=None, allow_null=True)
    uploader = Username()
    allowed_by = Username()

    class Meta:
        model = CodeAllowance
        fields = ["id", "model_name", "uploader", "reason", "allowed_by", "created_at", "revoked_at"]


class CodeAllowanceInput(StrictSerializer):
    """Either a model or an uploader."""

    example = {"uploader": "mina", "reason": "Her pipelines were reviewed."}

    model_name = ByName(
        slug_field="name", source="model", queryset=RegisteredModel.objects.kept(), required=False
    )
    uploader = Username(read_only=False, queryset=User.objects.all(), required=False)
    reason = serializers.CharField(max_length=10_000)


class CodeAllowanceFilters(django_filters.FilterSet):
    model_name = django_filters.CharFilter(field_name="model__name")
    uploader = django_filters.CharFilter(field_name="uploader__username")
    in_force = TrueOrFalseFilter(field_name="revoked_at", lookup_expr="isnull")


class CodeAllowanceViewSet(Listed, LifecycleResource):
    """Whose model files may run code when they load: an admin's word about one model or one uploader."""

    noun, plural, tag = _("code allowance"), _("code allowances"), "Access"
    serializer_class = CodeAllowanceSerializer
    inputs = {"create": CodeAllowanceInput}
    filterset_class = CodeAllowanceFilters
    ordering_fields = ("created_at",)
    search_fields = ("model__name", "uploader__username", "reason")
    export_name = "code-allowances"
    lookup_value_regex = r"\d{1,18}"

    def get_queryset(self) -> QuerySet[CodeAllowance]:
        return CodeAllowance.objects.select_related("model", "uploader", "allowed_by").order_by("-pk")

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Allow code.

        Name a model or an uploader, and say why. Model processes are not a sandbox: allow only people you would give
        a shell.
        """
        allowance = code_allowances.allow_code(actor=request.user, **self.parse())
        return Response(CodeAllowanceSerializer(allowance).data, status=status.HTTP_201_CREATED)

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Revoke a code allowance.

        What is deployed goes on; what is deployed from now on is refused again.
        """
        code_allowances.revoke_code(actor=request.user, allowance=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)
