"""The table of rights, written down apart from the code: who may send which request.

Each rule is one request that succeeds for whoever may send it, so that what refuses is the right alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.admin_rows import labels
from tests.everything import Everything

EVERYBODY = frozenset({"viewer", "scientist", "approver", "operator", "admin"})
AUTHORS = frozenset({"scientist", "admin"})
TICKERS = EVERYBODY - {"viewer"}
DECIDERS = frozenset({"approver", "admin"})
DEPLOYERS_IN_DEVELOPMENT = frozenset({"scientist", "operator", "admin"})
DEPLOYERS = frozenset({"operator", "admin"})
WATCHERS = frozenset({"scientist", "operator", "admin"})
ADMINS = frozenset({"admin"})

# Rules whose requests change nothing: a read-only token may send them.
READING = "reading"
CHANGING = "changing"

Kwargs = Callable[[Everything], dict[str, Any]]


def nothing(world: Everything) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Rule:
    """One request: to `route` (a URL's name) with `path` and `body`, which `who` may send."""

    method: str
    route: str
    who: frozenset[str]
    path: Kwargs = nothing
    body: Kwargs = nothing
    kind: str = ""
    about: str = ""
    # What is answered to who may, where no success can be had: nothing is deployed in these tests.
    allowed: frozenset[int] = frozenset({200, 201, 204})
    token: bool = True  # False: only for who signed in with a browser
    all_domains: bool = False  # rows of several domains, of which a limited token sees its own

    @property
    def changes(self) -> bool:
        return (self.kind or (READING if self.method == "GET" else CHANGING)) == CHANGING

    def __str__(self) -> str:
        return " ".join(filter(None, (self.method, self.route, self.about)))


def version_of(name: str) -> Kwargs:
    def path(world: Everything) -> dict[str, Any]:
        version = getattr(world, name)
        return {"model_name": version.model.name, "version": version.version}

    return path


def pk_of(name: str) -> Kwargs:
    return lambda world: {"pk": getattr(world, name).pk}


def run_of(name: str) -> Kwargs:
    return lambda world: {"run_id": getattr(world, name).run_id}


def experiment_of(name: str) -> Kwargs:
    return lambda world: {"name": getattr(world, name).name}


def fixed(**values: Any) -> Kwargs:
    return lambda world: values


def alias(name: str) -> Kwargs:
    return lambda world: {"model_name": world.version.model.name, "alias": name}


def deploying(environment: str) -> Kwargs:
    return lambda world: {
        "model_name": world.approved.model.name,
        "version": str(world.approved.version),
        "environment": environment,
    }


EXPERIMENTS = [
    Rule("GET", "experiment-api-list", EVERYBODY),
    Rule("POST", "experiment-api-list", AUTHORS, body=fixed(name="new")),
    Rule("GET", "experiment-api-detail", EVERYBODY, experiment_of("experiment")),
    Rule("PATCH", "experiment-api-detail", AUTHORS, experiment_of("experiment"), fixed(description="Why.")),
    Rule("DELETE", "experiment-api-detail", AUTHORS, experiment_of("experiment")),
    Rule("POST", "experiment-api-restore", AUTHORS, experiment_of("archived_experiment")),
]

RUNS = [
    Rule("GET", "run-api-list", EVERYBODY),
    Rule("POST", "run-api-list", AUTHORS, body=fixed(experiment_name="diabetes")),
    Rule("GET", "run-api-detail", EVERYBODY, run_of("run")),
    Rule("PATCH", "run-api-detail", AUTHORS, run_of("run"), fixed(notes="Good.")),
    Rule("DELETE", "run-api-detail", AUTHORS, run_of("run")),
    Rule("POST", "run-api-restore", AUTHORS, run_of("deleted_run")),
    Rule(
        "POST",
        "run-api-compare",
        EVERYBODY,
        body=lambda world: {"run_ids": [world.run.run_id, world.other_run.run_id]},
        kind=READING,
    ),
    Rule("GET", "run-metric-api-list", EVERYBODY, run_of("run")),
    Rule(
        "POST",
        "run-metric-api-list",
        AUTHORS,
        run_of("run"),
        fixed(metrics=[{"metric_name": "loss", "value": 0.1, "step": 1}]),
    ),
    Rule("GET", "run-log-api-list", EVERYBODY, run_of("run")),
    Rule("POST", "run-log-api-list", AUTHORS, run_of("run"), fixed(lines=[{"message": "epoch 1"}])),
    Rule("GET", "run-artifact-api-list", EVERYBODY, run_of("run")),
    Rule(
        "GET",
        "run-artifact-api-detail",
        EVERYBODY,
        lambda world: {"run_id": world.run.run_id, "path": "notes.txt"},
    ),
    Rule(
        "PUT",
        "run-artifact-api-detail",
        AUTHORS,
        lambda world: {"run_id": world.run.run_id, "path": "more.txt"},
        fixed(any="bytes"),
    ),
]

VERSIONS = [
    Rule("GET", "model-list-api-list", EVERYBODY),
    Rule(
        "POST",
        "model-list-api-list",
        AUTHORS,
        body=lambda world: {
            "model_name": "new",
            "run_id": world.run.run_id,
            "artifact_path": "model",
        },
    ),
    Rule("GET", "model-version-api-detail", EVERYBODY, version_of("version")),
    Rule("PATCH", "model-version-api-detail", AUTHORS, version_of("version"), fixed(description="Why.")),
    Rule(
        "PATCH",
        "model-version-api-detail",
        DECIDERS,
        version_of("approved"),
        fixed(stage="staging"),
        about="stage",
    ),
    Rule(
        "PATCH",
        "model-version-api-detail",
        TICKERS,
        version_of("version"),
        lambda world: {"approval_checklist": [{"id": world.checked_item.pk, "status": "pending"}]},
        about="checklist",
    ),
    Rule(
        "POST",
        "model-version-api-compare",
        EVERYBODY,
        lambda world: {"model_name": world.version.model.name},
        fixed(versions=["1", "2"]),
        kind=READING,
    ),
    Rule("POST", "model-version-api-approve", DECIDERS, version_of("version")),
    Rule("POST", "model-version-api-reject", DECIDERS, version_of("version"), fixed(reason="No.")),
    Rule("POST", "model-version-api-archive", DECIDERS, version_of("version")),
    Rule(
        "POST",
        "model-version-api-append-to-checklist",
        AUTHORS | DECIDERS,  # who decides asks for what they want to see
        version_of("version"),
        fixed(name="Legal asked"),
    ),
    Rule(
        "PATCH",
        "model-version-api-tick",
        TICKERS,
        lambda world: version_of("version")(world) | {"item_id": world.checked_item.pk},
        fixed(status="pending"),
    ),
    Rule("GET", "model-alias-api-detail", EVERYBODY, alias("champion")),
    Rule("PUT", "model-alias-api-detail", AUTHORS, alias("challenger"), fixed(version="1")),
    Rule("DELETE", "model-alias-api-detail", AUTHORS, alias("champion")),
    Rule("GET", "code-allowance-api-list", EVERYBODY),
    Rule(
        "POST",
        "code-allowance-api-list",
        ADMINS,
        body=lambda world: {"model_name": world.version.model.name, "reason": "Reviewed."},
    ),
    Rule("DELETE", "code-allowance-api-detail", ADMINS, pk_of("allowance")),
]

DEPLOYMENTS = [
    Rule("GET", "deployment-api-list", EVERYBODY),
    *(
        rule
        for environment, deployers, serving in [
            ("development", DEPLOYERS_IN_DEVELOPMENT, "deployment"),
            ("production", DEPLOYERS, "deployment_in_production"),
        ]
        for rule in [
            Rule(
                "POST",
                "deployment-api-list",
                deployers,
                body=deploying(environment),
                about=f"in {environment}",
            ),
            Rule(
                "POST",
                "model-version-api-deploy",
                deployers,
                version_of("approved"),
                fixed(environment=environment),
                about=f"in {environment}",
            ),
            Rule("DELETE", "deployment-api-detail", deployers, pk_of(serving), about=f"in {environment}"),
            *(
                Rule(
                    "PATCH",
                    "deployment-api-detail",
                    deployers,
                    pk_of(serving),
                    fixed(**change),
                    about=f"{next(iter(change.values()))} in {environment}",
                )
                for change in [
                    {"deployment_notes": "notes"},
                    {"status": "terminated"},
                    {"status": "rollback"},
                ]
            ),
            Rule("POST", "deployment-api-rollback", deployers, pk_of(serving), about=f"in {environment}"),
        ]
    ),
    *(
        Rule("GET", f"deployment-api-{part}", EVERYBODY, pk_of("deployment"))
        for part in ("detail", "events", "logs", "metrics")
    ),
    Rule(
        "POST",
        "invocations",
        EVERYBODY,
        fixed(model_name="nothing", environment="production"),
        fixed(inputs=[[1]]),
        kind=READING,
        allowed=frozenset({404}),
    ),
    Rule("GET", "drift-event-api-list", EVERYBODY),
    Rule(
        "POST",
        "drift-event-api-list",
        WATCHERS,
        body=fixed(
            model_name="diabetes",
            version="1",
            severity="low",
            metric_name="psi",
            metric_value=0.3,
            threshold=0.2,
        ),
    ),
    Rule("POST", "drift-event-api-acknowledge", WATCHERS, pk_of("drift")),
]

CORE = [
    Rule("GET", "api-root", EVERYBODY, all_domains=True),
    Rule("GET", "api-schema", EVERYBODY, all_domains=True),
    Rule("GET", "alert-list", EVERYBODY, all_domains=True),
    Rule("POST", "alert-acknowledge", WATCHERS, pk_of("alert"), all_domains=True),
    Rule("GET", "audit-event-list", EVERYBODY, all_domains=True),
    Rule("GET", "token-list", EVERYBODY, token=False),
    Rule("POST", "token-list", EVERYBODY, body=fixed(name="mine"), token=False),
    Rule(
        "POST",
        "token-list",
        ADMINS,
        body=lambda world: {"name": "theirs", "user": world.author.username},
        token=False,
        about="for another",
    ),
]


API = [*EXPERIMENTS, *RUNS, *VERSIONS, *DEPLOYMENTS, *CORE]

PAGES = [
    Rule("GET", "overview", EVERYBODY),
    Rule("GET", "api-docs", EVERYBODY),
    Rule("GET", "api-redoc", EVERYBODY),
    Rule("GET", "deployment-list", EVERYBODY),
    Rule("GET", "deployment", EVERYBODY, pk_of("deployment")),
    Rule("GET", "deployment-live", EVERYBODY, pk_of("deployment"), allowed=frozenset({286})),
    Rule("GET", "deployment-log", EVERYBODY, pk_of("deployment")),
    Rule("GET", "deployment-log-file", EVERYBODY, pk_of("deployment")),
    *(
        Rule("POST", f"deployment-{act}", who, pk_of(serving), allowed=frozenset({302}), about=serving)
        for act in ("rollback", "terminate")
        for serving, who in [
            ("deployment", DEPLOYERS_IN_DEVELOPMENT),
            ("deployment_in_production", DEPLOYERS),
        ]
    ),
]

# Answered to anybody, signed in or not: none of them tells or changes anything of the platform's.
PUBLIC = {"mlflow-health", "mlflow-version", "mlflow-server-info", "mlflow-ajax-server-info"}
PUBLIC |= {"healthz", "readyz", "set_language", "sign-in", "sign-in-link", "sign-out"}
# Of the admin: pages of its frame, and of each model. `tests/core/test_admin_pages.py` says who may open which.
ADMIN = {
    *(
        "index",
        "search",
        "login",
        "logout",
        "password_change",
        "password_change_done",
        "autocomplete",
        "jsi18n",
    ),
    *("view_on_site", "verify_audit", "app_list"),
    "django.views.generic.base.RedirectView",
    "django.contrib.admin.sites.AdminSite.catch_all_view",
    *(
        f"{label.replace('.', '_')}_{page}"
        for label in labels()
        for page in ("changelist", "add", "history", "delete", "change")
    ),
}
# Tokens of others are not to be found (404), so the right alone does not decide: they have a test of their own.
ELSEWHERE = {"token-revoke": "tests/core/test_tokens_api.py"}
