"""No shell, package manager, compiler or downloader is there that the base image has not; with a
base that was reduced (`--slim-base`), which counts as ours, none at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from modelpack.hardening.subject import Subject
from modelpack.oci.filesystem import Entry
from modelpack.types import Violation

TOOLS = {
    "a shell": "sh|r?bash|dash|ash|[a-z]?ksh|mksh|zsh|fish|t?csh|busybox|toybox",
    "a package manager": (
        r"apt|apt-[a-z]+|dpkg|dpkg-[a-z-]+|apk|yum|dnf|microdnf|rpm|pip[0-9.]*|easy_install"
        "|pipx|uvx?|poetry|conda|mamba|micromamba|npm|gem|cargo"
    ),
    "a compiler": (
        r"(?:[a-z0-9_]+-linux-gnu-)?(?:gcc|g\+\+|cpp|ld|as|gfortran)(?:-[0-9.]+)?"
        r"|cc|c\+\+|c[89]9|clang|clang\+\+|tcc|make|cmake|ninja|rustc|go"
    ),
    "a downloader": "curl|wget|nc|ncat|netcat|socat|telnet|s?ftp|ssh|scp|rsync|git",
}
"""What it is -> names of programs, as a pattern."""

_TOOLS = {what: re.compile(pattern) for what, pattern in TOOLS.items()}
_FOLDERS = {"bin", "sbin", "libexec"}


def violations(image: Subject) -> Iterator[Violation]:
    """No shell, package manager, compiler or downloader is added to those of the base image."""
    base = image.base
    known = {entry.sha256: path for path, entry in base.items() if what_is(path, entry)}
    known.pop("", None)
    for path, entry in _programs(image.ours):
        if (what := what_is(path, entry)) and not _is_the_same(base.get(path), entry):
            yield Violation(path, f"is {what}")
        elif entry.sha256 in known and path not in base:
            yield Violation(path, f"is the same as {known[entry.sha256]}")


def what_is(path: str, entry: Entry) -> str:
    """Empty for what is no such program."""
    folder, _, name = path.rpartition("/")
    executable = entry.kind in {"file", "hardlink"} and entry.mode & 0o111
    if not executable and folder.rpartition("/")[2] not in _FOLDERS:
        return ""
    return next((what for what, names in _TOOLS.items() if names.fullmatch(name)), "")


def _programs(files: Mapping[str, Entry]) -> Iterator[tuple[str, Entry]]:
    return ((path, entry) for path, entry in files.items() if entry.kind != "directory")


def _is_the_same(before: Entry | None, now: Entry) -> bool:
    """Its mode may be another one."""
    return before is not None and (before.sha256, before.target) == (now.sha256, now.target)
