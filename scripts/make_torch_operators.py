"""Writes modelpack/inspection/formats/torch_operators.json: operators of PyTorch that are admitted.

    python scripts/make_torch_operators.py native_functions.yaml

The argument is torchgen/packaged/ATen/native/native_functions.yaml of an installed torch. Only the
operators in scripts/torch_operators.txt are written, with their overloads. All of them compute
tensors from tensors. Left out are those that read files (from_file), that return memory as it was
(empty, resize_), that draw random numbers (dropout does so only in training), that need a value
before they know a shape (item, nonzero), and overloads that write to an argument `out`.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from pathlib import Path

NAMES = {*(Path(__file__).parent / "torch_operators.txt").read_text(encoding="utf-8").split()}
TABLE = Path(__file__).parents[1] / "modelpack" / "inspection" / "formats" / "torch_operators.json"

_FUNCTION = re.compile(r"^- func: (\w+)(?:\.(\w+))?\((.*)\) -> ", re.MULTILINE)
_LEFT_OUT = re.compile(r"\bout\b|Dimname|Generator|Storage|Stream")


def overloads(text: str) -> dict[str, list[str]]:
    """Return operator -> names of its overloads."""
    table: dict[str, set[str]] = defaultdict(set)
    for name, overload, arguments in _FUNCTION.findall(text):
        if name in NAMES and not _LEFT_OUT.search(f"{overload} {arguments}"):
            table[name].add(overload or "default")
    if missing := NAMES - table.keys():
        sys.exit(f"not in the file: {', '.join(sorted(missing))}")
    return {name: sorted(table[name]) for name in sorted(table)}


def main() -> None:
    table = overloads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(table[name])}" for name in table)
    TABLE.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
