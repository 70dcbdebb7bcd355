"""`predict --folder`: a folder of files, which several processes can share."""

from __future__ import annotations

import argparse
import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from ..problems import Problem
from ..service import Service
from . import parts, shards, streams
from . import plan as plans
from .files import FORMATS
from .parts import read_record
from .plan import Part, Plan
from .predict import BAD_ROWS, NO_INPUT, USAGE, Batch, BatchError, BatchOptions, BatchPredictor
from .progress import Reporter
from .shards import Shard

CHUNKS_IN_PART = 10


def paths(options: argparse.Namespace) -> tuple[Path, Path]:
    """Return the input and the output folder, which is created.

    Raises:
        BatchError: There is no input folder, or one is in the other.
    """
    source, target = map(Path, options.folder)
    if not source.is_dir():
        raise BatchError(f"{source} is not a folder.", {}, NO_INPUT)
    target.mkdir(parents=True, exist_ok=True)
    one, other = source.resolve(), target.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise BatchError("The folders of rows and of predictions overlap.", {}, USAGE)
    return source, target


def find_shard(options: argparse.Namespace) -> Shard:
    """Return the shard of this process. Raise BatchError if the platform sets no valid one."""
    if options.shards is None:
        return options.shard or Shard()
    try:
        return shards.from_environment(options.shards, os.environ)
    except ValueError as error:
        raise BatchError(f"The shard is not known: {error}.", {}, USAGE) from error


def check(options: argparse.Namespace, output: BinaryIO) -> None:
    """Check the output of a job, and write the report to `output`. Raise BatchError."""
    source, target = paths(options)
    plan = plans.read_plan(target)
    if plan is None:
        raise BatchError(f"{target} contains no job.", {}, NO_INPUT)
    _write_report(plan, source, target, output)


def _write_report(plan: Plan, source: Path, target: Path, output: BinaryIO) -> None:
    output.write(json.dumps(parts.report(plan, source, target)).encode() + b"\n")


def predict(
    options: argparse.Namespace, service: Service, reporter: Reporter, output: BinaryIO
) -> None:
    """Predict the parts of this shard that are not finished.

    The process that finishes the last part of the folder checks it, and writes the report to
    `output`.

    Raises:
        BatchError: See `plan.open_plan`, `Batch.run` and `parts.report`.
    """
    source, target = paths(options)
    shard = find_shard(options)
    chunk = service.limits.rows
    size = -(-(options.part_rows or CHUNKS_IN_PART * chunk) // chunk) * chunk
    plan = plans.open_plan(source, target, _identity(options, chunk), size, service)
    own = plan.parts[shard.index :: shard.count]
    for part in own:
        if read_record(target, part) is None:
            _predict_part(options, plan, part, service, reporter)
    if parts.is_finished(plan, target):
        _write_report(plan, source, target, output)


def _identity(options: argparse.Namespace, chunk: int) -> dict[str, object]:
    """Return the options that change the predictions."""
    return {
        "output_format": options.output_format,
        "header": options.header,
        "probabilities": options.probabilities,
        "keep": None if options.keep_inputs else list(options.keep),
        "on_error": options.on_error,
        "chunk_rows": chunk,
    }


def _predict_part(
    options: argparse.Namespace, plan: Plan, part: Part, service: Service, reporter: Reporter
) -> None:
    source, target = map(Path, options.folder)
    keep = None if options.keep_inputs else options.keep
    # A new one for each part, which depends on no other.
    predictor = BatchPredictor(service, BatchOptions(options.probabilities, keep, options.on_error))
    refused = reporter.refused
    path = target / part.output
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = FORMATS[plan.format(part.file)].Writer
    batch = Batch(predictor, writer, reporter, str(path), first=part.range.first)
    read = FORMATS[part.file.format].read_range
    try:
        with ExitStack() as stack:
            file = str(source / part.file.path)
            stream, counted = stack.enter_context(streams.open_input(file))
            out = stack.enter_context(streams.open_output(str(path), -1))
            chunks = read(stream, part.range, service.limits.rows, service, options.header)
            batch.run(chunks, out, counted)
            out.flush()
            os.fsync(out.fileno())
    except BatchError as error:
        raise BatchError(f"{part.file.path!a}: {error.detail}", error.place, error.code) from error
    except (ValueError, Problem) as error:
        reason = " ".join(str(error).split())[:200]
        detail = f"{part.file.path!a} is not valid {part.file.format}: {reason}"
        raise BatchError(detail, {}, BAD_ROWS) from error
    refused = reporter.refused - refused
    record = parts.finish(target, part, refused, options.on_error == "skip")
    reporter.part(part.output, record.rows)
