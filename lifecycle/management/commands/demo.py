from datetime import timedelta
from typing import Any

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from core.models import AccessToken
from core.operations import access
from core.roles import Role
from lifecycle.demo.client import DemoFailed, Person
from lifecycle.demo.story import Step, Story

PEOPLE = {
    Role.VIEWER: "vera",
    Role.SCIENTIST: "sora",
    Role.APPROVER: "aron",
    Role.OPERATOR: "olga",
    Role.ADMIN: "adam",
}
TOKEN_LIFETIME = timedelta(hours=1)


class Command(BaseCommand):
    """Needs a running server. Everything it does goes through the public HTTP API, but the making of its people."""

    help = (
        "Drive the main job on a running server: train, log, register, approve, deploy, predict, roll back."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default=settings.PUBLIC_URL, help="the server's address")

    def handle(self, *args: Any, **options: Any) -> None:
        tokens: list[AccessToken] = []
        try:
            people = {
                role.value: self._person(role, name, options["url"], tokens) for role, name in PEOPLE.items()
            }
            steps = Story(people, self._tell).run()
        except (DemoFailed, requests.RequestException) as error:
            raise CommandError(f"The demo failed: {error}") from error
        finally:
            for token in tokens:
                access.revoke_token(actor=None, token=token)
        self._table(steps)

    def _person(self, role: Role, name: str, url: str, tokens: list[AccessToken]) -> Person:
        user = access.ensure_user(actor=None, username=name, roles={role})
        token, secret = access.create_token(
            actor=None, user=user, name="demo", expires_at=timezone.now() + TOKEN_LIFETIME
        )
        tokens.append(token)
        return Person(name, role.value, base_url=url.rstrip("/"), token=secret)

    def _tell(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _table(self, steps: list[Step]) -> None:
        rows = [("who", "what", "seconds"), *((step.who, step.what, f"{step.seconds:.2f}") for step in steps)]
        rows.append(("", "total", f"{sum(step.seconds for step in steps):.2f}"))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        self.stdout.write("")
        for index, (who, what, seconds) in enumerate(rows):
            self.stdout.write(f"{who:{widths[0]}}  {what:{widths[1]}}  {seconds:>{widths[2]}}")
            if index == 0:
                self.stdout.write("  ".join("-" * width for width in widths))
