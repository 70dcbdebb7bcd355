"""What a COPY instruction puts where."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from modelpack.dockerfile import Instruction, not_understood
from modelpack.engines.embedded import items
from modelpack.engines.embedded.context import Context
from modelpack.engines.embedded.items import Item

_FLAGS = {"from", "chmod", "chown", "link"}


def copied(instruction: Instruction, source: Context, workdir: str) -> list[Item]:
    """Its items, without the folders that they are in.

    Raises:
        BuildFailedError: it copies nothing, or asks for what is not understood.
    """
    if not {flag.partition("=")[0] for flag in instruction.flags} <= _FLAGS:
        raise not_understood(instruction, "it has an option that is not known")
    if (instruction.flag("chown") or "0:0") not in {"0:0", "0", "root", "root:root"}:
        raise not_understood(instruction, "files of an image belong to root")
    *sources, target = instruction.array() or instruction.text.split()
    if not sources or any(set(name) & set("*?[$") for name in (*sources, target)):
        raise not_understood(instruction, "plain names are expected")
    found = [item for name in sources for item in _of(instruction, source, name, target, workdir)]
    if len(sources) > 1 and not target.endswith("/"):
        raise not_understood(instruction, "several files go into a folder, which ends with /")
    return found


def _of(
    instruction: Instruction, source: Context, name: str, target: str, workdir: str
) -> Iterator[Item]:
    found = list(source.files(name))
    if not found:
        raise not_understood(instruction, f"there is no {name!r} to copy")
    mode = _mode(instruction)
    at = path(target, workdir)
    for below, place in found:
        if below == "" and not _is_folder(place):
            inside = place.name if target.endswith(("/", "/.")) or target == "." else ""
            yield items.item(_joined(at, inside), place, mode)
        elif mode is not None and _is_folder(place):
            raise not_understood(instruction, "a mode is for files, and this is a folder")
        elif _joined(at, below):
            yield items.item(_joined(at, below), place, mode)


def path(name: str, workdir: str) -> str:
    """`name`, as seen from `workdir`, as a path from the root without a slash before it."""
    parts: list[str] = []
    for part in PurePosixPath(workdir, name).parts[1:]:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


def _mode(instruction: Instruction) -> int | None:
    text = instruction.flag("chmod")
    if text is None:
        return None
    if not (text.isdigit() and set(text) <= set("01234567") and int(text, 8) <= 0o777):
        raise not_understood(instruction, "a mode in octal is expected")
    return int(text, 8)


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}".strip("/")


def _is_folder(place: Path) -> bool:
    return place.is_dir() and not place.is_symlink()
