"""A throw-away process that finds out whether a model can be served, and writes a report.

It answers before a deployment starts what a replica would otherwise find out in front of users: does the
model load within its limits, has it a signature, can it predict.
"""

from __future__ import annotations

import os
import time
import traceback
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import orjson
import psutil

from serving.backends.base import CheckReport
from serving.model_server import limits, logs, predictions, requirements
from serving.model_server.errors import CannotLoad, ModelFailed
from serving.model_server.example import MAX_EXAMPLE_ROWS
from serving.model_server.loaders import CODE_FORMATS, format_of
from serving.model_server.mlmodel import MLModel
from serving.model_server.model import ServedModel

DEFAULT_CPU_SECONDS = 300


def run(spec: dict[str, Any]) -> None:
    """Check the model of `spec` and write a CheckReport as JSON to spec["report"]. Never returns.

    `spec` has ReplicaSpec's fields, report, log, and optionally time_limit_seconds, which also bounds CPU
    time.
    """
    if spec.get("log"):
        logs.redirect(spec["log"])
    report = Path(spec["report"])
    seconds = int(spec.get("time_limit_seconds") or DEFAULT_CPU_SECONDS)
    os.nice(limits.CHECK_NICENESS)
    limits.apply(
        memory_bytes=int(spec["memory_bytes"]),
        cpu=int(spec["cpu"]),
        temp=report.parent / "temp",
        cpu_seconds=(seconds + 1) * int(spec["cpu"]),
    )
    _write(report, check(spec))
    os._exit(0)


def check(spec: dict[str, Any]) -> CheckReport:
    """The report on a model, good or bad; raises nothing that a model can cause."""
    findings = CheckReport(ok=False)
    try:
        model = MLModel(spec["model_path"])
        findings = _described(model)
        return _tried(spec, model, findings)
    except CannotLoad as error:
        cause = error.__cause__
        trace = traceback.format_exception(cause)[-3:] if cause else []
        return replace(
            findings, error=str(error), log=[*findings.log, *(line.rstrip() for line in trace), str(error)]
        )
    except MemoryError:
        mebibytes = int(spec["memory_bytes"]) >> 20
        return replace(
            findings, error=f"The model ran out of memory at {mebibytes} MiB; give it more memory."
        )
    except BaseException as error:
        return replace(findings, error=f"The check failed: {type(error).__name__}: {str(error)[:400]}")


def _described(model: MLModel) -> CheckReport:
    """What the files say before anything is loaded."""
    flavor, saved = model.flavor, format_of(model)
    missing, differing = requirements.compare(model)
    log = [f"Flavour {flavor}, format {saved}.", *differing]
    if missing:
        log.append(f"Packages the model was logged with that are not installed here: {', '.join(missing)}.")
    if saved in CODE_FORMATS:
        log.append(f"The format {saved} runs code of the model's author on load.")
    return CheckReport(
        ok=False,
        flavor=flavor,
        format=saved,
        executes_code=saved in CODE_FORMATS,
        signature=model.signature,
        missing_packages=missing,
        log=log,
    )


def _tried(spec: dict[str, Any], model: MLModel, findings: CheckReport) -> CheckReport:
    """Load the model and predict on its example. Raises CannotLoad."""
    limits.Threads(int(spec["cpu"])).give_for(MAX_EXAMPLE_ROWS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        began = time.monotonic()
        served = ServedModel(spec, model)
        loaded = time.monotonic()
        prediction = _smoke(served)
        predicted = time.monotonic()
    said = sorted({f"{warning.category.__name__}: {str(warning.message)[:300]}" for warning in caught})
    return replace(
        findings,
        ok=True,
        prediction=prediction,
        load_seconds=round(loaded - began, 3),
        predict_ms=round((predicted - loaded) * 1000, 3),
        memory_bytes=psutil.Process().memory_info().rss,
        log=[*findings.log, *said[:10], f"Predicted on {served.example.source}."],
    )


def _smoke(served: ServedModel) -> Any:
    inputs, params = served.example.inputs()
    try:
        result = served.predictor.predict(inputs, params)
        return orjson.loads(predictions.body(result))["predictions"]
    except MemoryError:
        raise
    except BaseException as error:
        said = (
            error.detail if isinstance(error, ModelFailed) else f"{type(error).__name__}: {str(error)[:400]}"
        )
        raise CannotLoad(
            f"The model could not predict on {served.example.source}: {said} "
            "Log an input_example that the model can answer."
        ) from error


def _write(path: Path, report: CheckReport) -> None:
    """Whole or not at all: the reader may look at any moment."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(orjson.dumps(asdict(report)))
    partial.replace(path)
