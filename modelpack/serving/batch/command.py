"""The command and its options."""

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
from . import files, progress, streams
from .chunks import Chunk
from .files import FORMATS
from .predict import BAD_ROWS, Batch, BatchError, BatchOptions, BatchPredictor

settings.limit_threads()

USAGE, NO_INPUT, NO_OUTPUT = 2, 66, 74
INTERRUPTED, BROKEN_PIPE = 130, 141
UNLIMITED = 2**62


def run(arguments: Sequence[str]) -> int:
    """`python -m modelpack.serving predict`: its exit status.

    Raises:
        StartupError: the bundle of this folder has no model that can be asked.
    """
    options = argument_parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # process 1 would not end by it
    teller = progress.REPORTERS[options.progress]()
    try:
        return _predict(options, teller)
    except BatchError as ended:
        teller.failed(ended.detail, ended.place, ended.code)
        return ended.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # who read the answers has seen enough
        return BROKEN_PIPE
    except OSError as error:
        teller.failed(f"The answers cannot be written: {error.strerror}.", {}, NO_OUTPUT)
        return NO_OUTPUT


def _predict(options: argparse.Namespace, teller: progress.Reporter) -> int:
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
            raise BatchError("There are no rows: the input is empty.", {}, BAD_ROWS)
        kind = (
            options.input_format
            or files.format_from_name(source)
            or files.format_from_content(beginning)
        )
        to = options.output_format or files.format_from_name(options.output) or kind
        if confinement.is_enabled(os.environ):
            confinement.confine([str(Path(options.output).parent)] if options.output else [])
        service = load_service(Path(), options.chunk_rows)
        teller.begin()
        if not service.ready:
            teller.note("the model does not answer its own example")
        if options.probabilities and "predict_proba" not in service.methods:
            raise BatchError("This model has no probabilities.", {}, USAGE)
        out = stack.enter_context(streams.open_output(options.output))
        answering = BatchPredictor(service, _batch_options(options))
        batch = Batch(answering, FORMATS[to].Writer, teller, options.output)
        chunks = stack.enter_context(closing(_chunks(kind, stream, service, options.header)))
        batch.run(chunks, out, counted)
    teller.done()
    return 0


def load_service(folder: Path, rows: int | None) -> Service:
    """The model of the bundle in `folder`, with limits for chunks of `rows` instead of requests."""
    logger = logging.getLogger("modelpack")  # it is told here what the service logs
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    facts = manifest.read(folder)
    most = rows or max(1, min(MAX_ROWS, MAX_VALUES // max(1, len(facts.inputs))))
    limit = replace(settings.from_environment(os.environ), rows=most, body_bytes=UNLIMITED)
    service = Service(facts, loading.load(folder, facts), limit)
    service.warm_up()
    return service


def _batch_options(options: argparse.Namespace) -> BatchOptions:
    keep = None if options.keep_inputs else options.keep
    return BatchOptions(options.probabilities, keep, options.on_error)


def _chunks(
    kind: str, stream: Any, service: Service, header: str | None
) -> Generator[Chunk, None, None]:
    """Raises:
    Problem: 400 the file is broken.
    """
    try:
        yield from FORMATS[kind].read(stream, service.limits.rows, service, header)
    except (ValueError, EOFError, OSError) as error:  # as the libraries of the formats say it
        said = " ".join(str(error).split())[:200]
        raise Problem(400, f"The input is no {kind}, or it is broken: {said}") from error


MAX_ROWS, MAX_VALUES = 10_000, 1_000_000  # of a chunk


def argument_parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="predict", description="Answer rows: of a file or standard input, to standard output."
    )
    formats = list(FORMATS)
    add = made.add_argument
    add("data", nargs="?", metavar="FILE", help="else, or where it is -, standard input")
    add("-o", "--output", metavar="FILE", help="written whole or not at all; else standard output")
    add("--input-format", choices=formats, help="else told by the name of FILE, or what it holds")
    add("--output-format", choices=formats, help="else told by the name of FILE, or as the input")
    add("--header", choices=["present", "absent"], help="of csv, where it cannot be seen")
    add("--probabilities", action="store_true", help="also the probability of each class")
    add("--keep", metavar="NAME", action="append", default=[], help="copy this column beside the"
        " answers; one that is no input is kept from the model; may be repeated")  # fmt: skip
    add("--keep-inputs", action="store_true", help="copy all columns")
    add("--on-error", choices=["fail", "null", "skip"], default="fail", help="of a row that has no"
        " answer: end there, leave its answer empty, or leave it out (default: fail)")  # fmt: skip
    add("--chunk-rows", type=_count, metavar="N", help="rows that are answered at a time"
        f" (default: {MAX_ROWS}, or what holds a million values)")  # fmt: skip
    add("--progress", choices=list(progress.REPORTERS), default="auto", help="what is told on"
        " standard error: to people, to a program as JSON lines, or errors only")  # fmt: skip
    return made


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 10**7):
        raise argparse.ArgumentTypeError("a number from 1 to 10000000 is wanted")
    return int(text)
