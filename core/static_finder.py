"""Finds static files, and of the npm packages only the files that pages load."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib.staticfiles.finders import AppDirectoriesFinder, FileSystemFinder

VENDOR_FILES = {
    "vendor/tabler/css/tabler.min.css",
    "vendor/tabler/css/tabler.min.css.map",  # the stylesheet names it, and hashed names need it to exist
    "vendor/tabler/js/tabler.min.js",
    "vendor/tabler/js/tabler.min.js.map",
    "vendor/htmx/htmx.min.js",
    "vendor/idiomorph/idiomorph-ext.min.js",
    "vendor/echarts/echarts.common.min.js",
}

# Of apps that bring more than pages load, what they load.
APP_FILES = {
    "rest_framework": set[str](),
    "django_filters": set[str](),
    "drf_spectacular_sidecar": {
        "drf_spectacular_sidecar/redoc/bundles/redoc.standalone.js",
        "drf_spectacular_sidecar/redoc/bundles/redoc.standalone.js.map",  # as above: the script names it
        "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js",
        "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js.map",
        "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css",
        "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css.map",
    },
}


class ListedVendorFilesFinder(FileSystemFinder):
    """STATICFILES_DIRS without the files under `vendor/` that no page asks for.

    The packages hold some 150 variants and source maps; hashing and compressing them would add
    many megabytes and most of a minute to a first start.
    """

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, Any]]:
        for path, storage in super().list(ignore_patterns):
            name = f"{storage.prefix}/{path}" if storage.prefix else path
            if not name.startswith("vendor/") or name in VENDOR_FILES:
                yield path, storage


class ListedAppFilesFinder(AppDirectoriesFinder):
    """Static files of apps, but of those in APP_FILES only the ones that are listed."""

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, Any]]:
        for path, storage in super().list(ignore_patterns):
            app = path.partition("/")[0]
            if app not in APP_FILES or path in APP_FILES[app]:
                yield path, storage
