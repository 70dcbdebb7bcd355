"""The console blocks of documents: commands to run, and the output that they show."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

NO_BASE = ("No base image for", "Unable to find image")
LOCAL_BASE = "modelpack.invalid/"
"""Prefix of base images that take the place of official ones where no registry is reached. Readers
have official ones.
"""
VARYING = (
    (re.escape(LOCAL_BASE), ""),
    (r"sha256:[0-9a-f]{64}|\b[0-9a-f]{12,64}\b", "DIGEST"),
    (r"\b\d+(\.\d+)?(?= ?(ms|s|min|bytes|kB|MB|GB)\b)", "N"),
    (r"(?<= passed) +\d+\.\d\d\b", " N"),  # seconds of a check
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*", "TIME"),
    (r"\s+", " "),
)


def console_blocks(text: str) -> list[str]:
    return re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[tuple[str, str]]:
    """(command, expected output) of a block; a backslash continues a command."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    pairs = []
    for part in parts:
        lines = part.splitlines()
        end = next(i for i, line in enumerate(lines) if not line.endswith("\\")) + 1
        pairs.append(("\n".join(lines[:end]), "\n".join(lines[end:])))
    return pairs


def run(
    command: str, folder: Path, without: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would type it in `folder`. stdout also has what it writes to stderr.

    `without` are variables of this process that it does not get.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    inherited = {name: value for name, value in os.environ.items() if name not in without}
    return subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env={**inherited, "PATH": path, "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )


def check(
    document: Path, command: str, expected: str, done: subprocess.CompletedProcess[str],
    varying: Sequence[tuple[str, str]] = (),
) -> None:  # fmt: skip
    """Compare an output with that of a document, or write it if MODELPACK_UPDATE_DOCS is set."""
    if os.environ.get("MODELPACK_UPDATE_DOCS") and not os.environ.get("CI"):
        printed = done.stdout.replace(LOCAL_BASE, "").rstrip()
        output = "\n".join(line.rstrip() for line in printed.splitlines())
        shown, printed = (f"$ {command}\n{text}".rstrip() for text in (expected, output))
        document.write_text(document.read_text().replace(shown, printed, 1))
        return
    assert normalised(done.stdout, varying) == normalised(expected, varying), done.stdout
    assert done.returncode == exit_status(command), command


def normalised(text: str, varying: Sequence[tuple[str, str]] = ()) -> str:
    """Return an output without what may differ. `varying`: further patterns, and their words."""
    for pattern, word in (*varying, *VARYING):
        text = re.sub(pattern, word, text)
    return text.strip()


def exit_status(command: str) -> int:
    found = re.search(r"# exit status (\d+)$", command)
    return int(found[1]) if found else 0
