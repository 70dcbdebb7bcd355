"""One row: packaged, asked, compared, and told in a line of the table."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asking

from .rows import Ask, Row

SHOWN = ("scikit-learn", "lightgbm", "xgboost", "xgboost-cpu", "catboost", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Judged:
    """`came_out`: the first answer, or what modelpack said; `told`: its messages if it failed."""

    row: Row
    chosen: str
    came_out: str
    verdict: str
    passed: bool
    recorded: str = ""
    told: str = ""


def judge(row: Row, models: Path) -> Judged:
    """Leaves no image behind."""
    files = [models / row.folder / file for file in row.files]
    tag = f"modelpack-real/{row.folder.lower()}:latest"
    recorded = _recorded(files)
    try:
        packaged = asking.package(files, "--tag", tag, *row.options)
        if packaged.made is None or row.codes:
            return _refused(row, recorded, packaged)
        return _answered(row, recorded, packaged.made, tag)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return Judged(row, "", "", f"FAILED: {type(error).__name__}: {error}", False, recorded)
    finally:
        asking.remove(tag)


def _recorded(files: list[Path]) -> str:
    """What the file records, as `modelpack inspect` tells it."""
    command = [sys.executable, "-m", "modelpack", "inspect", *map(str, files), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        return ""
    spec = json.loads(done.stdout)
    return " ".join(filter(None, (spec["framework"], spec["framework_version"])))


def _refused(row: Row, recorded: str, packaged: asking.Packaged) -> Judged:
    error = _error(packaged.told)
    came_out = f"exit {packaged.code}: {error}"
    if packaged.code in row.codes and row.words in packaged.told:
        return Judged(row, "", came_out, "explained", True, recorded)
    verdict = f"FAILED: exit {packaged.code}"
    return Judged(row, "", came_out, verdict, False, recorded, packaged.told)


def _answered(row: Row, recorded: str, made: dict[str, Any], tag: str) -> Judged:
    with asking.container(tag) as url:
        answers = [_ask(url, ask, made["model"]) for ask in row.asks]
    problems = [problem for _, problem in answers if problem]
    documented = any(ask.predictions or ask.probabilities for ask in row.asks)
    verdict = f"FAILED: {problems[0]}" if problems else "as documented" if documented else "answers"
    return Judged(row, _chosen(made["environment"]), answers[0][0], verdict, not problems, recorded)


def _ask(url: str, ask: Ask, model: dict[str, Any]) -> tuple[str, str]:
    """The answer in short, and what is wrong with it."""
    rows = list(ask.instances) if ask.instances is not None else [_example(model)]
    status, answer = asking.predict(url, rows, probabilities=ask.probabilities is not None)
    if status != ask.status:
        return f"status {status}", f"status {status}: {answer.get('detail')}"
    if status != 200:
        return f"status {status}", ""
    wrong = [
        f"{name} {answer[name]} instead of {wanted}"
        for name, wanted in (("predictions", ask.predictions), ("probabilities", _rows(ask)))
        if wanted is not None and not _near(_plain(answer[name]), wanted, ask.tolerance)
    ]
    return json.dumps(answer["predictions"]), "; ".join(wrong)


def _example(model: dict[str, Any]) -> list[Any]:
    return [field["example"] for field in model["signature"]["inputs"]]


def _rows(ask: Ask) -> list[list[float]] | None:
    return None if ask.probabilities is None else [list(row) for row in ask.probabilities]


def _plain(values: list[Any]) -> list[Any]:
    """Probabilities by class become a list in the order of the classes."""
    return [list(value.values()) if isinstance(value, dict) else value for value in values]


def _near(answer: Any, wanted: Any, tolerance: float) -> bool:
    if isinstance(wanted, list | tuple):
        same = isinstance(answer, list) and len(answer) == len(wanted)
        return same and all(_near(a, w, tolerance) for a, w in zip(answer, wanted, strict=True))
    if isinstance(wanted, float) and isinstance(answer, int | float):
        return abs(answer - wanted) <= tolerance
    return bool(answer == wanted) and type(answer) is type(wanted)


def _chosen(environment: dict[str, Any]) -> str:
    pins = environment["requirements"]
    names = [f"{name} {pins[name]}" for name in SHOWN if name in pins]
    return ", ".join([f"Python {environment['python']}", *names])


def _error(told: str) -> str:
    """The message without its hint."""
    return told.rpartition("error: ")[2].partition("\nhint: ")[0].replace("\n", " ")


def table(results: Iterable[Judged]) -> str:
    lines = [
        "| model | saved by | served with | prediction or error | verdict |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        row = result.row
        name = f"{row.folder}: {' + '.join(row.files)}"
        options = f"<br>`{' '.join(row.options)}`" if row.options else ""
        note = f" ({row.note})" if row.note else ""
        cells = (name + options, result.recorded, result.chosen, result.came_out,
                 result.verdict + note)  # fmt: skip
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    short = text if len(text) <= 260 else f"{text[:257]}..."
    return short.replace("|", "\\|")
