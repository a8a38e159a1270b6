from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils.dateparse import parse_datetime

from core.errors import DomainError
from core.models import User
from core.names import check_visible
from core.operations import access
from core.roles import Domain, Role


class Command(BaseCommand):
    """Prints a new token alone on the last line, so that a script can read it with `tail -n 1`."""

    help = "Create a user or service account where missing, and a token for it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", required=True, help="user name; made when missing")
        parser.add_argument("--role", required=True, action="append", choices=[role.value for role in Role])
        parser.add_argument("--name", default="command line", help="what the token is for")
        parser.add_argument("--owner", default="", help="for a service account: the user who answers for it")
        parser.add_argument("--read-only", action="store_true")
        parser.add_argument(
            "--domain", default="", choices=["", *Domain], help="limit the token to one domain"
        )
        parser.add_argument("--expires-at", default="", help="ISO 8601 time, e.g. 2030-01-31T00:00:00Z")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic():
                self.stdout.write(self._create(options))
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        except DomainError as error:
            raise CommandError(error.detail) from error

    def _create(self, options: dict[str, Any]) -> str:
        user = access.ensure_user(
            actor=None,
            username=options["user"],
            roles={Role(role) for role in options["role"]},
            owner=self._owner(options["owner"]),
        )
        _, secret = access.create_token(
            actor=None,
            user=user,
            name=options["name"],
            read_only=options["read_only"],
            domain=options["domain"],
            expires_at=self._time(options["expires_at"]),
        )
        return secret

    def _owner(self, username: str) -> User | None:
        if not username:
            return None
        owner = User.objects.filter(username=check_visible(User.normalize_username(username))).first()
        if owner is None:
            raise CommandError(f"There is no user “{username}” to own the account.")
        return owner

    def _time(self, text: str):
        if not text:
            return None
        try:
            moment = parse_datetime(text)
        except ValueError:  # such as the 31st of February
            moment = None
        if moment is None or moment.tzinfo is None:
            raise CommandError("--expires-at takes an ISO 8601 time with a zone, e.g. 2030-01-31T00:00:00Z.")
        return moment
