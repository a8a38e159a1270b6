"""Schemathesis over a running platform: everything the schema allows, and much that it forbids."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

# The same cases each time, so that a change is judged by what it changed. Search further with another seed, say
# `FUZZ_SEED=$RANDOM`.
SEED = os.environ.get("FUZZ_SEED", "1")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "missing_required_header",
)


def leading_somewhere(schema: dict[str, Any], seeds: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The schema with path parameters that are there, so that requests get past 404."""
    for operations in schema["paths"].values():
        for operation in operations.values():
            known = seeds.get(operation["tags"][0], {})
            for parameter in operation.get("parameters", []):
                if parameter.get("in") == "path" and parameter["name"] in known:
                    value = known[parameter["name"]]
                    parameter["schema"], parameter["example"] = {"enum": [value]}, value
    return schema


def fuzz(
    schema: dict[str, Any],
    *,
    url: str,
    folder: Path,
    headers: dict[str, str],
    examples: int,
    options: tuple[str, ...] = (),
) -> None:
    """Ask each operation of the schema. Raises AssertionError with all that was found wrong."""
    file = folder / "schema.json"
    file.write_text(json.dumps(schema))
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        str(file),
        f"--url={url}",
        f"--checks={','.join(CHECKS)}",
        f"--max-examples={examples}",
        "--phases=examples,coverage,fuzzing",
        "--continue-on-failure",
        "--no-shrink",
        "--workers=1",  # Hypothesis parses code, which fails now and then in two threads of Python 3.11.7 (gh-106905)
        "--warnings=off",
        *((f"--seed={SEED}",) if SEED else ()),
        *(f"--header={name}: {value}" for name, value in headers.items()),
        *options,
    ]
    # Elsewhere, because it keeps a folder of what it found.
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "NO_COLOR": "1"},
    )
    if done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)
