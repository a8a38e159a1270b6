"""What a data scientist does with models by MLflow's client: see `program`."""

import json
import sys
import tempfile
from pathlib import Path

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.models import infer_signature
from program import refusal  # the folder of this file is where Python looks first
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, Ridge


def main() -> None:
    mlflow.set_experiment("models")
    outcome = {
        part.__name__: part()
        for part in (
            log_in_a_run,
            log_without_a_run,
            log_automatically,
            measure,
            change,
            find,
            list_and_download,
            register,
        )
    }
    # The last line: the client says where its runs are before.
    sys.stdout.write(json.dumps(outcome, sort_keys=True) + "\n")


def log_in_a_run() -> dict:
    features, target = load_iris(return_X_y=True, as_frame=True)
    with mlflow.start_run(run_name="ridge") as run:
        mlflow.log_param("alpha", 0.5)
        ridge = Ridge(alpha=0.5).fit(features, target)
        signature = infer_signature(features, ridge.predict(features))
        info = mlflow.sklearn.log_model(ridge, name="ridge", signature=signature, input_example=features[:2])
    loaded = mlflow.pyfunc.load_model(info.model_uri)
    again = mlflow.sklearn.load_model(f"models:/{info.model_id}")
    by_run = mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/ridge")
    expected = ridge.predict(features)
    return {
        "predictions": [round(float(value), 6) for value in loaded.predict(features[:3])],
        "same": all(np.allclose(model.predict(features), expected) for model in (again, by_run)),
        "inputs": info.signature.inputs.input_names(),
        "logged": shown(mlflow.get_logged_model(info.model_id)),
        "outputs": [output.step for output in mlflow.get_run(run.info.run_id).outputs.model_outputs],
    }


def shown(model) -> dict:
    return {
        "name": model.name,
        "status": str(model.status),
        "parameters": model.params,
        "tags": sorted(model.tags),
        "of a run": bool(model.source_run_id),
        "type": model.model_type,
        "metrics": sorted(
            (metric.key, round(metric.value, 6), metric.step, metric.dataset_name)
            for metric in model.metrics or []
        ),
    }


def log_without_a_run() -> dict:
    features, target = load_iris(return_X_y=True, as_frame=True)
    model = LogisticRegression(max_iter=500).fit(features, target)
    info = mlflow.sklearn.log_model(model, name="alone", params={"C": 1.0})
    same = np.array_equal(mlflow.pyfunc.load_model(info.model_uri).predict(features), model.predict(features))
    return {"same": bool(same), "logged": shown(mlflow.get_logged_model(info.model_id))}


def log_automatically() -> dict:
    mlflow.sklearn.autolog(silent=True)
    features, target = load_iris(return_X_y=True, as_frame=True)
    with mlflow.start_run(run_name="automatic") as run:
        LogisticRegression(max_iter=500).fit(features, target)
    mlflow.sklearn.autolog(disable=True)
    (output,) = mlflow.get_run(run.info.run_id).outputs.model_outputs
    return shown(mlflow.get_logged_model(output.model_id))


def measure() -> dict:
    features, target = load_iris(return_X_y=True, as_frame=True)
    model = mlflow.initialize_logged_model(name="measured", tags={"team": "risk"})
    dataset = mlflow.data.from_pandas(features.assign(target=target), name="iris", targets="target")
    with mlflow.start_run(run_name="measuring"):
        for step in range(3):
            mlflow.log_metric("loss", 1 / (step + 1), step=step, model_id=model.model_id, dataset=dataset)
        mlflow.log_metrics({"auc": 0.9}, model_id=model.model_id)
    mlflow.finalize_logged_model(model.model_id, "READY")
    return shown(mlflow.get_logged_model(model.model_id))


def change() -> dict:
    model = mlflow.create_external_model(name="external", params={"a": "1"}, model_type="agent")
    mlflow.set_logged_model_tags(model.model_id, {"k": "v", "l": "w"})
    mlflow.delete_logged_model_tag(model.model_id, "k")
    changed = shown(mlflow.get_logged_model(model.model_id))
    client = MlflowClient()
    client.delete_logged_model(model.model_id)
    return {
        "changed": changed,
        "deleted": refusal(lambda: mlflow.get_logged_model(model.model_id)),
        "parameters": refusal(lambda: mlflow.log_model_params({"a": "2"}, model_id=model.model_id)),
        "missing": refusal(lambda: mlflow.pyfunc.load_model("models:/m-" + "0" * 32)),
        "badly named": refusal(lambda: mlflow.initialize_logged_model(name="a/b")),
    }


