"""The table of models, one JSON object per line of models.jsonl.

Keys of a line:

- `package`, `version`, `licence`, `archive` (name of the file on the index), `sha256` of it;
- `files`: members of the archive that are one model, in the order of the rows;
- `options`: of `modelpack package`, if the model needs any;
- `rows`: what the model predicts: a list, `ramps N` (N zeros; 0.0, 0.1, ... with N numbers),
  `steps N` (the same without decimals), or `repeat N A B` (N times A; N times B);
- `predictions` and `probabilities` (in the order of the classes), and their `source`: `README` of
  the package, or `measured` with the library and the release that the file records;
- `codes` and `words`: exit codes and text of the error, for a file that cannot be served.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from compatibility.rows import Request, Row

TABLE = Path(__file__).parent / "models.jsonl"
TOLERANCE = 1e-6


class Model(NamedTuple):
    """A line of the table, and the row for `compatibility.verdicts.judge`."""

    line: dict[str, Any]
    row: Row

    @property
    def name(self) -> str:
        names = " + ".join(Path(file).name for file in self.line["files"])
        return f"{self.line['package']} {self.line['version']}: {names}"

    @property
    def is_supported(self) -> bool:
        return "codes" not in self.line


def read_models(table: Path = TABLE) -> list[Model]:
    """Read the table."""
    lines = [json.loads(line) for line in table.read_text("utf-8").splitlines()]
    return [Model(line, _row(line)) for line in lines]


def _row(line: dict[str, Any]) -> Row:
    request = Request(
        expand(line["rows"]) if "rows" in line else None,
        line.get("predictions"),
        line.get("probabilities"),
        TOLERANCE,
    )
    return Row(
        folder=f"{line['package']}-{line['version']}",
        files=tuple(Path(file).name for file in line["files"]),
        requests=(request,),
        options=tuple(line.get("options", ())),
        codes=tuple(line.get("codes", ())),
        words=line.get("words", ""),
    )


def expand(rows: list[Any] | str) -> list[Any]:
    """Return the rows of a line."""
    if isinstance(rows, list):
        return rows
    kind, width, *values = rows.split()
    if kind == "ramps":
        return [[0.0] * int(width), [i / 10 for i in range(int(width))]]
    if kind == "steps":
        return [[0] * int(width), [i // 10 for i in range(int(width))]]
    if kind == "repeat":
        return [[value] * int(width) for value in values]
    raise ValueError(f"unknown rows: {rows!r}")
