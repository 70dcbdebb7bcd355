"""The parts of a folder: which rows of which files are predicted together, and where to.

The plan depends on the input and the options alone, and not on the number of processes. The first
process writes it, and all others read it, also those that resume an interrupted job.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Iterator, Mapping, NamedTuple, Sequence

from ..problems import Problem
from ..service import Service
from . import files, streams
from .files import FORMATS
from .predict import BAD_ROWS, NO_INPUT, USAGE, BatchError
from .ranges import Range

SPLITTABLE = ("csv", "jsonl", "parquet")
"""Formats of files in a folder: those that several processes can read and count."""
STATE = "_modelpack"
"""The folder of the plan and of finished parts. Readers of data sets skip names with `_`."""
VERSION = 1


class File(NamedTuple):
    """An input file.

    Attributes:
        path: Relative to the input folder.
        format: One of `SPLITTABLE`.
        size: In bytes.
        modified: Time of the last change, in nanoseconds.
        ranges: The rows of each part.
    """

    path: str
    format: str
    size: int
    modified: int
    ranges: Sequence[Range]


class Part(NamedTuple):
    """Some rows of a file, and the path of their predictions in the output folder."""

    file: File
    range: Range
    output: str


class Plan(NamedTuple):
    """All parts of a folder.

    Attributes:
        options: The options of the predictions, and the digest of the model.
        files: The input, in the order of its paths.
    """

    options: Mapping[str, Any]
    files: Sequence[File]

    @property
    def parts(self) -> list[Part]:
        """The parts, in order. A file is a folder of parts in the output."""
        return [
            Part(file, rows, f"{file.path}/part-{index:05d}{self.extension(file)}")
            for file in self.files
            for index, rows in enumerate(file.ranges)
        ]

    def format(self, file: File) -> str:
        """Return the format of the predictions of a file."""
        return self.options["output_format"] or file.format

    def extension(self, file: File) -> str:
        return str(FORMATS[self.format(file)].EXTENSIONS[0])


def open_plan(
    source: Path, target: Path, options: Mapping[str, Any], rows: int, service: Service
) -> Plan:
    """Return the plan in `target`, or write a new one.

    Args:
        source: The input folder.
        target: The output folder.
        options: The options of the predictions; `header` is that of CSV.
        rows: The number of rows in a part.
        service: The service that predicts.

    Raises:
        BatchError: There is no input, a file of it is malformed or not of a known format, or the
            output is of another job.
    """
    options = {**options, "part_rows": rows, "bundle": _bundle()}
    current = list_files(source)
    plan = read_plan(target)
    if plan is None:
        split = [_split(source, file, rows, service, options["header"]) for file in current]
        plan = _write_plan(target, Plan(options, split))
    if plan.options != options:
        names = [name for name in options if plan.options.get(name) != options[name]]
        raise BatchError(
            f"{target} contains the predictions of another job, which differs in"
            f" {', '.join(names)}. Use an empty folder.",
            {},
            USAGE,
        )
    require_same(plan, current, source)
    return plan


def list_files(source: Path) -> list[File]:
    """List the files of a folder and of its folders. Names with `.` and `_` are skipped.

    Raises:
        BatchError: There is no such folder, or a file of an unknown format.
    """
    current = []
    for path in sorted(_walk(source)):
        name = str(path.relative_to(source))
        kind = files.format_from_name(name)
        if kind not in SPLITTABLE:
            known = ", ".join(SPLITTABLE)
            raise BatchError(f"{name!a} is not a file of a known format: {known}.", {}, BAD_ROWS)
        status = path.stat()
        current.append(File(name, kind, status.st_size, status.st_mtime_ns, ()))
    if not current:
        raise BatchError(f"There are no files in {source}.", {}, NO_INPUT)
    return current


def _walk(source: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise BatchError(f"{source} cannot be read: {error.strerror}.", {}, NO_INPUT) from error

    for folder, folders, names in os.walk(str(source), onerror=fail):
        folders[:] = [name for name in folders if name[0] not in "._"]
        yield from (Path(folder, name) for name in names if name[0] not in "._")


def require_same(plan: Plan, current: Sequence[File], source: Path) -> None:
    """Require that the input is that of the plan. Raise BatchError if it has changed."""
    planned = [file._replace(ranges=()) for file in plan.files]
    changed = {file.path for file in set(planned).symmetric_difference(current)}
    if changed:
        names = ", ".join(repr(name) for name in sorted(changed)[:3])
        raise BatchError(
            f"{source} has changed since the job began: {names}. Use an empty output folder.",
            {},
            BAD_ROWS,
        )


def _split(source: Path, file: File, rows: int, service: Service, header: str | None) -> File:
    try:
        with streams.open_input(str(source / file.path)) as (stream, _):
            ranges = FORMATS[file.format].split(stream, rows, service, header) if file.size else []
    except Problem as problem:
        raise BatchError(f"{file.path!a}: {problem.detail}", {}, BAD_ROWS) from problem
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        detail = f"{file.path!a} is not valid {file.format}: {reason}"
        raise BatchError(detail, {}, BAD_ROWS) from error
    return file._replace(ranges=ranges)


def _bundle() -> str:
    """Return a digest of the model and its settings, from the manifest in the current folder."""
    return hashlib.sha256(Path("modelpack.json").read_bytes()).hexdigest()


# --- the file of the plan ------------------------------------------------------------------------


def _path(target: Path) -> Path:
    return target / STATE / "plan.json"


def read_plan(target: Path) -> Plan | None:
    """Return the plan of an output folder, or None without one.

    Raises:
        BatchError: It is damaged, or of another version.
    """
    try:
        return _parse_plan(json.loads(_path(target).read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        detail = f"{_path(target)} is not a plan of this version. Use an empty output folder."
        raise BatchError(detail, {}, USAGE) from error


def _parse_plan(document: Mapping[str, Any]) -> Plan:
    if document["version"] != VERSION:
        raise ValueError(document["version"])
    current = [
        File(**{**file, "ranges": [Range(*numbers) for numbers in file["ranges"]]})
        for file in document["files"]
    ]
    return Plan(document["options"], current)


def _write_plan(target: Path, plan: Plan) -> Plan:
    """Write a plan, unless another process has written one. Return the plan in the folder."""
    document = {
        "version": VERSION,
        "options": plan.options,
        "files": [file._asdict() for file in plan.files],
    }
    path = _path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    own = streams.temporary_name(path)
    try:
        with own.open("x") as stream:
            json.dump(document, stream)
        try:
            os.link(str(own), str(path))  # fails if there is one
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links
            own.replace(path)
    finally:
        with suppress(FileNotFoundError):
            own.unlink()
    written = read_plan(target)
    assert written is not None  # noqa: S101 - as written above
    return written
