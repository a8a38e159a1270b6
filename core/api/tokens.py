from typing import Any

import django_filters
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request

from core.api.filters import TrueOrFalseFilter
from core.api.serializers import NoFields, StrictSerializer, Username
from core.api.views import Listed, Resource, Response
from core.errors import NotAllowed
from core.models import AccessToken, User
from core.operations import access
from core.roles import Domain, Right, may
from core.translation import gettext as _


class TokenSerializer(serializers.ModelSerializer):
    user = Username()
    created_by = Username()

    class Meta:
        model = AccessToken
        fields = [
            "id",
            "name",
            "user",
            "hint",
            "read_only",
            "domain",
            "created_by",
            "created_at",
            "expires_at",
            "revoked_at",
            "last_used_at",
        ]


class MadeTokenSerializer(TokenSerializer):
    token = serializers.CharField(help_text="The secret itself. It is shown this once.")

    class Meta(TokenSerializer.Meta):
        fields = [*TokenSerializer.Meta.fields, "token"]


class TokenInput(StrictSerializer):
    example = {"name": "nightly training", "domain": "lifecycle", "expires_at": "2030-01-01T00:00:00Z"}

    name = serializers.CharField(max_length=100)
    user = Username(read_only=False, queryset=User.objects.all(), required=False)
    read_only = serializers.BooleanField(required=False)  # type: ignore[assignment]  # DRF's own attribute
    domain = serializers.ChoiceField(choices=[domain.value for domain in Domain], required=False)
    expires_at = serializers.DateTimeField(required=False)


class TokenFilters(django_filters.FilterSet):
    user = django_filters.CharFilter(field_name="user__username")
    revoked = TrueOrFalseFilter(field_name="revoked_at", lookup_expr="isnull", exclude=True)


@extend_schema(auth=[{"session": []}])  # type: ignore[list-item]  # the annotation is wrong
class TokenViewSet(Listed, Resource):
    """One's own access tokens and those of one's service accounts; an admin's view has everybody's.

    Only for who signed in with a browser: a token that leaked can neither make another nor find out which
    there are.
    """

    noun, plural, tag = gettext_lazy("token"), gettext_lazy("tokens"), "Access"
    keeps_answers = False
    serializer_class = TokenSerializer
    inputs = {"create": TokenInput, "revoke": NoFields}
    answers = {"create": MadeTokenSerializer}
    filterset_class = TokenFilters
    ordering_fields = ("created_at", "expires_at", "last_used_at", "name")
    search_fields = ("name", "user__username")
    export_name = "tokens"
    lookup_value_regex = r"\d{1,18}"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.actor.signed_in_with:
            raise NotAllowed(_("Sign in with a browser to see, make and revoke tokens."))

    def get_queryset(self) -> QuerySet[AccessToken]:
        tokens = AccessToken.objects.select_related("user__owner", "created_by")
        if may(self.actor, Right.ADMINISTER, domain=Domain.CORE):
            return tokens
        return tokens.filter(Q(user=self.actor) | Q(user__owner=self.actor))

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Make a token.

        For yourself, for a service account of yours, or as an admin for anybody. The answer holds the secret, this
        once; so it takes no Idempotency-Key.
        """
        data = {"user": self.actor} | self.parse()
        token, secret = access.create_token(actor=self.actor, **data)
        return Response(TokenSerializer(token).data | {"token": secret}, status=status.HTTP_201_CREATED)

    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Revoke a token.

        It is refused a second later at the latest, and cannot be brought back.
        """
        token = self.get_object()
        self.parse()
        access.revoke_token(actor=self.actor, token=token)
        token.refresh_from_db()
        return Response(TokenSerializer(token).data)
