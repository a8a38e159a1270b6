"""A data scientist's program, with MLflow's client and nothing else changed. Prints what came of it, as JSON.

Run by an interpreter that has all of MLflow, against the server that MLFLOW_TRACKING_URI names.
"""

import json
import sys
import tempfile
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

STEPS = 1000
# What differs from one run of the program to the next.
VOLATILE = {"start_time", "end_time", "run_id", "experiment_id", "artifact_uri"}


def main() -> None:
    mlflow.set_experiment("program")
    outcome = {
        "autolog": search_a_grid(),
        "nested": nest_runs(),
        "steps": log_steps(),
        "files": keep_files(),
        "refused": change_a_parameter(),
    }
    outcome["table"] = table()
    # The last line: the client says where its runs are before.
    sys.stdout.write(json.dumps(outcome, sort_keys=True) + "\n")


def search_a_grid() -> dict:
    mlflow.sklearn.autolog(log_models=False, silent=True)
    features, target = load_iris(return_X_y=True, as_frame=True)
    with mlflow.start_run(run_name="grid") as run:
        GridSearchCV(LogisticRegression(max_iter=500), {"C": [0.1, 1.0, 10.0]}, cv=3).fit(features, target)
    mlflow.sklearn.autolog(disable=True)
    logged = mlflow.get_run(run.info.run_id)
    children = mlflow.search_runs(filter_string=f"tags.mlflow.parentRunId = '{run.info.run_id}'")
    return {
        "parameters": logged.data.params,
        "metrics": {name: round(value, 6) for name, value in logged.data.metrics.items()},
        "tags": sorted(logged.data.tags),
        "status": logged.info.status,
        "datasets": [one.dataset.digest for one in logged.inputs.dataset_inputs],
        "files": sorted(
            file.path for file in mlflow.artifacts.list_artifacts(artifact_uri=logged.info.artifact_uri)
        ),
        "children": sorted(children["params.C"]),
    }


def nest_runs() -> dict:
    with mlflow.start_run(run_name="parent", tags={"team": "risk"}, description="why") as parent:
        for depth in (1, 2):
            with mlflow.start_run(run_name=f"child {depth}", nested=True):
                mlflow.log_params({"depth": depth, "text": "값"})
                mlflow.log_metrics({"loss": 1 / depth, "nan": float("nan"), "inf": float("inf")})
    found = mlflow.search_runs(
        filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}' AND metrics.loss < 2",
        order_by=["metrics.loss ASC"],
    )
    again = mlflow.get_run(parent.info.run_id)
    return {
        "names": list(found["tags.mlflow.runName"]),
        "values": [repr(found.loc[0, f"metrics.{name}"]) for name in ("loss", "nan", "inf")],
        "note": again.data.tags["mlflow.note.content"],
        "status": again.info.status,
    }


def log_steps() -> dict:
    client = MlflowClient()
    with mlflow.start_run(run_name="steps") as run:
        for step in range(STEPS):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
    history = client.get_metric_history(run.info.run_id, "loss")
    with mlflow.start_run(run_id=run.info.run_id):  # resumed, and ended again
        mlflow.log_metric("loss", 0.5, step=STEPS)
    return {
        "steps": sorted(metric.step for metric in history) == list(range(STEPS)),
        "last": client.get_run(run.info.run_id).data.metrics["loss"],
        "status": client.get_run(run.info.run_id).info.status,
    }


def keep_files() -> dict:
    with mlflow.start_run(run_name="files") as run, tempfile.TemporaryDirectory() as folder:
        for name in ("a.txt", "sub/b.txt", "sub/empty.txt"):
            (Path(folder) / name).parent.mkdir(exist_ok=True)
            (Path(folder) / name).write_text("" if "empty" in name else f"in {name}")
        mlflow.log_artifacts(folder, "kept")
        mlflow.log_dict({"a": [1, 2]}, "notes/a.json")
        mlflow.log_text("글", "글 하나.txt")
    uri = mlflow.get_run(run.info.run_id).info.artifact_uri
    here = Path(mlflow.artifacts.download_artifacts(artifact_uri=f"{uri}/kept"))
    listed = mlflow.artifacts.list_artifacts(artifact_uri=f"{uri}/kept")
    return {
        "listed": [[file.path, file.is_dir, file.file_size] for file in listed],
        "downloaded": {
            str(path.relative_to(here)): path.read_text() for path in here.rglob("*") if path.is_file()
        },
        "dict": mlflow.artifacts.load_dict(f"{uri}/notes/a.json"),
        "text": mlflow.artifacts.load_text(f"{uri}/글 하나.txt"),
        "missing": refusal(lambda: mlflow.artifacts.load_text(f"{uri}/nothing.txt")),
    }


def change_a_parameter() -> list:
    with mlflow.start_run(run_name="refused"):
        mlflow.log_param("depth", 1)
        return [
            refusal(lambda: mlflow.log_param("depth", 2)),
            refusal(lambda: mlflow.log_metric("bad*", 1)),
            refusal(lambda: mlflow.get_run("0" * 32)),
            refusal(lambda: mlflow.search_runs(filter_string="bogus > 1")),
        ]


def refusal(call) -> str:
    try:
        call()
    except Exception as error:  # whatever the client makes of it
        # Where the server's words speak of a model the client may put in others, and raise its errors' plain kind.
        kind = MlflowException if isinstance(error, MlflowException) else type(error)
        return f"{kind.__name__} {getattr(error, 'error_code', '')}".strip()
    return "none"


def table() -> dict:
    """All that is known of every run, as the client's table of it."""
    frame = mlflow.search_runs(order_by=["attributes.start_time ASC", "tags.mlflow.runName ASC"])
    columns = sorted(set(frame.columns) - VOLATILE)
    return {"columns": columns, "rows": len(frame), "status": sorted(frame["status"])}


if __name__ == "__main__":
    main()
