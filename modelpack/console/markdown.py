"""The answer of `modelpack diff` as Markdown: a comment below a pull request.

What came from a model or an image stands in code spans, where it is neither markup nor a mention.
Source: GitHub Flavored Markdown, sections 4.10 and 6.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from modelpack.diff import Difference, Section
from modelpack.errors import UsageError
from modelpack.files import write_whole

from .changes import lines
from .text import printable

_MARKS = {"same": "\u2705", "changed": "\u270f\ufe0f", "compatible": "\u2139\ufe0f",
          "breaking": "\u274c", "unknown": "\u2754"}  # fmt: skip


def write(found: Difference, path: Path) -> None:
    """Raises:
    UsageError: it cannot be written.
    """
    try:
        write_whole(path, text(found))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}.", hint="Choose another --markdown FILE."
        ) from error


def text(found: Difference) -> str:
    """A table of the sections, and a fold with what differs in each."""
    sections = list(found.sections)
    parts = [
        f"### {code(found.old.name)} \u2192 {code(found.new.name)}",
        "",
        "| | | |",
        "|---|---|---|",
        *(_row(name, section) for name, section in sections),
    ]
    for name, section in sections:
        if section.changes or section.unknown:
            parts += ["", *_fold(name, section)]
    return "\n".join(parts) + "\n"


def _row(name: str, section: Section) -> str:
    return f"| {name} | {_MARKS[section.verdict]} {section.verdict} | {code(section.summary)} |"


def _fold(name: str, section: Section) -> Iterator[str]:
    opened = " open" if section.verdict == "breaking" else ""
    yield f"<details{opened}><summary>{name}</summary>\n"
    if section.changes:
        yield "| | what | | |\n|---|---|---|---|"
    for line in lines(section.changes, most=50):
        impact = "" if line.impact == "none" else f"**{line.impact}** "
        note = f"{impact}{code(line.note)}"
        yield f"| {line.sign} | {code(line.name)} | {code(line.value)} | {note} |"
    yield from (f"\n- not compared: {code(why)}" for why in section.unknown)
    yield "\n</details>"


def code(text: str) -> str:
    """A code span that is also the cell of a table: nothing in it is markup."""
    inert = printable(text).plain.replace("`", "'").replace("|", "\\|").strip()
    return f"`{inert}`" if inert else ""
