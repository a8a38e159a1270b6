"""Plain makers of what tests need. Each takes what matters to the test and fills in the rest."""

import io
import json
from itertools import count
from typing import Any

from django.contrib.auth.models import Group
from django.utils import timezone
from rest_framework.test import APIClient

from core.models import AccessToken, User
from core.models.access import digest, new_secret
from core.models.registry_names import RegistryKind
from core.operations import registry_names
from lifecycle.endpoint_config import build
from lifecycle.models import Artifact, Deployment, Experiment, LoggedModel, ModelVersion, RegisteredModel, Run
from lifecycle.models.artifacts import FileOwner
from lifecycle.operations.registry import register_version
from lifecycle.operations.uploads import upload
from prompts.models import Prompt, PromptVersion
from prompts.operations.prompts import create_prompt
from prompts.operations.versions import create_version as create_prompt_version

numbers = count(1)


def make_user(*roles: str, username: str = "", **fields: Any) -> User:
    """A user with these roles; without any, a viewer."""
    user = User(username=username or f"user{next(numbers)}", **fields)
    user.set_unusable_password()
    user.save()
    for role in roles:
        user.groups.add(Group.objects.get_or_create(name=role)[0])
    return user


def make_token(user: User, **fields: Any) -> str:
    """A token's secret, for `Authorization: Bearer`."""
    secret = new_secret("mlops")
    fields.setdefault("name", "test")
    AccessToken.objects.create(user=user, digest=digest(secret), hint=secret[:12], **fields)
    return secret


def make_client(*roles: str, user: User | None = None, **token: Any) -> APIClient:
    """An API client signed in by token; its `user` is who it is."""
    client = APIClient()
    client.user = user or make_user(*roles)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_token(client.user, **token)}")
    return client


def make_experiment(**fields: Any) -> Experiment:
    fields.setdefault("name", f"experiment {next(numbers)}")
    fields.setdefault("owner", fields.pop("created_by", None) or make_user("scientist"))
    return Experiment.objects.create(**fields)


def make_run(**fields: Any) -> Run:
    fields.setdefault("created_by", make_user("scientist"))
    if "experiment" not in fields:
        fields["experiment"] = make_experiment(owner=fields["created_by"])
    fields.setdefault("started_at", timezone.now())
    return Run.objects.create(**fields)


def make_model(**fields: Any) -> RegisteredModel:
    fields.setdefault("name", f"model-{next(numbers)}")
    fields.setdefault("created_by", make_user("scientist"))
    if not fields.get("deleted_at"):
        registry_names.take(fields["name"], RegistryKind.MODEL)
    return RegisteredModel.objects.create(**fields)


def make_prompt(**fields: Any) -> Prompt:
    fields.setdefault("name", f"prompt-{next(numbers)}")
    return create_prompt(actor=fields.pop("actor", None) or make_user("scientist"), **fields)


def make_prompt_version(**fields: Any) -> PromptVersion:
    """The next version of a prompt, which is a new one unless it is given."""
    actor = fields.pop("actor", None) or make_user("scientist")
    prompt = fields.pop("prompt", None) or make_prompt(actor=actor)
    fields.setdefault("content", "Greet {{name}}.")
    return create_prompt_version(actor=actor, prompt=prompt, **fields)


def make_version(*, approved: bool = False, **fields: Any) -> ModelVersion:
    """A model version without files; `approved` makes it one that somebody else approved."""
    fields.setdefault("created_by", make_user("scientist"))
    fields.setdefault(
        "run", make_run(created_by=fields["created_by"]) if "run" not in fields else fields["run"]
    )
    fields.setdefault(
        "model", make_model(created_by=fields["created_by"]) if "model" not in fields else fields["model"]
    )
    fields.setdefault("version", fields["model"].last_version + 1)
    fields.setdefault("artifact_path", "model")
    fields.setdefault("content_sha256", "0" * 64)
    if approved:
        fields.update(
            approved_by=make_user("approver"),
            approved_at=timezone.now(),
            approved_sha256=fields["content_sha256"],
        )
    version = ModelVersion.objects.create(**fields)
    RegisteredModel.objects.filter(pk=version.model_id).update(last_version=version.version)
    version.model.refresh_from_db()
    return version


MLMODEL = """
artifact_path: model
flavors:
  python_function:
    loader_module: mlflow.sklearn
  sklearn:
    pickled_model: model.skops
signature:
  inputs: '[{"type": "double", "name": "age", "required": true}]'
  outputs: '[{"type": "double", "required": true}]'
  params: null
"""


def make_file(
    owner: FileOwner, path: str, content: str | bytes = "content", *, actor: User | None = None
) -> Artifact:
    """A file of a run or a logged model, uploaded by `actor` or else by whoever made that."""
    data = content.encode() if isinstance(content, str) else content
    return upload(actor=actor or owner.created_by, owner=owner, path=path, chunks=[data])[0]


def make_model_run(folder: str = "model", **fields: Any) -> Run:
    """A run with the files of a model. They say they are one; nothing of them can be loaded."""
    run = make_run(**fields)
    make_file(run, f"{folder}/MLmodel", MLMODEL)
    make_file(run, f"{folder}/model.skops", "weights")
    return run


def make_logged_model(**fields: Any) -> LoggedModel:
    """With the files of a model."""
    if "experiment" not in fields:
        fields["experiment"] = make_experiment()
    fields.setdefault("created_by", fields["experiment"].owner)
    fields.setdefault("name", f"logged-{next(numbers)}")
    model = LoggedModel.objects.create(**fields)
    make_file(model, "MLmodel", MLMODEL)
    make_file(model, "model.skops", "weights")
    return model


def make_registered(*, created_by: User | None = None, ticked: bool = False, **fields: Any) -> ModelVersion:
    """A version registered as people do it, with files and checklist; `ticked` makes it approvable."""
    author = created_by or make_user("scientist")
    if "run_id" not in fields:
        fields["run_id"] = make_model_run(created_by=author).run_id
    fields.setdefault("model_name", f"model-{next(numbers)}")
    version = register_version(actor=author, artifact_path="model", **fields)
    if ticked:
        version.checklist.update(status="approved")
    return version


def make_deployment(**fields: Any) -> Deployment:
    """A deployment as a row, without a pipeline behind it."""
    if "model_version" not in fields:
        fields["model_version"] = make_version(approved=True, stage="production")
    fields.setdefault("model", fields["model_version"].model)
    fields.setdefault("environment", "development")
    fields.setdefault("content_sha256", fields["model_version"].content_sha256)
    fields.setdefault("created_by", make_user("operator"))
    fields.setdefault("endpoint_config", build({}).as_json())
    if fields.get("status") in ("active", "rollback", "terminated"):
        fields.setdefault("deployed_at", timezone.now())
    return Deployment.objects.create(**fields)


def chunked(body: Any) -> dict[str, Any]:
    """What a request of the test client is sent with for gunicorn's way of handing on a body sent in chunks."""
    return {
        "wsgi.input": io.BytesIO(json.dumps(body).encode()),
        "wsgi.input_terminated": True,
        "CONTENT_LENGTH": "",
        "CONTENT_TYPE": "application/json",
        "HTTP_TRANSFER_ENCODING": "chunked",
    }
