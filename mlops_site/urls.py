"""Every path of the site."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from core.api.documents import SchemaView, redoc, swagger
from core.health import healthz, readyz
from core.pages.sign_in import SignInView, sign_in_link
from mlops_site.api import index

admin.autodiscover()

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("sign-in", SignInView.as_view(), name="sign-in"),
    path("sign-in/<str:secret>", sign_in_link, name="sign-in-link"),
    path("sign-out", LogoutView.as_view(), name="sign-out"),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("api/v1", index),
    path("api/v1/", include("mlops_site.api")),
    re_path("^api/schema/?$", SchemaView.as_view(), name="api-schema"),
    re_path("^api/docs/?$", swagger, name="api-docs"),
    re_path("^api/redoc/?$", redoc, name="api-redoc"),
    path("", include("lifecycle.mlflow_rest.urls")),
    path("", include("lifecycle.page_urls")),
]

handler400 = "core.pages.errors.bad_request"
handler403 = "core.pages.errors.permission_denied"
handler404 = "core.pages.errors.not_found"
handler500 = "core.pages.errors.server_error"
