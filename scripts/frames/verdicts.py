"""One verdict for a model of a set, and the tables of all verdicts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from modelpack.errors import ModelpackError
from modelpack.pipeline.options import Options

from .packages import EXAMPLE, WITHOUT, evidence, package, paths, service, trusted
from .querying import BITS, REFUSED, RIGHT, UNWRITABLE, WRONG, Answer, query
from .quick import UntestedError, quickly
from .sets import Case

SERVED, UNTESTED, FAILED, BEFORE = "served", "untested", "failed", "refused before the build"
TRUST_EXIT, SMOKE_EXIT = 3, 7


@dataclass(frozen=True)
class Outcome:
    """The outcome of a model with a kind of evidence: how it was packaged, and its answers."""

    evidence: str
    packaged: str
    message: str = ""
    answers: Sequence[Answer] = field(default=())

    @property
    def states(self) -> set[str]:
        return {answer.state for answer in self.answers} - {UNWRITABLE}


@dataclass(frozen=True)
class Verdict:
    """`state`: right, refused before the build, last bits, refused (rows or package), or wrong."""

    set: str
    name: str
    text: str
    outcomes: Sequence[Outcome]
    may_be_refused: str | None

    @property
    def state(self) -> str:
        if any(WRONG in outcome.states for outcome in self.outcomes):
            return WRONG
        served = [o for o in self.outcomes if o.packaged != UNTESTED]
        if all(o.packaged == BEFORE for o in self.outcomes) and self.may_be_refused:
            return BEFORE
        if not served or any(o.packaged != SERVED or REFUSED in o.states for o in served):
            return REFUSED
        return BITS if any(BITS in o.states for o in served) else RIGHT

    @property
    def needs_rows(self) -> bool:
        """Return whether the model needs a record or an example to be packaged."""
        return any(outcome.packaged == UNTESTED for outcome in self.outcomes)

    @property
    def details(self) -> list[str]:
        """A line for each thing that is not right."""
        lines = []
        for outcome in self.outcomes:
            if outcome.packaged != SERVED:
                lines.append(f"{outcome.evidence}: {outcome.packaged}: {outcome.message}")
            for detail, ways in _grouped(outcome.answers).items():
                lines.append(f"{outcome.evidence}: {', '.join(ways)}: {detail}")
        return lines


def _grouped(answers: Iterable[Answer]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for answer in answers:
        if answer.state not in {RIGHT, UNWRITABLE}:
            found.setdefault(f"{answer.state}: {answer.detail}", []).append(answer.way)
    return found


def judge(case: Case, *, quick: bool = False) -> Verdict:
    """Package a model with and without evidence, send its rows, and compare.

    Args:
        case: The model.
        quick: Run the service in the environment of training instead of one made from a lock.
    """
    outcomes = []
    for kind in evidence(case):
        with tempfile.TemporaryDirectory(prefix="modelpack-frames-") as scratch:
            outcome = _quick_outcome if quick else _outcome
            outcomes.append(outcome(case, kind, Path(scratch) / "bundle"))
    document = case.document
    return Verdict(
        case.release.name, case.name, document["text"], outcomes, document["may_be_refused"]
    )


def _outcome(case: Case, kind: str, folder: Path) -> Outcome:
    packaged = package(case, kind, folder)
    if packaged.code == TRUST_EXIT and (options := trusted(packaged.message)):
        packaged = package(case, kind, folder, options)
    if packaged.code and _needs_rows(kind, packaged.message):
        return Outcome(kind, UNTESTED, packaged.message)
    if packaged.code not in {0, SMOKE_EXIT} or packaged.bundle is None:
        return Outcome(kind, BEFORE, f"exit {packaged.code}: {packaged.message}")
    try:
        with service(packaged.bundle) as url:
            answers = query(case, url)
    except (OSError, RuntimeError) as error:
        return Outcome(kind, FAILED, f"{packaged.message} {error}")
    if packaged.code:
        return Outcome(kind, FAILED, packaged.message, answers)
    return Outcome(kind, SERVED, "", answers)


def _quick_outcome(case: Case, kind: str, folder: Path, more: Sequence[str] = ()) -> Outcome:
    options = Options(
        output=folder,
        code=tuple(map(Path, _values(case.options, "--code"))),
        select=tuple(_values(case.options, "--select")),
        trust=tuple(_values(more, "--trust")),
        example=case.folder / "example.csv" if kind == EXAMPLE else None,
    )
    try:
        with quickly(paths(case, kind), options, case.release.interpreter) as url:
            return Outcome(kind, SERVED, "", query(case, url))
    except ModelpackError as error:
        message = f"exit {error.exit_code}: {error.message} {error.hint}"
        if error.exit_code == TRUST_EXIT and (names := trusted(error.hint)) and not more:
            return _quick_outcome(case, kind, folder, names)
        return Outcome(kind, UNTESTED if _needs_rows(kind, message) else BEFORE, message)
    except UntestedError as error:
        return Outcome(kind, UNTESTED if kind == WITHOUT else FAILED, str(error))
    except (OSError, RuntimeError) as error:
        return Outcome(kind, FAILED, str(error))


def _values(options: Sequence[str], name: str) -> list[str]:
    return [value for key, value in pairwise(options) if key == name]


def _needs_rows(kind: str, message: str) -> bool:
    """Return whether the package fails for want of rows, with a hint at the options."""
    return kind == WITHOUT and ("--example" in message or "modelpack.record" in message)
