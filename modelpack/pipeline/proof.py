"""The proof that a compiled model answers as the model itself does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from modelpack import parity, processes
from modelpack.errors import SmokeFailedError, UsageError
from modelpack.parity import Response, parse_response
from modelpack.parity.claims import proof_text
from modelpack.types import Bundle, Code, ModelSpec, Proof, Reference

from .options import Observer
from .stages import Pipeline

_HINT = "Package it without --compiled."
_SECONDS_PER_ROW = 0.2
"""Added to the time limit of a query. A row is predicted four times, by a forest in 0.1 s."""


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

    def proof(self) -> Proof:
        """Return the proof of a compiled model that answers with the same bits."""
        from modelpack.compilation import proof  # noqa: PLC0415 - imports numpy

        return proof.compare(self.rows.rows, self.response, self.response)


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
    with run.stage("original") as summary, _image_for_this_machine(run, model, code) as image:
        original, bundle, target = image
        known = original.complete(target, rows)
        if known.problem:
            problem = f"The compiled model cannot be compared with the model: {known.problem}."
            raise SmokeFailedError(problem, hint=_HINT)
        every = Reference(proof.make_rows(model, known, Path(compiled.file.path)))
        response = _response(original, target, every, "the model")
        library = " ".join(filter(None, (model.framework, model.framework_version)))
        python = bundle.environment.python
        summary.append(f"{library} on Python {python} answers {len(every.rows):,} rows")
    return Expected(every, response, known)


@contextmanager
def _image_for_this_machine(
    run: Pipeline, model: ModelSpec, code: Code
) -> Iterator[tuple[Pipeline, Bundle, str]]:
    """Build a model, and yield what the engine runs: a temporary image, or the bundle."""
    options = replace(run.options, output=None, slim_base=False, tag=None, platform=None)
    local = Pipeline(options, _Steps(run.observer))
    local.engine = run.engine
    if options.base_image is not None:
        try:
            local.find_base(model)
        except UsageError:  # It has another Python, or is for another platform.
            local.options = replace(options, base_image=None)
    with processes.temporary_directory() as folder:
        bundle = local.render(model, code, Path(folder) / "bundle")
        local.options = replace(local.options, base_image=None)  # The Dockerfile names it now.
        with local.temporary_image(bundle) as target:
            yield local, bundle, target


class _Steps(Observer):
    """Reports the steps and notices of the original's build as parts of one stage."""

    def __init__(self, observer: Observer) -> None:
        self.step = observer.step  # type: ignore[method-assign]
        self.notice = observer.notice  # type: ignore[method-assign]


def prove_here(run: Pipeline, compiled: ModelSpec, expected: Expected) -> Proof:
    """Prove a compiled model in a temporary image for this machine, as those for others do not run.

    Raises:
        SmokeFailedError: They differ.
    """
    with run.stage("proof") as summary, _image_for_this_machine(run, compiled, Code()) as image:
        local, _, target = image
        _, proof = prove(local, target, expected)
        summary.append(f"{proof_text(proof)}, on {local.platform}")
    return proof


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
        actual = _response(run, target, expected.rows, "the compiled model")
        result = proof.compare(expected.rows.rows, expected.response, actual)
        summary.append(proof_text(result))
        if result.refused:
            summary.append(f"and {result.refused:,} that both refuse")
    known = expected.reference
    if not result.largest_ulp:
        return known, result
    return replace(known, tolerance=max(known.tolerance, proof.BOUND * proof.ULP)), result


def _response(run: Pipeline, target: str, rows: Reference, subject: str) -> Response:
    request = parity.build_request(rows)
    more_seconds = _SECONDS_PER_ROW * len(rows.rows)
    try:
        with run.engine.runner.query_model(target, request, more_seconds) as get_response:
            return parse_response(rows, get_response())
    except SmokeFailedError as error:
        problem = f"The compiled model cannot be compared with the model, because {subject} does"
        raise SmokeFailedError(
            f"{problem} not answer {len(rows.rows):,} rows: {error.message}", hint=_HINT
        ) from error
