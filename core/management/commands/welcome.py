import http.client
import subprocess
import sys
import time
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.models import User
from core.operations import access
from core.roles import Role

DEMO_PEOPLE = {
    "vera": Role.VIEWER,
    "sora": Role.SCIENTIST,
    "aron": Role.APPROVER,
    "olga": Role.OPERATOR,
    "adam": Role.ADMIN,
}
WAIT_SECONDS = 120
POLL_SECONDS = 0.25
RULE = "─" * 78


class Command(BaseCommand):
    """What a person who ran script/server waits for. Runs beside the servers; ends when all is said."""

    help = "Wait until the server is ready, seed the demo into an empty database, print sign-in links."
    requires_system_checks = []  # script/check runs them

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="seed nothing; one link, for an admin")

    def handle(self, *args: Any, **options: Any) -> None:
        # A database without anybody in it was never used, not even by the demo; only then is it seeded.
        empty = not User.objects.exists()
        self._wait_until_ready()
        if options["no_demo"]:
            self._greet({"admin": Role.ADMIN})
            return
        if empty:
            self._seed()
            for name, role in DEMO_PEOPLE.items():
                access.ensure_user(actor=None, username=name, roles={role})
        self._greet(_demo_people_here() or {"admin": Role.ADMIN})

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while (missing := _not_ready()) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        if missing:
            raise CommandError(f"Not ready after {WAIT_SECONDS} s: {missing}. The lines above say why.")

    def _seed(self) -> None:
        """In a process of its own: what it loads is freed afterwards, and its failure stops nothing."""
        self.stdout.write("Seeding the demo")
        demo = [sys.executable, "manage.py", "demo"]
        code = subprocess.run(demo, cwd=settings.BASE_DIR, check=False).returncode
        if code:
            self.stderr.write(
                f"{RULE}\nTHE DEMO FAILED (exit code {code}); the lines above say where. The server runs.\n"
                f"Try again with: .venv/bin/python manage.py demo\n{RULE}"
            )

    def _greet(self, people: dict[str, Role]) -> None:
        self.stdout.write(f"{RULE}\nReady at {settings.PUBLIC_URL}\nEach of these links signs in once:")
        for name, role in people.items():
            self.stdout.write(f"{role:>10} ", ending="")
            # People of the demo keep the roles they have by now.
            granted = [] if name in DEMO_PEOPLE else [role.value]
            call_command("sign_in_link", user=name, role=granted, stdout=self.stdout)
        self.stdout.write(RULE)


def _demo_people_here() -> dict[str, Role]:
    present = set(User.objects.filter(username__in=DEMO_PEOPLE).values_list("username", flat=True))
    return {name: role for name, role in DEMO_PEOPLE.items() if name in present}


def _not_ready() -> str:
    """What `/readyz` says against serving predictions; empty when it says nothing."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.HOST, settings.HOST)
    connection = http.client.HTTPConnection(host, settings.PORT, timeout=5)
    try:
        connection.request("GET", "/readyz", headers={"Host": urlsplit(settings.PUBLIC_URL).netloc})
        answer = connection.getresponse()
        body = answer.read(1000).decode(errors="replace")
        return "" if answer.status == http.HTTPStatus.OK else body
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({error})"
    finally:
        connection.close()
