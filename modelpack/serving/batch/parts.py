"""Finished parts of a job, and the report on all of them.

A part is written to a temporary name, which then becomes its own. After that, a record of it
is written. A process that is killed in between leaves a part without a record, and the next one
writes the same bytes again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, NamedTuple, Sequence

from . import streams
from .files import FORMATS
from .plan import STATE, Part, Plan, list_files, require_same
from .predict import BAD_ROWS, UNFINISHED, BatchError

LEFTOVER = re.compile(r"\..+\.[0-9a-f]{16}")
BLOCK = 2**20
MAX_NAMED = 3


class Record(NamedTuple):
    """A finished part.

    Attributes:
        rows: Rows that were read.
        written: Rows of the output.
        refused: Rows without a prediction.
        size: Of the output, in bytes.
        sha256: Of the output.
    """

    rows: int
    written: int
    refused: int
    size: int
    sha256: str


def _record_path(target: Path, part: Part) -> Path:
    return target / STATE / "parts" / f"{part.output}.json"


def read_record(target: Path, part: Part) -> Record | None:
    """Return the record of a part, None if the part is not finished."""
    try:
        record = Record(**json.loads(_record_path(target, part).read_bytes()))
        size = (target / part.output).stat().st_size
    except (OSError, ValueError, TypeError):
        return None
    return record if size == record.size else None


def finish(target: Path, part: Part, refused: int, skips: bool) -> Record:
    """Write the record of a part, whose output exists.

    Args:
        target: The output folder.
        part: The part.
        refused: The number of rows without a prediction.
        skips: Whether these rows are not in the output.
    """
    output = target / part.output
    written = part.range.rows - (refused if skips else 0)
    size = output.stat().st_size
    record = Record(part.range.rows, written, refused, size, _digest(output))
    _write_json(_record_path(target, part), record._asdict())
    return record


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with streams.open_output(str(path), -1) as stream:
        stream.write(json.dumps(document).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


# --- the report ----------------------------------------------------------------------------------


def is_finished(plan: Plan, target: Path) -> bool:
    """Return whether all parts are finished."""
    return all(read_record(target, part) for part in plan.parts)


def report(plan: Plan, source: Path, target: Path) -> dict[str, Any]:
    """Check that the output has each row of the input once, write the report, and return it.

    Each output is read: its digest is that of its record, and it has as many rows as were written.
    The parts of a file follow each other without a gap. Files that belong to no part are an error.
    What interrupted processes left is removed.

    Raises:
        BatchError: Status 75, parts are missing. Status 65, anything else is wrong.
    """
    require_same(plan, list_files(source), source)
    records = {part.output: read_record(target, part) for part in plan.parts}
    _require(
        [name for name, record in records.items() if record is None],
        lambda count: f"{count:,} of {len(records):,} parts are not finished",
        UNFINISHED,
    )
    _require_each_row(plan)
    finished = {name: record for name, record in records.items() if record is not None}
    damaged = [
        part.output
        for part in plan.parts
        if not _is_intact(target, plan.format(part.file), part, finished[part.output])
    ]
    _require(damaged, lambda count: f"{count:,} parts are not as they were written")
    _require(list(_strangers(target, set(records))), lambda count: f"{count:,} files are no parts")
    document = {
        "files": len(plan.files),
        "parts": len(records),
        "rows": sum(record.rows for record in finished.values()),
        "written": sum(record.written for record in finished.values()),
        "without_prediction": sum(record.refused for record in finished.values()),
    }
    _write_json(target / STATE / "report.json", document)
    return document


def _require(names: Sequence[str], message: Callable[[int], str], code: int = BAD_ROWS) -> None:
    if names:
        listed = ", ".join(f"{name!a}" for name in names[:MAX_NAMED])
        more = ", ..." if len(names) > MAX_NAMED else ""
        raise BatchError(f"{message(len(names))}: {listed}{more}.", {}, code)


def _require_each_row(plan: Plan) -> None:
    wrong = []
    for file in plan.files:
        row = 0
        for each in file.ranges:
            if each.first != row:
                wrong.append(file.path)
            row += each.rows
    _require(wrong, lambda count: f"The parts of {count:,} files have gaps")


def _is_intact(target: Path, kind: str, part: Part, record: Record) -> bool:
    path = target / part.output
    if record.rows != part.range.rows or _digest(path) != record.sha256:
        return False
    try:
        with streams.open_input(str(path)) as (stream, _):
            return bool(FORMATS[kind].count_written(stream) == record.written)
    except (OSError, ValueError):
        return False


def _strangers(target: Path, outputs: set[str]) -> Iterator[str]:
    """Yield files in the output that belong to no part. Remove temporary files.

    Other names with `.` and `_` are not read by readers of data sets, and are left alone.
    """
    for folder, folders, names in os.walk(str(target)):
        folders[:] = [name for name in folders if name[0] not in "._" or name == STATE]
        is_state = STATE in Path(folder).relative_to(target).parts
        for name in names:
            path = Path(folder, name)
            if LEFTOVER.fullmatch(name):
                with suppress(FileNotFoundError):  # another process has finished
                    path.unlink()
            elif not is_state and name[0] not in "._":
                text = str(path.relative_to(target))
                if text not in outputs:
                    yield text
