"""Packages a trained model as its author does, and runs what came of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from allowlist.environments import ROOT

from modelpack.engines.local.engine import LocalRunner

from .sets import Case

SECONDS = 600
READY_SECONDS = 60
PYARROW = "pyarrow>=14.0.1"
"""For Arrow and Parquet, which an image serves only if it contains pyarrow."""
WITHOUT, EXAMPLE, RECORD = "without", "example", "record"
"""The file that the author adds to the model: none, a CSV of rows, or a record."""


@dataclass(frozen=True)
class Packaged:
    """`message`: the last error on standard error. `checks`: the state of each smoke check."""

    code: int
    message: str
    bundle: Path | None
    checks: dict[str, str]


def evidence(case: Case) -> list[str]:
    """Return the ways to package a model: always without anything, then with the best there is."""
    if case.record:
        return [WITHOUT, RECORD]
    return [WITHOUT, EXAMPLE] if case.document["example"] else [WITHOUT]


def trusted(message: str) -> list[str]:
    """Return the options of a hint by which the author trusts code unknown to modelpack."""
    names = re.findall(r"--trust ([\w.]+:[\w.]+)", message)
    return [option for name in dict.fromkeys(names) for option in ("--trust", name)]


def paths(case: Case, kind: str) -> list[str]:
    """Return the model's files, those that have the record next to them if it is given."""
    home = case.record if kind == RECORD else case.folder
    return [str(home / file) for file in case.files]


def package(case: Case, kind: str, folder: Path, more: Sequence[str] = ()) -> Packaged:
    """Run `modelpack package` in the environment that trained the model, as the author would."""
    options = [*case.options, *more, "--requirement", PYARROW]
    if kind == EXAMPLE:
        options += ["--example", str(case.folder / "example.csv")]
    variables = {"VIRTUAL_ENV": str(case.release.folder / "venv")}
    return package_files(paths(case, kind), options, folder, case.folder, variables)


def package_files(
    files: Sequence[str],
    options: Sequence[str],
    folder: Path,
    cwd: Path,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Packaged:
    """Run `modelpack package --engine process` in a directory, with environment variables."""
    command = [sys.executable, "-m", "modelpack", "package", *files, *options]
    command += ["--engine", "process", "--json", "-o", str(folder)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
    )
    bundle = folder if (folder / "modelpack.json").exists() else None
    return Packaged(done.returncode, _message(done.stderr), bundle, _checks(done.stdout))


def _message(stderr: str) -> str:
    """Return the error, with its hint."""
    lines = stderr.strip().splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith("error: ")]
    return " ".join(lines[starts[-1] :]) if starts else " ".join(lines[-3:])


def _checks(stdout: str) -> dict[str, str]:
    try:
        report = json.loads(stdout).get("smoke") or {}
    except ValueError:
        return {}
    return {
        check["name"]: check.get("status") or ("passed" if check["passed"] else "failed")
        for check in report.get("checks", ())
    }


@contextmanager
def service(bundle: Path) -> Iterator[str]:
    """The URL of the bundle's service on this machine, which is ready."""
    with LocalRunner().run(str(bundle)) as process:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                with urllib.request.urlopen(f"{process.url}/readyz", timeout=5):
                    break
            except OSError as error:
                if time.monotonic() > deadline or not process.is_running():
                    raise RuntimeError(process.logs()[-2000:]) from error
                time.sleep(0.05)
        yield process.url


def get(url: str) -> Any:
    """Return the document at a URL."""
    with urllib.request.urlopen(url, timeout=60) as response:
        return json.load(response)


def post(url: str, body: bytes, kind: str) -> tuple[int, Any]:
    """Return the status and the document of a response."""
    request = urllib.request.Request(url, data=body, headers={"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        try:
            return error.code, json.loads(text)
        except ValueError:
            return error.code, {"detail": text[:300]}
