# The product's version, here and nowhere else. CHANGELOG.md begins with it. Settings read it while Celery is imported.
__version__ = "0.1.0"

from mlops_site.celery import app as celery_app  # noqa: E402

__all__ = ["__version__", "celery_app"]
