"""`diff`: both sides resolved, compared and queried with the same rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from modelpack import comparison, parity
from modelpack.comparison import (
    Change,
    Difference,
    ModelAnswers,
    PredictionSection,
    QueriedRows,
    Section,
    image,
    predictions,
)
from modelpack.errors import DifferentError, SmokeFailedError
from modelpack.parity import RowsUnavailable
from modelpack.types import ModelSpec, Reference

from .diff_sides import DiffSide, open_side
from .sources import assign_digests
from .stages import Pipeline
from .targets import Target


def diff(run: Pipeline, old: Target, new: Target) -> Difference:
    """Compare two targets: what changes if NEW replaces OLD.

    Raises:
        UsageError: A target cannot be compared, or the example cannot be read.
        NoEngineError: A target is an image, and no container engine responds.
        ModelpackError: As `package`, for the environment of a bundle.
    """
    digests = assign_digests([old.text, new.text], run.options.sha256)
    pairs = zip((old, new), digests, strict=True)
    with ExitStack() as stack:
        targets = [replace(target, sha256=digest) for target, digest in pairs]
        sides = [_open_side(run, stack, target) for target in targets]
        answers = compare_predictions(run, sides)
        with run.stage("compare") as summary:
            old_facts, new_facts = image.add_file_listings(
                [side.side for side in sides], [side.image for side in sides]
            )
            difference = comparison.compare(old_facts, new_facts, answers)
            summary.append(", ".join(difference.differing) or "nothing differs")
    return difference


def require_no_difference(difference: Difference, fail_on: str) -> None:
    """Raise DifferentError if something in `fail_on` differs."""
    unknown = fail_on == "predictions" and difference.predictions.verdict == "unknown"
    if unknown:
        why = "; ".join(difference.predictions.unknown)
        raise DifferentError(
            f"The predictions could not be compared: {why}.",
            hint="Compare images or bundles, with --example FILE where their rows differ.",
        )
    counted = {
        "any": difference.differing,
        "breaking": difference.breaking,
        "predictions": [name for name in difference.differing if name == "predictions"],
        "never": (),
    }[fail_on]
    if counted:
        raise DifferentError(_failure_message(difference, counted), hint=_hint(difference, fail_on))


def _failure_message(difference: Difference, names: Sequence[str]) -> str:
    parts = [f"{name}: {_describe(getattr(difference, name))}" for name in names]
    return "\n  ".join([f"{difference.new.name} differs from {difference.old.name}.", *parts])


def _describe(section: Section) -> str:
    """Return the summary of a section, with the first changes that break callers."""
    breaking = [each for each in section.changes if each.impact == "breaking"]
    named = [_name(each) for each in breaking[:_MAX_NAMED]]
    named += ["..."] if len(breaking) > _MAX_NAMED else []
    return f"{section.summary} ({', '.join(named)})" if named else section.summary


def _name(change: Change) -> str:
    name = change.name or change.new or change.old or ""
    return f"{change.what} {name[:60]!r} {change.kind}" if name else f"{change.what} {change.kind}"


def _hint(difference: Difference, fail_on: str) -> str:
    if difference.breaking or fail_on == "predictions":
        return "Report differences without failing: --fail-on never"
    return "Accept differences that break no caller: --fail-on breaking"


def _open_side(run: Pipeline, stack: ExitStack, target: Target) -> DiffSide:
    with run.stage("read") as summary:
        side = stack.enter_context(open_side(run, target))
        summary.append(f"{side.side.kind} {side.side.name}")
    return side


_MAX_NAMED = 3
"""Number of changes in an error."""
SIDES = ("OLD", "NEW")
_LABELED = {"classifier", "clusterer", "outlier_detector"}

_Answer = ModelAnswers | str
"""The predictions of a model, or why it has none."""


def compare_predictions(run: Pipeline, sides: Sequence[DiffSide]) -> PredictionSection:
    """Query both models with the same rows, and compare the predictions.

    Raises:
        UsageError: The example cannot be read, or fits neither model.
    """
    models = [target.side.model for target in sides]
    rows = parity.shared_rows(models, [target.file for target in sides], run.options.example)
    if why := list(_not_queryable(sides, rows)):
        return predictions.not_compared(why)
    shared = [each for each in rows if isinstance(each, Reference)]
    with run.stage("predict") as summary:
        answers = _answers(run, sides, shared)
        section = _compare(run, models, shared, answers)
        summary.append(section.summary)
    return section


def _not_queryable(
    sides: Sequence[DiffSide], rows: Sequence[Reference | RowsUnavailable]
) -> list[str]:
    """Return why the models are not queried, with the sides concerned."""
    why: dict[str, list[str]] = {}
    for name, target, shared in zip(SIDES, sides, rows, strict=True):
        if isinstance(shared, RowsUnavailable):
            why.setdefault(shared.why, []).append(name)
        elif target.engine is None and shared.answers is None:
            why.setdefault(target.not_queried, []).append(name)
    return [f"{' and '.join(names)}: {reason}" for reason, names in why.items()]


def _answers(run: Pipeline, sides: Sequence[DiffSide], rows: Sequence[Reference]) -> list[_Answer]:
    for target in sides:
        if target.engine and target.bundle:
            target.engine.builder.build(target.bundle, run.index, run.observer.step)
    with ExitStack() as stack:
        waiting = [_query(stack, target, each) for target, each in zip(sides, rows, strict=True)]
        return [wait() for wait in waiting]


def _query(stack: ExitStack, target: DiffSide, rows: Reference) -> Callable[[], _Answer]:
    """Start a query, and return a function that waits for the response."""
    classes = target.side.model.signature.classes
    if rows.answers is not None:
        known = rows.answers
        nothing = (None,) * len(rows.rows)
        return lambda: ModelAnswers(
            nothing, known.predictions or nothing, known.probabilities, classes
        )
    assert target.engine is not None  # noqa: S101 - or it is not queried
    try:
        request = parity.build_request(rows)
        query = target.engine.runner.query_model(target.name, request)
        answer = stack.enter_context(query)
    except SmokeFailedError as error:
        why = error.message
        return lambda: why
    return lambda: _parse_answer(rows, answer, target.side.model)


def _parse_answer(rows: Reference, answer: Callable[[], bytes], model: ModelSpec) -> _Answer:
    try:
        response = parity.parse_response(rows, answer())
    except SmokeFailedError as error:
        return error.message
    except ValueError as error:
        return f"its response in the sandbox is malformed: {error}"
    parts = [response.together.predictions, response.together.probabilities]
    spread = [None if part is None else _by_row(response.errors, part) for part in parts]
    return ModelAnswers(response.errors, spread[0] or (), spread[1], model.signature.classes)


def _by_row(errors: Sequence[str | None], answers: Sequence[object]) -> tuple[object, ...]:
    """Return the answers, with None for each row without one."""
    left = iter(answers)
    return tuple(next(left, None) if error is None else None for error in errors)


def _compare(
    run: Pipeline,
    models: Sequence[ModelSpec],
    rows: Sequence[Reference],
    answers: Sequence[_Answer],
) -> PredictionSection:
    old, new = answers
    if isinstance(old, str) and isinstance(new, str):
        return predictions.not_compared([f"OLD: {old}", f"NEW: {new}"])
    if isinstance(old, str):
        return predictions.one_side_failed("OLD", old)
    if isinstance(new, str):
        return predictions.one_side_failed("NEW", new)
    labels = any(model.task in _LABELED for model in models)
    made_up = any(each.made_up for each in rows)
    first = rows[0]
    queried = QueriedRows(first.rows, made_up, first.recorded, run.options.tolerance, labels)
    return predictions.compare(queried, old, new)