def find() -> dict:
    def named(**asked) -> list:
        return [model.name for model in mlflow.search_logged_models(output_format="list", **asked)]

    frame = mlflow.search_logged_models()
    return {
        "all": sorted(named()),
        "columns": sorted(frame.columns),
        "by parameter": named(filter_string="params.alpha = '0.5'"),
        "by name": named(filter_string="name LIKE 'm%'"),
        "by metric": named(
            filter_string="metrics.loss < 0.4", datasets=[{"dataset_name": "nothing", "dataset_digest": "x"}]
        ),
        "ordered": named(
            order_by=[{"field_name": "metrics.loss", "ascending": False}, {"field_name": "name"}],
            max_results=3,
        ),
        "refused": refusal(lambda: named(filter_string="params.alpha > '1'")),
    }


def list_and_download() -> dict:
    (model,) = mlflow.search_logged_models(filter_string="name = 'ridge'", output_format="list")
    client = MlflowClient()
    with tempfile.TemporaryDirectory() as folder:
        here = Path(mlflow.artifacts.download_artifacts(f"models:/{model.model_id}", dst_path=folder))
        files = sorted(str(file.relative_to(here)) for file in here.rglob("*") if file.is_file())
    return {
        "files": files,
        "of the run": sorted(file.path for file in client.list_artifacts(model.source_run_id)),
        "in the run": sorted(file.path for file in client.list_artifacts(model.source_run_id, "ridge")),
        "of the model": sorted(file.path for file in client.list_logged_model_artifacts(model.model_id)),
    }


def register() -> dict:
    features, target = load_iris(return_X_y=True, as_frame=True)
    client, ridge = MlflowClient(), Ridge(alpha=0.1).fit(features, target)
    with mlflow.start_run(run_name="registering") as run:
        mlflow.sklearn.log_model(
            ridge, name="flower", registered_model_name="flower", input_example=features[:2]
        )
    mlflow.sklearn.log_model(ridge, name="flower", registered_model_name="flower")
    by_run = mlflow.register_model(f"runs:/{run.info.run_id}/flower", "flower", tags={"how": "by hand"})
    client.set_registered_model_alias("flower", "champion", by_run.version)
    copied = client.copy_model_version("models:/flower@champion", "rose")
    client.update_registered_model("flower", description="Three kinds.")
    client.set_registered_model_tag("flower", "team", "risk")
    client.set_model_version_tag("flower", "1", "checked", "yes")
    client.transition_model_version_stage("flower", "2", "Production")
    outcome = {
        "versions": sorted(version_told(one) for one in client.search_model_versions("name = 'flower'")),
        "copied": version_told(copied),
        "same": [
            bool(np.allclose(mlflow.pyfunc.load_model(uri).predict(features), ridge.predict(features)))
            for uri in (
                "models:/flower@champion",
                "models:/flower/1",
                "models:/flower/Production",
                "models:/rose/latest",
            )
        ],
        "models": [
            (one.name, one.description, one.tags, one.aliases) for one in client.search_registered_models()
        ],
        "latest": sorted((one.version, one.current_stage) for one in client.get_latest_versions("flower")),
        "refused": [
            refusal(lambda: client.create_model_version("flower", "/etc/passwd")),
            refusal(lambda: client.get_model_version_by_alias("flower", "nobody")),
            refusal(lambda: client.create_registered_model("flower")),
            refusal(lambda: mlflow.pyfunc.load_model("models:/flower/99")),
        ],
    }
    client.transition_model_version_stage("flower", "2", "Archived")
    client.delete_registered_model_alias("flower", "champion")
    client.delete_model_version("flower", "3")
    client.rename_registered_model("rose", "tulip")
    client.delete_registered_model("tulip")
    return outcome | {
        "left": sorted(version_told(one) for one in client.search_model_versions()),
        "gone": refusal(lambda: client.get_registered_model("tulip")),
    }


def version_told(version) -> tuple:
    return (
        version.name,
        version.version,
        version.current_stage,
        version.status,
        sorted(version.tags),
        bool(version.run_id),
    )


if __name__ == "__main__":
    main()
