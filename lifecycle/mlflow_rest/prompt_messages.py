"""Prompts and their versions as MLflow's messages: those of registered models, with tags that say what they are."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from lifecycle.mlflow_rest.registry_messages import IS_PROMPT, named, numbered
from prompts.models import Prompt, PromptAlias, PromptVersion

TEXT = "mlflow.prompt.text"
# What clients name as the source of a version, which has none.
SOURCE = "prompt-template"


def shown_prompts(prompts: Sequence[Prompt]) -> list[dict[str, Any]]:
    """The prompts as MLflow's `RegisteredModel` messages, each with its latest version."""
    keys = [prompt.pk for prompt in prompts]
    latest = {version.prompt_id: version_messages([version]) for version in latest_versions(keys)}
    aliases: dict[int, list[dict[str, str]]] = defaultdict(list)
    rows = PromptAlias.objects.filter(prompt__in=keys).order_by("alias")
    for prompt_id, alias, version in rows.values_list("prompt", "alias", "version__version"):
        aliases[prompt_id].append({"alias": alias, "version": str(version)})
    return [
        named(
            prompt,
            tags={IS_PROMPT: "true", **prompt.tags},
            aliases=aliases[prompt.pk],
            latest=latest.get(prompt.pk, []),
        )
        for prompt in prompts
    ]


def latest_versions(prompts: Iterable[int]) -> QuerySet[PromptVersion]:
    """Of each of these prompts the version of the highest number."""
    newest = PromptVersion.objects.kept().filter(prompt=OuterRef("pk")).order_by("-version").values("pk")[:1]
    of_each = Prompt.objects.filter(pk__in=prompts).annotate(newest=Subquery(newest)).values("newest")
    return PromptVersion.objects.filter(pk__in=of_each).select_related("prompt")


def version_messages(versions: Iterable[PromptVersion]) -> list[dict[str, Any]]:
    """The versions as MLflow's `ModelVersion` messages, as searches tell them: without their aliases."""
    return [_version(version) for version in versions]


def version_message(version: PromptVersion) -> dict[str, Any]:
    aliases = sorted(version.aliases.values_list("alias", flat=True))
    return _version(version) | ({"aliases": aliases} if aliases else {})


def _version(version: PromptVersion) -> dict[str, Any]:
    told = {"current_stage": "None", "source": SOURCE, "run_id": "", "run_link": ""}
    tags = {IS_PROMPT: "true", TEXT: version.content, **version.tags}
    return numbered(version, version.prompt.name, tags=tags) | told
