"""The command `predict` of an image: from its options to its exit status."""

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

from .. import cpu

cpu.one_thread_each()

from .. import confinement, limits, loading, manifest  # noqa: E402 - numpy looks at the threads once
from ..problems import Problem  # noqa: E402
from ..service import Service  # noqa: E402
from . import guess, places, telling  # noqa: E402
from .answering import Answering, Wishes  # noqa: E402
from .chunks import Chunk  # noqa: E402
from .files import FORMATS  # noqa: E402
from .loop import BAD_ROWS, Batch, EndedError  # noqa: E402
from .options import MOST_ROWS, MOST_VALUES, parser  # noqa: E402

USAGE, NO_INPUT, NO_OUTPUT = 2, 66, 74
INTERRUPTED, BROKEN_PIPE = 130, 141
UNLIMITED = 2**62


def run(arguments: Sequence[str]) -> int:
    """`python -m modelpack.serving predict`: its exit status.

    Raises:
        CannotStartError: the bundle of this folder has no model that can be asked.
    """
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # process 1 would not end by it
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
        if confinement.wanted(os.environ):
            confinement.enter([str(Path(options.output).parent)] if options.output else [])
        service = service_of(Path(), options.chunk_rows)
        teller.begin()
        if not service.ready:
            teller.note("the model does not answer its own example")
        if options.probabilities and "predict_proba" not in service.methods:
            raise EndedError("This model gives no probabilities.", {}, USAGE)
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
