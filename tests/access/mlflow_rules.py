"""The table of rights for MLflow's protocol: see `rules`."""

from typing import Any

from tests.access.rules import AUTHORS, DECIDERS, EVERYBODY, READING, Kwargs, Rule, fixed
from tests.everything import Everything


def experiment_id(name: str, /, **more: Any) -> Kwargs:
    return lambda world: {"experiment_id": str(getattr(world, name).pk), **more}


def run_id(name: str, /, **more: Any) -> Kwargs:
    return lambda world: {"run_id": getattr(world, name).run_id, **more}


def in_experiment(world: Everything) -> dict[str, Any]:
    return {"experiment_ids": [str(world.experiment.pk)]}


POINT = {"key": "loss", "value": 0.5, "timestamp": 1}
DATASET = {"name": "wine", "digest": "a2", "source_type": "local", "source": "{}"}
MODEL = '{"run_id": "r", "artifact_path": "model", "utc_time_created": "now", "flavors": {}}'


def file_of(name: str) -> Kwargs:
    def path(world: Everything) -> dict[str, Any]:
        run = getattr(world, name)
        return {"path": f"{run.experiment.pk}/{run.run_id}/artifacts/notes.txt"}

    return path


def mlflow_files(doors: str) -> list[Rule]:
    """Files by MLflow's proxy. Uploads in parts and signed addresses are for nobody."""
    listed, named = file_of("run"), run_id("run", path="notes.txt")
    no = frozenset({501})
    return [
        Rule("GET", f"{doors}-artifacts-list", EVERYBODY, body=run_id("run")),
        Rule("GET", f"{doors}-proxy-artifacts", EVERYBODY, body=listed),
        Rule("GET", f"{doors}-file-artifacts", EVERYBODY, path=listed),
        Rule("PUT", f"{doors}-file-artifacts", AUTHORS, path=listed, body=fixed(content="new")),
        Rule("DELETE", f"{doors}-file-artifacts", AUTHORS, path=listed),
        Rule("GET", f"{doors}-file-presigned", EVERYBODY, path=listed, allowed=no),
        *(
            Rule("POST", f"{doors}-file-mpu-{step}", EVERYBODY, path=listed, allowed=no, kind=READING)
            for step in ("create", "complete", "abort")
        ),
        *(
            Rule(
                "POST",
                f"{doors}-artifacts-presigned-{way}-url",
                EVERYBODY,
                body=named,
                allowed=frozenset({400}),
                kind=READING,
            )
            for way in ("upload", "download")
        ),
    ]


def mlflow(doors: str) -> list[Rule]:
    """MLflow's protocol, behind either of its prefixes."""
    changing = {
        "experiments-create": fixed(name="by an MLflow client"),
        "experiments-update": experiment_id("experiment", new_name="renamed"),
        "experiments-delete": experiment_id("experiment"),
        "experiments-restore": experiment_id("archived_experiment"),
        "experiments-set-experiment-tag": experiment_id("experiment", key="k", value="v"),
        "experiments-delete-experiment-tag": experiment_id("experiment", key="team"),
        "runs-create": experiment_id("experiment"),
        "runs-update": run_id("run", run_name="renamed"),
        "runs-delete": run_id("run"),
        "runs-restore": run_id("deleted_run"),
        "runs-log-metric": run_id("run", **POINT),
        "runs-log-parameter": run_id("run", key="solver", value="adam"),
        "runs-log-batch": run_id("run", metrics=[POINT], tags=[{"key": "k", "value": "v"}]),
        "runs-set-tag": run_id("run", key="k", value="v"),
        "runs-delete-tag": run_id("run", key="ㄱ"),
        "runs-log-inputs": run_id("run", datasets=[{"dataset": DATASET}]),
        "runs-log-model": run_id("run", model_json=MODEL),
    }
    found = fixed(max_results=10)
    return [
        Rule("GET", f"{doors}-experiments-get", EVERYBODY, body=experiment_id("experiment")),
        Rule("GET", f"{doors}-experiments-get-by-name", EVERYBODY, body=fixed(experiment_name="diabetes")),
        Rule("GET", f"{doors}-experiments-search", EVERYBODY, body=found),
        Rule("POST", f"{doors}-experiments-search", EVERYBODY, body=found, kind=READING),
        Rule("GET", f"{doors}-runs-get", EVERYBODY, body=run_id("run")),
        Rule("POST", f"{doors}-runs-search", EVERYBODY, body=in_experiment, kind=READING),
        Rule("GET", f"{doors}-metrics-get-history", EVERYBODY, body=run_id("run", metric_key="loss")),
        Rule("GET", f"{doors}-metrics-get-history-bulk", EVERYBODY, body=run_id("run", metric_key="loss")),
        *(Rule("POST", f"{doors}-{call}", AUTHORS, body=body) for call, body in changing.items()),
    ]


