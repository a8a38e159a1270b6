from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def _static_files_without_a_manifest() -> Iterator[None]:
    """Pages rendered by Django's test client name static files as they lie in the source; a server collects them."""
    from django.test import override_settings

    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    default = {"BACKEND": "django.core.files.storage.FileSystemStorage"}
    with override_settings(STORAGES={"default": default, "staticfiles": plain}):
        yield


@pytest.fixture(autouse=True)
def _failed_sign_ins_of_other_tests_are_forgotten() -> None:
    from core.attempts import failed_attempts

    failed_attempts.forget()
