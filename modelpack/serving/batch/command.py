"""The command `predict` and its options."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Generator, Sequence

from .. import loading, manifest, settings
from ..problems import Problem
from ..security import confinement
from ..service import Service
from . import files, folder, progress, shards, streams
from .chunks import Chunk
from .files import FORMATS
from .plan import SPLITTABLE
from .predict import (
    BAD_ROWS,
    NO_INPUT,
    NO_OUTPUT,
    USAGE,
    Batch,
    BatchError,
    BatchOptions,
    BatchPredictor,
)

settings.limit_threads()

INTERRUPTED, BROKEN_PIPE = 130, 141
UNLIMITED = 2**62


def run(arguments: Sequence[str]) -> int:
    """Run `python -m modelpack.serving predict`, and return the exit status.

    Raises:
        StartupError: The model of the bundle in the current folder cannot be loaded.
    """
    options = argument_parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # process 1 would ignore it
    reporter = progress.REPORTERS[options.progress]()
    try:
        run_command = _predict if options.folder is None else _predict_folder
        return run_command(options, reporter, streams.reserve_output())
    except BatchError as error:
        reporter.failed(error.detail, error.place, error.code)
        return error.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of the predictions has ended
        return BROKEN_PIPE
    except OSError as error:
        reporter.failed(f"The predictions cannot be written: {error.strerror}.", {}, NO_OUTPUT)
        return NO_OUTPUT


def _predict(options: argparse.Namespace, reporter: progress.Reporter, output: int) -> int:
    source = None if options.data == "-" else options.data
    if source is None and sys.stdin.isatty():
        raise BatchError(
            "Give rows on standard input: docker run -i IMAGE predict < FILE", {}, USAGE
        )
    with ExitStack() as stack:
        try:
            stream, counted = stack.enter_context(streams.open_input(source))
            beginning = counted.beginning()
        except OSError as error:
            raise BatchError(f"The rows cannot be read: {error.strerror}.", {}, NO_INPUT) from error
        if not beginning:
            raise BatchError("The input is empty.", {}, BAD_ROWS)
        kind = (
            options.input_format
            or files.format_from_name(source)
            or files.format_from_content(beginning)
        )
        to = options.output_format or files.format_from_name(options.output) or kind
        if confinement.is_enabled(os.environ):
            confinement.confine([str(Path(options.output).parent)] if options.output else [])
        service = _begin(options, reporter)
        out = stack.enter_context(streams.open_output(options.output, output))
        keep = None if options.keep_inputs else options.keep
        batch_options = BatchOptions(options.probabilities, keep, options.on_error)
        predictor = BatchPredictor(service, batch_options)
        batch = Batch(predictor, FORMATS[to].Writer, reporter, options.output)
        chunks = stack.enter_context(closing(_chunks(kind, stream, service, options.header)))
        batch.run(chunks, out, counted)
    reporter.done()
    return 0


def _predict_folder(options: argparse.Namespace, reporter: progress.Reporter, output: int) -> int:
    _require_folder_options(options)
    _, target = folder.paths(options)
    with streams.open_output(None, output) as out:
        if options.report:
            folder.check(options, out)
            return 0
        if confinement.is_enabled(os.environ):
            confinement.confine([str(target)])
        folder.predict(options, _begin(options, reporter), reporter, out)
    reporter.done()
    return 0


def _require_folder_options(options: argparse.Namespace) -> None:
    if options.data is not None or options.output or options.input_format:
        detail = "--folder takes the place of FILE, of -o and of --input-format."
        raise BatchError(detail, {}, USAGE)
    if options.output_format not in (None, *SPLITTABLE):
        detail = f"The predictions of a folder are one of {', '.join(SPLITTABLE)}."
        raise BatchError(detail, {}, USAGE)
    if options.shard and options.shards:
        raise BatchError("Give one of --shard and --shards.", {}, USAGE)


def _begin(options: argparse.Namespace, reporter: progress.Reporter) -> Service:
    """Load the model, and start the time of the rows.

    Raises:
        BatchError: It has no probabilities, but they are requested.
    """
    service = load_service(Path(), options.chunk_rows)
    reporter.begin()
    if not service.ready:
        reporter.note("the model does not answer its own example")
    if options.probabilities and "predict_proba" not in service.methods:
        raise BatchError("This model has no probabilities.", {}, USAGE)
    return service


def load_service(bundle: Path, rows: int | None) -> Service:
    """Load a bundle, with limits for chunks of `rows` instead of requests."""
    logger = logging.getLogger("modelpack")  # the reporter prints what the service logs
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    facts = manifest.read(bundle)
    max_rows = rows or max(1, min(MAX_ROWS, MAX_VALUES // max(1, len(facts.inputs))))
    limits = replace(settings.from_environment(), rows=max_rows, body_bytes=UNLIMITED)
    service = Service(facts, loading.load(bundle, facts), limits)
    service.warm_up()
    return service


def _chunks(
    kind: str, stream: Any, service: Service, header: str | None
) -> Generator[Chunk, None, None]:
    """Yield the chunks of a file. Raise a Problem 400 if it is malformed."""
    try:
        yield from FORMATS[kind].read(stream, service.limits.rows, service, header)
    except (ValueError, EOFError, OSError) as error:  # of the library of the format
        reason = " ".join(str(error).split())[:200]
        raise Problem(400, f"The input is not valid {kind}: {reason}") from error


MAX_ROWS, MAX_VALUES = 10_000, 1_000_000  # in a chunk


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="predict", description="Predict the rows of a file or of standard input."
    )
    formats = list(FORMATS)
    add = parser.add_argument
    add("data", nargs="?", metavar="FILE", help="Rows to predict (default, and -: standard input)")
    add("-o", "--output", metavar="FILE", help="File that is written completely or not at all"
        " (default: standard output)")  # fmt: skip
    add("--input-format", choices=formats, help="Format of FILE (default: from name or contents)")
    add("--output-format", choices=formats, help="Format of the predictions (default: from the name"
        " of the output, or as the input)")  # fmt: skip
    add("--header", choices=["present", "absent"], help="Whether the first line of CSV contains"
        " names (default: from its contents)")  # fmt: skip
    add("--probabilities", action="store_true", help="Add the probability of each class")
    add("--keep", metavar="NAME", action="append", default=[], help="Copy this column next to the"
        " predictions, even if it is not an input; may be repeated")  # fmt: skip
    add("--keep-inputs", action="store_true", help="Copy all columns")
    add("--on-error", choices=["fail", "null", "skip"], default="fail", help="For a row that cannot"
        " be predicted: stop, leave it empty, or skip it (default: fail)")  # fmt: skip
    add("--chunk-rows", type=_count, metavar="N", help="Rows in a chunk"
        f" (default: {MAX_ROWS}, or a million values)")  # fmt: skip
    add("--folder", nargs=2, metavar=("IN", "OUT"), help="Predict all csv, jsonl and parquet files"
        " of IN to OUT, without the parts that are already finished")  # fmt: skip
    add("--shard", type=_shard, metavar="K/N", help="With --folder: predict every Nth part of it,"
        " from the Kth")  # fmt: skip
    add("--shards", type=_count, metavar="N", help="The same, with K from a variable:"
        f" {', '.join(shards.INDEXES)}")  # fmt: skip
    add("--part-rows", type=_count, metavar="N", help="Rows in a part, rounded up to whole chunks"
        f" (default: {folder.CHUNKS_IN_PART} chunks)")  # fmt: skip
    add("--report", action="store_true", help="With --folder: check that OUT contains each row of"
        " IN once, and predict nothing")  # fmt: skip
    add("--progress", choices=list(progress.REPORTERS), default="auto", help="Progress on standard"
        " error: as text, as JSON lines, or errors only (default: auto)")  # fmt: skip
    return parser


def _shard(text: str) -> shards.Shard:
    try:
        return shards.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 10**7):
        raise argparse.ArgumentTypeError("expected a number from 1 to 10000000")
    return int(text)
