"""The proof that a compiled model answers as the model itself does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from modelpack import parity, processes
from modelpack.errors import SmokeFailedError
from modelpack.parity import Response, parse_response
from modelpack.types import Code, ModelSpec, Proof, Reference

from .options import Observer
from .stages import Pipeline

_HINT = "Package it without --compiled."


@dataclass(frozen=True)
class Expected:
    """What the model itself answers.

    Attributes:
        rows: The rows of the proof.
        response: What the model answers to them.
        reference: The rows of the smoke test, with answers.
    """

    rows: Reference
    response: Response
    reference: Reference


def query_original(
    run: Pipeline, model: ModelSpec, code: Code, rows: Reference, compiled: ModelSpec
) -> Expected:
    """Build the environment of the model's time, and return what the model answers in it.

    The image is removed afterwards.

    Raises:
        SmokeFailedError: No row is known, or the model does not respond.
    """
    from modelpack.compilation import proof  # noqa: PLC0415 - imports numpy

    if not rows.rows:
        raise SmokeFailedError(
            "The compiled model cannot be compared with the model, because the model file does not"
            " contain what a row looks like.",
            hint="Give real rows: --example FILE",
        )
    options = replace(run.options, output=None, base_image=None, slim_base=False, tag=None)
    original = Pipeline(options, _Steps(run.observer))
    original.engine = run.engine
    with run.stage("original") as summary, processes.temporary_directory() as folder:
        bundle = original.render(model, code, Path(folder) / "bundle")
        with original.temporary_image(bundle) as target:
            known = original.complete(target, rows)
            if known.problem:
                problem = f"The compiled model cannot be compared with the model: {known.problem}."
                raise SmokeFailedError(problem, hint=_HINT)
            every = Reference(proof.make_rows(model, known, Path(compiled.file.path)))
            response = _response(original, target, every)
        library = " ".join(filter(None, (model.framework, model.framework_version)))
        python = bundle.environment.python
        summary.append(f"{library} on Python {python} answers {len(every.rows):,} rows")
    return Expected(every, response, known)


class _Steps(Observer):
    """Reports the steps and notices of the original's build as parts of one stage."""

    def __init__(self, observer: Observer) -> None:
        self.step = observer.step  # type: ignore[method-assign]
        self.notice = observer.notice  # type: ignore[method-assign]


def prove(run: Pipeline, target: str, expected: Expected) -> tuple[Reference, Proof]:
    """Compare the compiled model in an image, or in a bundle without images, with the model.

    Returns:
        The rows of the smoke test, whose tolerance is that of the proof unless all bits are equal,
        and the result.

    Raises:
        SmokeFailedError: They differ.
    """
    from modelpack.compilation import proof  # noqa: PLC0415 - imports numpy

    with run.stage("proof") as summary:
        actual = _response(run, target, expected.rows)
        result = proof.compare(expected.rows.rows, expected.response, actual)
        equal = "the same bits" if not result.largest_ulp else f"within {result.largest_ulp:g} ulp"
        summary.append(f"{equal} on {result.rows:,} rows")
        if result.refused:
            summary.append(f"and {result.refused:,} that both refuse")
    known = expected.reference
    if not result.largest_ulp:
        return known, result
    return replace(known, tolerance=max(known.tolerance, proof.BOUND * proof.ULP)), result


def _response(run: Pipeline, target: str, rows: Reference) -> Response:
    request = parity.build_request(rows)
    with run.engine.runner.query_model(target, request) as get_response:
        return parse_response(rows, get_response())
