"""What the user gave of rows and predictions, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelpack.errors import UsageError
from modelpack.types import ModelSpec, Reference

from . import invented, sidecar
from .expected import read_expected
from .merging import with_examples
from .rows import align
from .tables import read_table


@dataclass(frozen=True)
class Sources:
    """`models`: the files of the model, beside the last of which a sidecar may lie."""

    models: Sequence[Path] = ()
    example: Path | None = None
    expected: Path | None = None
    tolerance: float = 0.0


def prepare(spec: ModelSpec, sources: Sources) -> tuple[ModelSpec, Reference]:
    """The rows to ask for, with the author's answers where a file holds them, and the spec with the
    first of the rows as its example.

    Answers are those of the expected file, else of the sidecar that `modelpack.record` wrote, with
    its rows. Where there is neither, the rows are those of the example file, else made from the
    signature, and the answers are left to the model itself (`completed`).

    Raises:
        UsageError: a file cannot be read, does not fit the model, or is of another model file.
    """
    if sources.expected:
        return _of_files(spec, sources)
    recorded = sidecar.read(sources.models[-1], spec) if sources.models else None
    example = read_table(sources.example) if sources.example else None
    if example:
        spec = with_examples(spec, example)
    if recorded:
        return sidecar.reference(spec, recorded, sources.tolerance)
    if example:
        rows = align(example, spec.signature)
        return spec, Reference(rows, tolerance=sources.tolerance)
    rows = invented.rows(spec.signature)
    return spec, Reference(rows, made_up=True, tolerance=sources.tolerance)


def _of_files(spec: ModelSpec, sources: Sources) -> tuple[ModelSpec, Reference]:
    if sources.example is None or sources.expected is None:
        raise UsageError(
            f"{sources.expected} holds predictions, and nothing says of which rows.",
            hint="Give the rows too: --example FILE",
        )
    table = read_table(sources.example)
    spec = with_examples(spec, table)
    rows = align(table, spec.signature)
    answers = read_expected(sources.expected, spec.signature, len(rows), len(table.rows))
    return spec, Reference(rows, answers, None, "expected", tolerance=sources.tolerance)
