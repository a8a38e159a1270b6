"""Finds static files, and of the npm packages only the files that pages load."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib.staticfiles.finders import FileSystemFinder

VENDOR_FILES = {
    "vendor/tabler/css/tabler.min.css",
    "vendor/tabler/css/tabler.min.css.map",  # the stylesheet names it, and hashed names need it to exist
    "vendor/tabler/js/tabler.min.js",
    "vendor/tabler/js/tabler.min.js.map",
    "vendor/htmx/htmx.min.js",
    "vendor/idiomorph/idiomorph-ext.min.js",
    "vendor/echarts/echarts.common.min.js",
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
