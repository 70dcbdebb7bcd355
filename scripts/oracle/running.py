"""Inspect files, and have the workers load and predict with what passes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelpack.bundle.manifest import SCHEMA
from modelpack.errors import ModelpackError
from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect
from modelpack.types import ModelSpec, to_json

WORKER = Path(__file__).with_name("worker.py")
BYTES = (0x55, 0xAA)
"""The bytes that fill the memory of the two runs of each file."""
SECONDS = 20
MAX_MEMORY = 2**30
"""Bytes that a file may need beyond those of the process that imported the libraries."""


@dataclass
class Outcome:
    """The outcome of one file.

    Attributes:
        verdict: Of the inspection, or "trust" or "refuse".
        status: "answered", "raised", "signal", "hang" or "exit" of the first run.
        problems: Sentences on what a file that passes must not do.
    """

    verdict: str
    status: str | None = None
    problems: list[str] = field(default_factory=list)
    events: set[str] = field(default_factory=set)
    detail: str = ""


class Worker:
    """The process of worker.py.

    Args:
        library: Of the sanitizer, if it has one.
        packages: Folder of packages that are imported in the place of the installed ones.
    """

    def __init__(self, library: Path | None = None, packages: Path | None = None) -> None:
        paths = (packages, Path(__file__).parents[2])
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(str(each) for each in paths if each),
            "PYTHONHASHSEED": "0",
            # so that the objects of Python are filled, too; they are too many for the sanitizer
            "PYTHONMALLOC": "pymalloc" if library else "malloc",
            **({"LD_PRELOAD": str(library)} if library else {}),
            "PYTHONDONTWRITEBYTECODE": "1",
            "JOBLIB_MULTIPROCESSING": "0",
            "HOME": "/nonexistent",
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
        }
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ,
            text=True,
        )
        self._read()

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker ended with code {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        with self._process:
            self._process.stdin.close()


class Oracle:
    """Judge one file after another.

    Attributes:
        normal: Events of unchanged models.
        lowered: What the kernel refused to confine.

    Args:
        once: Run each file once, and compare no answers.
    """

    def __init__(self, worker: Worker, folder: Path, *, once: bool = False) -> None:
        self.normal: set[str] = set()
        self.lowered: set[str] = set()
        self._worker = worker
        self._folder = folder
        self._once = once
        self._file = folder / "model"

    def judge(self, data: bytes, rows: Sequence[Any]) -> Outcome:
        self._file.write_bytes(data)
        try:
            spec = inspect(self._file)
            described = to_json(spec)
        except Exception as error:
            return Outcome("failed", problems=[f"inspection: {type(error).__name__}: {error}"])
        if spec.safety.verdict != "pass" or not _can_be_served(spec):
            return Outcome("refuse" if spec.safety.verdict == "pass" else spec.safety.verdict)
        described["file"]["path"] = "model"
        document = {"schema": SCHEMA, "model": described}
        (self._folder / "modelpack.json").write_text(json.dumps(document))
        job = {
            "folder": str(self._folder),
            "rows": rows,
            "globals": spec.globals,
            "seconds": SECONDS,
        }
        first = self._worker.run({**job, "perturb": BYTES[0]})
        answers = first["status"] == "answered" and not self._once
        second = self._worker.run({**job, "perturb": BYTES[1]}) if answers else first
        outcome = Outcome("pass", first["status"])
        outcome.detail = str(first.get("error") or first.get("answers"))
        outcome.events = {*first.get("events", ()), *second.get("events", ())}
        self.lowered |= {*first.get("lowered", ()), *second.get("lowered", ())}
        outcome.problems += _crashes(first, second)
        outcome.problems += [f"event: {event}" for event in sorted(outcome.events - self.normal)]
        outcome.problems += _lookups(first)
        if not outcome.problems and _answers(first) != _answers(second):
            again = self._worker.run({**job, "perturb": BYTES[0]})
            if _answers(again) == _answers(first):  # else the model draws random numbers
                outcome.problems.append(f"answers differ: {_answers(first)} and {_answers(second)}")
        return outcome


def _can_be_served(spec: ModelSpec) -> bool:
    try:
        require_servable(spec)
    except ModelpackError:
        return False
    return True


def _answers(run: dict[str, Any]) -> Any:
    return run["status"], run.get("answers"), (run.get("error") or "").partition(":")[0]


def _crashes(*runs: dict[str, Any]) -> list[str]:
    found = []
    for run in runs:
        if run["status"] == "signal":
            lines = [line for line in run["trace"].splitlines() if "File " in line]
            found.append(f"{run['signal']}: {' < '.join(line.strip() for line in lines[:4])}")
        elif run["status"] in {"hang", "exit"}:
            found.append(f"{run['status']} {run.get('code', '')}".strip())
        if run["memory"] > MAX_MEMORY:
            found.append(f"memory: over {MAX_MEMORY >> 20:,} MiB")
    return list(dict.fromkeys(found))


def _lookups(run: dict[str, Any]) -> list[str]:
    """Return the canaries that were looked up as an attribute."""
    texts = [run.get("lookup") or "", *run.get("answers", ())]
    return [f"looks up {text}" for text in texts if "oracle_canary" in text]
