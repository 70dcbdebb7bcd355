"""Package the model of a row, query it, and compare the responses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import containers

from .rows import Request, Row

SHOWN = ("scikit-learn", "lightgbm", "xgboost", "xgboost-cpu", "catboost", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Verdict:
    """`outcome`: the first answer, or the error of modelpack; `stderr`: if it failed. `seconds`
    of all stages, `size` of the image in bytes.
    """

    row: Row
    chosen: str
    outcome: str
    verdict: str
    passed: bool
    recorded: str = ""
    stderr: str = ""
    seconds: float = 0.0
    size: int = 0


def judge(row: Row, models: Path) -> Verdict:
    """Leaves no image behind."""
    files = [models / row.folder / file for file in row.files]
    tag = f"modelpack-real/{row.folder.lower()}:latest"
    recorded = _recorded(files)
    try:
        packaged = containers.package(files, "--tag", tag, *row.options, *_example_option(row))
        if packaged.document is None or row.codes:
            return _refused(row, recorded, packaged)
        return _query_verdict(row, recorded, packaged.document, tag)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return Verdict(row, "", "", f"FAILED: {type(error).__name__}: {error}", False, recorded)
    finally:
        containers.remove(tag)


def _example_option(row: Row) -> list[str]:
    return ["--example", str(Path(__file__).parent / row.example)] if row.example else []


def _recorded(files: list[Path]) -> str:
    """Return the library that the file records, from `modelpack inspect`."""
    command = [sys.executable, "-m", "modelpack", "inspect", *map(str, files), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        return ""
    spec = json.loads(done.stdout)
    return " ".join(filter(None, (spec["framework"], spec["framework_version"])))


def _refused(row: Row, recorded: str, packaged: containers.Packaged) -> Verdict:
    error = _error(packaged.stderr)
    outcome = f"exit {packaged.code}: {error}"
    if packaged.code in row.codes and row.words in packaged.stderr:
        return Verdict(row, "", outcome, "explained", True, recorded)
    verdict = f"FAILED: exit {packaged.code}"
    return Verdict(row, "", outcome, verdict, False, recorded, packaged.stderr)


def _query_verdict(row: Row, recorded: str, document: dict[str, Any], tag: str) -> Verdict:
    with containers.container(tag) as url:
        answers = [_query(url, request, document["model"]) for request in row.requests]
    problems = [problem for _, problem in answers if problem]
    documented = any(request.predictions or request.probabilities for request in row.requests)
    verdict = f"FAILED: {problems[0]}" if problems else "as documented" if documented else "answers"
    return Verdict(
        row,
        _chosen(document["environment"]),
        answers[0][0],
        verdict,
        not problems,
        recorded,
        seconds=sum(document.get("seconds", {}).values()),
        size=document.get("image", {}).get("size_bytes", 0),
    )


def _query(url: str, request: Request, model: dict[str, Any]) -> tuple[str, str]:
    """The answer in short, and what is wrong with it."""
    rows = list(request.instances) if request.instances is not None else [_example(model)]
    status, answer = containers.predict(url, rows, probabilities=request.probabilities is not None)
    if status != request.status:
        return f"status {status}", f"status {status}: {answer.get('detail')}"
    if status != 200:
        return f"status {status}", ""
    wrong = [
        f"{name} {answer[name]} instead of {expected}"
        for name, expected in (
            ("predictions", request.predictions),
            ("probabilities", _rows(request)),
        )
        if expected is not None and not _near(_plain(answer[name]), expected, request.tolerance)
    ]
    return json.dumps(answer["predictions"]), "; ".join(wrong)


def _example(model: dict[str, Any]) -> list[Any]:
    return [field["example"] for field in model["signature"]["inputs"]]


def _rows(request: Request) -> list[list[float]] | None:
    return None if request.probabilities is None else [list(row) for row in request.probabilities]


def _plain(values: list[Any]) -> list[Any]:
    """Probabilities by class become a list in the order of the classes."""
    return [list(value.values()) if isinstance(value, dict) else value for value in values]


def _near(answer: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(expected, list | tuple):
        same = isinstance(answer, list) and len(answer) == len(expected)
        return same and all(_near(a, w, tolerance) for a, w in zip(answer, expected, strict=True))
    if isinstance(expected, float) and isinstance(answer, int | float):
        return abs(answer - expected) <= tolerance
    return bool(answer == expected) and type(answer) is type(expected)


def _chosen(environment: dict[str, Any]) -> str:
    pins = environment["requirements"]
    names = [f"{name} {pins[name]}" for name in SHOWN if name in pins]
    return ", ".join([f"Python {environment['python']}", *names])


def _error(stderr: str) -> str:
    """The message without its hint."""
    return stderr.rpartition("error: ")[2].partition("\nhint: ")[0].replace("\n", " ")


def table(results: Iterable[Verdict]) -> str:
    lines = [
        "| model | saved by | served with | prediction or error | verdict |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        row = result.row
        name = f"{row.folder}: {' + '.join(row.files)}"
        words = [*row.options, *(("--example", row.example) if row.example else ())]
        options = f"<br>`{' '.join(words)}`" if words else ""
        note = f" ({row.note})" if row.note else ""
        cells = (result.recorded, result.chosen, result.outcome, result.verdict + note)
        lines.append(f"| {name}{options} | {' | '.join(map(_cell, cells))} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    short = text if len(text) <= 260 else f"{text[:257]}..."
    return short.replace("|", "\\|")
