"""Parts of a document that scripts write: between <!-- NAME --> and <!-- /NAME -->."""

from __future__ import annotations

from pathlib import Path


def read_section(document: Path, name: str) -> str:
    """Return the content of the section."""
    _, opening, rest = document.read_text().partition(f"<!-- {name} -->\n")
    content, closing, _ = rest.partition(f"<!-- /{name} -->")
    if not (opening and closing):
        raise SystemExit(f"{document} has no section {name}")
    return content.rstrip()


def replace_section(document: Path, name: str, text: str) -> None:
    """Replace the content of the section by `text`."""
    before, opening, rest = document.read_text().partition(f"<!-- {name} -->\n")
    _, closing, after = rest.partition(f"<!-- /{name} -->")
    if not closing:
        raise SystemExit(f"{document} has no section {name}")
    document.write_text(f"{before}{opening}{text.rstrip()}\n{closing}{after}")
