"""What the API documents say of the API as a whole. Settings read it, so it imports nothing."""

DESCRIPTION = """\
Everything the pages do, and all that programs need: experiments, runs, the model registry, deployments and predictions.

**Sign in** with `Authorization: Bearer <token>`, with a token as the password of HTTP Basic, or with the browser's
session and its CSRF token. Roles give rights; a refusal names the role that is missing.

**Lists** are `{"count", "next", "previous", "results"}` with `limit`, `offset`, `ordering`, `search` and filters. What
is not understood is refused, never ignored. `export=csv` and `export=json` stream the whole list.

**Errors** are `{"code", "detail", "fields"}`, whatever their status. A method that a path does not offer is answered
405, and a rendering that is not offered 406.

Paths answer with and without a “/” at the end. Times are ISO 8601 in UTC; durations end in `_seconds`, latencies in
`_ms`, sizes in `_bytes`.
"""

TAGS = [
    {"name": "Experiments", "description": "Questions, with the runs that try to answer them."},
    {"name": "Runs", "description": "Trainings: parameters, metrics, log lines and files."},
    {"name": "Model registry", "description": "Model versions: checklists, approvals, stages, aliases."},
    {"name": "Deployments", "description": "Serving a version in an environment, and taking it back."},
    {"name": "Predictions", "description": "Asking what is deployed."},
    {"name": "Drift", "description": "Figures that left their bounds."},
    {"name": "Alerts", "description": "What needs a person."},
    {"name": "Audit trail", "description": "Who did what, when and why."},
    {"name": "Access", "description": "Tokens, and whose model files may run code."},
    {"name": "Health", "description": "For load balancers and probes."},
    {"name": "Index", "description": "Where everything is."},
]

DOCUMENTS = {
    "TITLE": "MLOps platform",
    "VERSION": "1",
    "DESCRIPTION": DESCRIPTION,
    "TAGS": TAGS,
    "OAS_VERSION": "3.1.1",
    "COMPONENT_SPLIT_PATCH": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "PREPROCESSING_HOOKS": ["mlops_site.openapi.without_trailing_slash"],
    "POSTPROCESSING_HOOKS": ["mlops_site.openapi.complete"],
}
