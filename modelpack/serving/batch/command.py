"""The command `predict` of an image: its options, its exit status, and the loop over chunks."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Generator, Iterator, Mapping, Sequence

from .. import cpu

cpu.one_thread_each()

import numpy as np  # noqa: E402 - it looks at the number of threads once

from .. import limits, loading, manifest  # noqa: E402
from ..answers import Answer  # noqa: E402
from ..problems import Problem  # noqa: E402
from ..service import Service  # noqa: E402
from . import guess, places, telling  # noqa: E402
from .answered import Answered  # noqa: E402
from .answering import Answering, Wishes  # noqa: E402
from .chunks import Chunk  # noqa: E402
from .files import FORMATS  # noqa: E402

USAGE = 2
# As sysexits.h has them: 1 is a service that cannot start, and those of Docker begin at 125.
BAD_ROWS, NO_INPUT, FAILED, NO_OUTPUT = 65, 66, 70, 74
INTERRUPTED, BROKEN_PIPE = 130, 141
MOST_ROWS, MOST_VALUES = 10_000, 1_000_000
UNLIMITED = 2**62


class EndedError(Exception):
    """It ends here, for this reason."""

    def __init__(self, detail: str, place: dict[str, Any], code: int) -> None:
        super().__init__(detail)
        self.detail = detail
        self.place = place
        self.code = code


def run(arguments: Sequence[str]) -> int:
    """`python -m modelpack.serving predict`: its exit status.

    Raises:
        CannotStartError: the bundle of this folder has no model that can be asked.
    """
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))  # process 1 would not end by it
    teller = telling.TELLERS[options.progress]()
    try:
        return _predict(options, teller)
    except EndedError as ended:
        teller.failed(ended.detail, ended.place, ended.code)
        return ended.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # who read the answers has seen enough
        return BROKEN_PIPE
    except OSError as error:
        teller.failed(f"The answers cannot be written: {error.strerror}.", {}, NO_OUTPUT)
        return NO_OUTPUT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="predict", description="Answer rows: of a file or standard input, to standard output."
    )
    formats = list(FORMATS)
    add = parser.add_argument
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
        f" (default: {MOST_ROWS}, or what holds a million values)")  # fmt: skip
    add("--progress", choices=list(telling.TELLERS), default="auto", help="what is told on"
        " standard error: to people, to a program as JSON lines, or errors only")  # fmt: skip
    return parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 10**7):
        raise argparse.ArgumentTypeError("a number from 1 to 10000000 is wanted")
    return int(text)


def _predict(options: argparse.Namespace, teller: telling.Teller) -> int:
    source = None if options.data == "-" else options.data
    if source is None and sys.stdin.isatty():
        raise EndedError(
            "Give rows on standard input: docker run -i IMAGE predict < FILE", {}, USAGE
        )
    with ExitStack() as stack:
        try:
            stream, counted = stack.enter_context(places.reading(source))
            beginning = counted.beginning()
        except OSError as error:
            raise EndedError(f"The rows cannot be read: {error.strerror}.", {}, NO_INPUT) from error
        if not beginning:
            raise EndedError("There are no rows: the input is empty.", {}, BAD_ROWS)
        kind = options.input_format or guess.by_name(source) or guess.by_content(beginning)
        to = options.output_format or guess.by_name(options.output) or kind
        service = service_of(Path(), options.chunk_rows)
        teller.begin()
        if not service.ready:
            teller.note("the model does not answer its own example")
        out = stack.enter_context(places.writing(options.output))
        answering = Answering(service, _wishes(options))
        batch = Batch(answering, FORMATS[to].Writer, teller, options.output)
        chunks = stack.enter_context(closing(_chunks(kind, stream, service, options.header)))
        batch.run(chunks, out, counted)
    teller.done()
    return 0


def service_of(folder: Path, rows: int | None) -> Service:
    """The model of the bundle in `folder`, with limits for chunks of `rows` instead of requests."""
    logger = logging.getLogger("modelpack")  # it is told here what the service logs
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    facts = manifest.read(folder)
    most = rows or max(1, min(MOST_ROWS, MOST_VALUES // max(1, len(facts.inputs))))
    limit = replace(limits.from_environment(os.environ), rows=most, body_bytes=UNLIMITED)
    service = Service(facts, loading.load(folder, facts), limit)
    service.warm_up()
    return service


def _wishes(options: argparse.Namespace) -> Wishes:
    keep = None if options.keep_inputs else options.keep
    return Wishes(options.probabilities, keep, options.on_error)


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


class Batch:
    """Answers chunk by chunk, and tells of it. `output`: the name of the file of answers."""

    def __init__(
        self, answering: Answering, writer: Any, teller: telling.Teller, output: str | None
    ) -> None:
        self._answering = answering
        self._open = writer
        self._teller = teller
        self._output = output
        self._rows = 0  # that have been read

    def run(self, chunks: Iterator[Chunk], out: BinaryIO, counted: places.Counted) -> None:
        """Raises:
        EndedError: a row has no answer, or the input is broken.
        """
        current = writer = None
        try:
            for chunk in chunks:
                current = chunk
                answered = self._answered(chunk)
                if answered is not None:
                    writer = writer or self._open(out, self._like(answered.kept))
                    writer.write(answered)
                    out.flush()  # whoever waits for them at the other end has them
                self._rows += len(chunk)
                self._teller.progress(len(chunk), counted.count, counted.total)
                current = None
            writer = writer or self._open(out, self._like({}))
            writer.close()
        except Problem as problem:
            raise self._ended(problem, current, out) from problem

    def _answered(self, chunk: Chunk) -> Answered | None:
        outcome = self._answering.of(chunk)
        for index, problem in outcome.refused:
            self._teller.refusal(*telling.told(problem, chunk, self._rows, index))
        return outcome.answered

    def _like(self, kept: Mapping[str, Any]) -> Answered:
        return Answered(self._answering.like or Answer(np.empty(0, object)), kept)

    def _ended(self, problem: Problem, chunk: Chunk | None, out: BinaryIO) -> EndedError:
        detail, place = telling.told(problem, chunk, self._rows)
        if self._output is not None:
            detail += " Nothing is written."
        elif self._rows:
            out.flush()
            detail += f" The answers to the first {self._rows} rows are written already."
        return EndedError(detail, place, FAILED if problem.status == 500 else BAD_ROWS)
