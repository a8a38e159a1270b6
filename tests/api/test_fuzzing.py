"""Whatever is asked, by whomever: no answer is a server's error, and none is one the schema does not know.

Schemathesis asks a real server. Once, as an admin, with all its systematic cases; as everybody else with examples and
random ones.
"""

import pytest

from tests.api.conftest import ROLES
from tests.api.fuzzing import fuzz, leading_somewhere

pytestmark = pytest.mark.slow

RANDOM_ONLY = ("--phases=examples,fuzzing",)


def bearer(seeded, role):
    return {"Authorization": f"Bearer {seeded.tokens[role]}"}


@pytest.mark.parametrize("role", [role for role in ROLES if role != "admin"])
def test_every_answer_to_a_role_is_documented(seeded, tmp_path, role):
    schema = leading_somewhere(seeded.schema, seeded.seeds)
    headers = bearer(seeded, role)
    fuzz(schema, url=seeded.stack.url, folder=tmp_path, headers=headers, examples=5, options=RANDOM_ONLY)


def test_every_answer_to_a_stranger_is_documented(seeded, tmp_path):
    fuzz(seeded.schema, url=seeded.stack.url, folder=tmp_path, headers={}, examples=3, options=RANDOM_ONLY)


def test_every_answer_about_what_is_not_there_is_documented(seeded, tmp_path):
    headers = bearer(seeded, "admin")
    fuzz(
        seeded.schema, url=seeded.stack.url, folder=tmp_path, headers=headers, examples=5, options=RANDOM_ONLY
    )


def test_every_answer_to_an_admin_is_documented_whatever_is_asked(seeded, tmp_path):
    schema = leading_somewhere(seeded.schema, seeded.seeds)
    headers = bearer(seeded, "admin")
    fuzz(schema, url=seeded.stack.url, folder=tmp_path, headers=headers, examples=10)


def test_every_answer_about_tokens_by_session_is_documented(seeded, tmp_path):
    """Last, since it may revoke those that the others ask with."""
    headers = seeded.session_headers("admin")
    options = ("--include-path-regex=^/api/v1/tokens",)
    fuzz(seeded.schema, url=seeded.stack.url, folder=tmp_path, headers=headers, examples=20, options=options)
