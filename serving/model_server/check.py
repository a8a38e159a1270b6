"""A throw-away process that finds out whether a model can be served, and writes a report.

It answers before a deployment starts what a replica would otherwise find out in front of users: does the
model load within its limits, has it a signature, can it predict.
"""

from __future__ import annotations

import os
import time
import traceback
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import psutil

from core.sentences import joined
from core.sentences import sentence as _
from serving.backends.base import CheckReport
from serving.backends.check_report import LONGEST_FORMAT, to_json
from serving.model_server import limits, logs, predictions, requirements
from serving.model_server.errors import CannotLoad, ModelFailed, described
from serving.model_server.example import LOG_ANOTHER, MAX_EXAMPLE_ROWS
from serving.model_server.loaders import CODE_FORMATS, format_of
from serving.model_server.mlmodel import MLModel
from serving.model_server.model import ServedModel

DEFAULT_CPU_SECONDS = 300
MAX_PREDICTION_BYTES = 256 << 10  # more is an image or the like, which no report needs


def run(spec: dict[str, Any]) -> None:
    """Check the model of `spec` and write a report (`check_report`) to spec["report"]. Never returns.

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
            findings,
            error=error.detail,
            log=[*findings.log, *(line.rstrip() for line in trace), error.detail],
        )
    except MemoryError:
        mebibytes = int(spec["memory_bytes"]) >> 20
        return replace(
            findings, error=_("The model ran out of memory at %d MiB; give it more memory.") % mebibytes
        )
    except BaseException as error:
        return replace(findings, error=_("The check failed: %s") % described(error))


def _described(model: MLModel) -> CheckReport:
    """What the files say before anything is loaded."""
    flavor, saved = model.flavor, format_of(model)[:LONGEST_FORMAT]
    missing, differing = requirements.compare(model)
    log = [_("Flavour %(flavor)s, format %(format)s.") % {"flavor": flavor, "format": saved}, *differing]
    if missing:
        names = ", ".join(missing)
        log.append(_("Packages the model was logged with that are not installed here: %s.") % names)
    if saved in CODE_FORMATS:
        log.append(_("The format %s runs code of the model's author on load.") % saved)
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
        log=[*findings.log, *said[:10], _("Predicted on %s.") % served.example.source],
    )


def _smoke(served: ServedModel) -> Any:
    inputs, params = served.example.inputs()
    try:
        result = served.predictor.predict(inputs, params)
        body = predictions.body(result)
        return orjson.loads(body)["predictions"] if len(body) <= MAX_PREDICTION_BYTES else None
    except MemoryError:
        raise
    except BaseException as error:
        why = error.detail if isinstance(error, ModelFailed) else described(error)
        raise CannotLoad(joined([served.example.not_answered(why), LOG_ANOTHER])) from error


def _write(path: Path, report: CheckReport) -> None:
    """Whole or not at all: the reader may look at any moment."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(to_json(report))
    partial.replace(path)
