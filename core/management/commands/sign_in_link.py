from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse

from core.errors import DomainError
from core.operations import access
from core.roles import Role


class Command(BaseCommand):
    help = "Print a link that signs its user in once. The user is made when missing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", required=True)
        parser.add_argument("--role", action="append", default=[], choices=[role.value for role in Role])

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user = access.ensure_user(
                actor=None, username=options["user"], roles={Role(role) for role in options["role"]}
            )
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        except DomainError as error:
            raise CommandError(error.detail) from error
        secret = access.create_sign_in_link(actor=None, user=user)
        self.stdout.write(settings.PUBLIC_URL + reverse("sign-in-link", args=[secret]))
