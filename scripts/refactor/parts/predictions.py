"""Files that `modelpack predict` writes, in all formats."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from checkout import Checkout

from .settings import Settings

_FORMATS = ("csv", "jsonl", "json", "npy", "arrow", "parquet")
_NAMES = ("iris", "text-classifier")


def record(checkout: Checkout, settings: Settings, output: Path) -> None:
    for sample in settings.samples:
        if sample.name in _NAMES:
            bundle = f"predictions/{sample.name}"
            pyarrow = ("--requirement", "pyarrow>=17")
            checkout.require("bundle", *sample.arguments, "-o", bundle, "--quiet", *pyarrow)
            manifest = json.loads((checkout.work / bundle / "modelpack.json").read_text())
            names = [field["name"] for field in manifest["model"]["signature"]["inputs"]]
            rows = sample.rows(checkout.work)
            table = [row if isinstance(row, list) else [row] for row in rows]
            _record(checkout, bundle, names, table, output / sample.name)


def _record(
    checkout: Checkout, bundle: str, names: list[str], rows: list[list[Any]], output: Path
) -> None:
    output.mkdir(exist_ok=True)
    folder = checkout.work / f"{bundle}-files"
    folder.mkdir()
    _write_rows(folder, names, rows)
    for name, (file, format_, options) in _runs().items():
        rows_file, answers = folder / file, folder / f"{name}.{format_}"
        report = checkout.report(
            *("predict", bundle, str(rows_file.relative_to(checkout.work))),
            *("-o", str(answers.relative_to(checkout.work)), *options),
        )
        (output / f"{name}.txt").write_text(report + _content(answers))
    (output / "stdin.txt").write_text(
        checkout.report("predict", bundle, "--quiet", stdin=(folder / "rows.jsonl").read_bytes())
    )


def _runs() -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """Return for each run the file of rows, the format of the answers, and the options."""
    null, skip = ("--on-error", "null"), ("--on-error", "skip")
    more = ("--probabilities", "--keep", "key")
    return {
        **{f"{format_}-same": (f"rows.{format_}", format_, ()) for format_ in _FORMATS},
        **{f"csv-to-{format_}": ("keyed.csv", format_, more) for format_ in _FORMATS},
        "bad-fail": ("bad.csv", "csv", ()),
        "bad-null": ("bad.csv", "csv", null),
        "bad-skip": ("bad.csv", "csv", (*skip, "--keep-inputs")),
        "bad-chunks": ("bad.csv", "csv", (*null, "--probabilities", "--chunk-rows", "1")),
        "no-header": ("plain.csv", "csv", ("--header", "absent")),
    }


def _write_rows(folder: Path, names: list[str], rows: list[list[Any]]) -> None:
    """Write the rows in each format; `bad.csv` has a row with a value too many."""
    objects = [dict(zip(names, row, strict=True)) for row in rows]
    keyed = [[*row, f"k{i}"] for i, row in enumerate(rows)]
    (folder / "rows.csv").write_text(_csv([names, *rows]))
    (folder / "keyed.csv").write_text(_csv([[*names, "key"], *keyed]))
    (folder / "plain.csv").write_text(_csv(rows))
    (folder / "bad.csv").write_text(_csv([names, rows[0], [*rows[1], "more"], [""] * len(names)]))
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in objects))
    (folder / "rows.json").write_text(json.dumps({"instances": objects}))
    np.save(folder / "rows.npy", np.array(rows))
    table = pa.Table.from_pylist(objects)
    with pa.ipc.new_stream(folder / "rows.arrow", table.schema) as stream:
        stream.write_table(table)
    pq.write_table(table, folder / "rows.parquet")


def _csv(rows: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _content(path: Path) -> str:
    """Return the digest of a file and its content as lines of ASCII."""
    if not path.exists():
        return "no file\n"
    content = path.read_bytes()
    lines = content.decode("latin-1").split("\n")
    text = "".join(f"file | {line.encode('unicode_escape').decode()}\n" for line in lines)
    return f"sha256 {hashlib.sha256(content).hexdigest()}\n{text}"