def model_of(**more: Any) -> Kwargs:
    return lambda world: {"model_id": world.logged_model.model_id, **more}


def in_other_run(world: Everything) -> dict[str, Any]:
    return {"run_id": world.other_run.run_id, "models": [{"model_id": world.logged_model.model_id}]}


def mlflow_models(doors: str) -> list[Rule]:
    """Logged models."""
    one, name = model_of(), f"{doors}-logged-models-model_id"
    pair = [{"key": "k", "value": "v"}]
    return [
        Rule("POST", f"{doors}-logged-models", AUTHORS, body=experiment_id("experiment", name="ridge")),
        Rule("POST", f"{doors}-logged-models-search", EVERYBODY, body=in_experiment, kind=READING),
        Rule("GET", name, EVERYBODY, path=one),
        Rule("PATCH", name, AUTHORS, path=one, body=fixed(status="LOGGED_MODEL_READY")),
        Rule("DELETE", name, AUTHORS, path=one),
        Rule("POST", f"{name}-params", AUTHORS, path=one, body=fixed(params=pair)),
        Rule("PATCH", f"{name}-tags", AUTHORS, path=one, body=fixed(tags=pair)),
        Rule("DELETE", f"{name}-tags-tag_key", AUTHORS, path=model_of(tag_key="ㄱ")),
        Rule("GET", f"{name}-artifacts-directories", EVERYBODY, path=one),
        Rule("GET", f"{name}-artifacts-files", EVERYBODY, path=one, body=fixed(artifact_file_path="MLmodel")),
        Rule("POST", f"{doors}-runs-outputs", AUTHORS, body=in_other_run),
    ]


def registered(name: str, **more: Any) -> Kwargs:
    """A version of that name in the world; nothing deletes one that was deployed."""
    return lambda world: {
        "name": getattr(world, name).model.name,
        "version": str(getattr(world, name).version),
        **more,
    }


def of_run(world: Everything) -> dict[str, Any]:
    run = world.run.run_id
    return {"name": "diabetes", "source": f"runs:/{run}/model", "run_id": run}


def mlflow_registry(doors: str) -> list[Rule]:
    """Registered models and their versions."""
    models, versions = f"{doors}-registered-models", f"{doors}-model-versions"
    named, pair = fixed(name="diabetes"), {"key": "k", "value": "v"}
    by_alias = fixed(name="diabetes", alias="champion")
    return [
        Rule("POST", f"{models}-create", AUTHORS, body=fixed(name="new")),
        Rule("GET", f"{models}-get", EVERYBODY, body=named),
        Rule("PATCH", f"{models}-update", AUTHORS, body=fixed(name="diabetes", description="Why.")),
        Rule("POST", f"{models}-rename", AUTHORS, body=fixed(name="diabetes, empty", new_name="other")),
        Rule("DELETE", f"{models}-delete", AUTHORS, body=fixed(name="diabetes, empty")),
        Rule("GET", f"{models}-search", EVERYBODY),
        Rule("POST", f"{models}-set-tag", AUTHORS, body=fixed(name="diabetes", **pair)),
        Rule("DELETE", f"{models}-delete-tag", AUTHORS, body=fixed(name="diabetes", key="team")),
        Rule("GET", f"{models}-get-latest-versions", EVERYBODY, body=named),
        Rule("POST", f"{models}-get-latest-versions", EVERYBODY, body=named, kind=READING),
        Rule("GET", f"{models}-alias", EVERYBODY, body=by_alias),
        Rule("POST", f"{models}-alias", AUTHORS, body=registered("approved", alias="champion")),
        Rule("DELETE", f"{models}-alias", AUTHORS, body=by_alias),
        Rule("POST", f"{versions}-create", AUTHORS, body=of_run),
        Rule("GET", f"{versions}-get", EVERYBODY, body=registered("version")),
        Rule("PATCH", f"{versions}-update", AUTHORS, body=registered("version", description="Why.")),
        Rule("DELETE", f"{versions}-delete", AUTHORS, body=registered("version")),
        Rule("GET", f"{versions}-search", EVERYBODY),
        Rule("POST", f"{versions}-set-tag", AUTHORS, body=registered("version", **pair)),
        Rule("DELETE", f"{versions}-delete-tag", AUTHORS, body=registered("approved", key="team")),
        Rule("GET", f"{versions}-get-download-uri", EVERYBODY, body=registered("version")),
        Rule("POST", f"{versions}-transition-stage", DECIDERS, body=registered("version", stage="Archived")),
    ]


