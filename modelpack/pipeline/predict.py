"""`predict`: rows of a file without a service."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from modelpack import files
from modelpack.engines import BatchStreams, StepEvent
from modelpack.errors import ModelpackError, SmokeFailedError, UsageError

from .stages import Pipeline
from .targets import Target, open_runnable

# As serving/batch/files has them, which needs numpy: a test compares.
FORMATS = {
    "csv": (".csv",),
    "jsonl": (".jsonl", ".ndjson"),
    "json": (".json",),
    "npy": (".npy",),
    "arrow": (".arrow", ".arrows", ".feather"),
    "parquet": (".parquet", ".pq"),
}
# The exit codes of `predict` in an image: serving/batch/command.py.
_USAGE, _BAD_ROWS, _NO_OUTPUT, _INTERRUPTED, _BROKEN_PIPE = 2, 65, 74, 130, 141
_OUT_OF_MEMORY = 137


@dataclass(frozen=True)
class PredictRequest:
    """The input and the options of a prediction.

    Attributes:
        rows: A file, or None for stdin.
        answers: A file, or None for stdout.
        input_format: One of FORMATS, or None to detect it by name or content.
        output_format: One of FORMATS, or None to detect it by name or use that of the input.
        arguments: More options of `predict` in the image.
    """

    rows: Path | None = None
    answers: Path | None = None
    input_format: str | None = None
    output_format: str | None = None
    arguments: Sequence[str] = ()


@dataclass
class PredictResult:
    """The number of rows, and of those without a prediction."""

    rows: int = 0
    refused: int = 0
    seconds: float = 0.0


@dataclass
class _ProgressReader:
    """Reads the output of `predict`: a JSON object per line, or errors of the interpreter."""

    run: Pipeline
    answered: PredictResult = field(default_factory=PredictResult)
    failure: str = ""

    def on_line(self, line: str) -> None:
        try:
            event = json.loads(line)
            self._figures(event)
            getattr(self, f"_{event['event']}")(event)
        except (ValueError, TypeError, KeyError, AttributeError):
            self.failure = line or self.failure

    def _figures(self, event: dict[str, Any]) -> None:
        self.answered.rows = int(event["rows"])
        self.answered.refused = int(event["refused"])
        self.answered.seconds = float(event["seconds"])

    def _progress(self, event: dict[str, Any]) -> None:
        total = event["total_bytes"]
        share = f", {100 * event['bytes'] / total:.0f} %" if total else ""
        self.run.observer.step(StepEvent(f"{_counted(self.answered)}{share}", "started"))

    def _refused(self, event: dict[str, Any]) -> None:
        self.run.observer.notice(f"no prediction: {event['detail']}")

    def _note(self, event: dict[str, Any]) -> None:
        self.run.observer.notice(str(event["detail"]))

    def _failed(self, event: dict[str, Any]) -> None:
        self.failure = str(event["detail"])

    def _done(self, event: dict[str, Any]) -> None:
        """Do nothing, because `_figures` has read the event."""


def predict(run: Pipeline, target: Target, batch: PredictRequest) -> PredictResult:
    """Predict rows with an image, a bundle, or a model file, which is packaged for that.

    The file of predictions is written completely or not at all.

    Raises:
        ModelpackError: As `package`.
        UsageError: The rows cannot be read or do not fit the model, or there is no such target.
        SmokeFailedError: The model fails, or does not load.
    """
    with _files(batch) as (rows, answers), open_runnable(run, target) as runnable:
        listener = _ProgressReader(run)
        with run.stage("predict") as summary:
            files = BatchStreams(rows, answers, listener.on_line)
            code = run.engine.runner.predict(runnable.name, _arguments(batch), files)
            _require_done(code, listener.failure)
            summary.append(_counted(listener.answered))
    return listener.answered


def _counted(answered: PredictResult) -> str:
    rate = answered.rows / answered.seconds if answered.seconds else 0
    without = f", {answered.refused:,} without a prediction" if answered.refused else ""
    return f"{answered.rows:,} rows, {rate:,.0f} rows/s{without}"


@contextmanager
def _files(batch: PredictRequest) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Open input and output. Raise UsageError if that fails, or if stdin is a terminal."""
    if batch.rows is None and sys.stdin.isatty():
        raise UsageError("No rows are given.", hint="modelpack predict TARGET DATA, or < DATA")
    with _rows(batch.rows) as rows, _answers(batch.answers) as answers:
        yield rows, answers


@contextmanager
def _rows(path: Path | None) -> Iterator[IO[bytes]]:
    if path is None:
        yield sys.stdin.buffer
        return
    try:
        stream = path.open("rb")
    except OSError as error:
        raise UsageError(
            f"The rows in {path} cannot be read: {error.strerror}.", hint="Name a file of rows."
        ) from error
    with stream:
        yield stream


@contextmanager
def _answers(path: Path | None) -> Iterator[IO[bytes]]:
    if path is None:
        yield sys.stdout.buffer
        return
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(files.atomic_writer(path))
        except OSError as error:
            raise UsageError(
                f"{path} cannot be written: {error.strerror}.", hint="Choose another file with -o."
            ) from error
        yield stream


def _arguments(batch: PredictRequest) -> list[str]:
    """Return the options of `predict`, with formats by file names, which it does not see."""
    named = {
        "--input-format": batch.input_format or _format(batch.rows),
        "--output-format": batch.output_format or _format(batch.answers),
    }
    return [*batch.arguments, *(f"{option}={name}" for option, name in named.items() if name)]


def _format(path: Path | None) -> str | None:
    suffix = path.suffix.lower() if path else ""
    return next((name for name, suffixes in FORMATS.items() if suffix in suffixes), None)


def _require_done(code: int, message: str) -> None:
    if code in {0, _BROKEN_PIPE}:  # a reader that stops early is not a failure
        return
    if code == _INTERRUPTED:
        raise KeyboardInterrupt
    if code in {_USAGE, _BAD_ROWS, _NO_OUTPUT}:
        raise UsageError(message, hint=_hint_for_rows(message) if code == _BAD_ROWS else "")
    raise _failure(code, message)


def _hint_for_rows(message: str) -> str:
    """Return a hint for columns or values that do not fit; other messages say what to do."""
    if "expected " not in message.lower():
        return ""
    hint = "`modelpack inspect MODEL` lists the inputs"
    is_of_a_row = message.startswith("Row ")
    return f"{hint}. For null in bad rows: --on-error null" if is_of_a_row else hint


def _failure(code: int, message: str) -> ModelpackError:
    if code == _OUT_OF_MEMORY:
        return SmokeFailedError(
            "The prediction needs more than 2 GB of memory.", hint="Try: --chunk-rows 1000"
        )
    if "No module named modelpack.serving.__main__" in message:
        return SmokeFailedError(
            "The version of modelpack that packaged the model cannot predict files.",
            hint="Package the model again.",
        )
    return SmokeFailedError(
        message or f"The prediction failed with exit code {code}, without a message."
    )