def mlflow_prompts(doors: str) -> list[Rule]:
    """Prompts, by the calls on registered models."""
    models, versions = f"{doors}-registered-models", f"{doors}-model-versions"
    mark, pair = {"key": "mlflow.prompt.is_prompt", "value": "true"}, {"key": "k", "value": "v"}
    named, numbered = fixed(name="diabetes prompt"), fixed(name="diabetes prompt", version="1")
    by_alias = fixed(name="diabetes prompt", alias="champion")
    text = fixed(
        name="diabetes prompt",
        source="prompt-template",
        tags=[mark, {"key": "mlflow.prompt.text", "value": "Hello."}],
    )
    only_prompts = fixed(filter="tags.`mlflow.prompt.is_prompt` = 'true'")

    def more(body: Kwargs, **fields: Any) -> Kwargs:
        return lambda world: body(world) | fields

    return [
        Rule("POST", f"{models}-create", AUTHORS, body=fixed(name="new prompt", tags=[mark])),
        Rule("GET", f"{models}-get", EVERYBODY, body=named),
        Rule("PATCH", f"{models}-update", AUTHORS, body=more(named, description="Why.")),
        Rule("POST", f"{models}-rename", AUTHORS, body=more(named, new_name="other prompt")),
        Rule("DELETE", f"{models}-delete", AUTHORS, body=named),
        Rule("GET", f"{models}-search", EVERYBODY, body=only_prompts),
        Rule("POST", f"{models}-set-tag", AUTHORS, body=more(named, **pair)),
        Rule("DELETE", f"{models}-delete-tag", AUTHORS, body=more(named, key="ㄱ")),
        Rule("GET", f"{models}-get-latest-versions", EVERYBODY, body=named),
        Rule("GET", f"{models}-alias", EVERYBODY, body=by_alias),
        Rule("POST", f"{models}-alias", AUTHORS, body=more(numbered, alias="other")),
        Rule("DELETE", f"{models}-alias", AUTHORS, body=by_alias),
        Rule("POST", f"{versions}-create", AUTHORS, body=text),
        Rule("GET", f"{versions}-get", EVERYBODY, body=numbered),
        Rule("PATCH", f"{versions}-update", AUTHORS, body=more(numbered, description="Why.")),
        Rule("DELETE", f"{versions}-delete", AUTHORS, body=numbered),
        Rule("GET", f"{versions}-search", EVERYBODY, body=only_prompts),
        Rule("POST", f"{versions}-set-tag", AUTHORS, body=more(numbered, **pair)),
        Rule("GET", f"{versions}-get-download-uri", EVERYBODY, body=numbered),
    ]


MLFLOW = [
    rule
    for doors in ("mlflow", "mlflow-ajax")
    for rules in (
        mlflow(doors),
        mlflow_files(doors),
        mlflow_models(doors),
        mlflow_registry(doors),
        mlflow_prompts(doors),
    )
    for rule in rules
]
