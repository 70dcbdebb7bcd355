"""Writes torch_operators.json and torch_methods.json in modelpack/inspection/formats.

    python scripts/make_torch_operators.py native_functions.yaml...

The arguments are torchgen/packaged/ATen/native/native_functions.yaml of several releases of torch,
the newest one last. The first table has the operators of scripts/torch_operators.txt, which are
admitted, with their overloads in the newest one. The second one has the methods of tensors of any
of the releases that are not. All that are admitted compute tensors from
tensors. Left out are those that read files (from_file), that return memory as it was
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
FORMATS = Path(__file__).parents[1] / "modelpack" / "inspection" / "formats"
TABLE, METHODS = FORMATS / "torch_operators.json", FORMATS / "torch_methods.json"

_FUNCTION = re.compile(r"^- func: (\w+)(?:\.(\w+))?\((.*)\) -> ", re.MULTILINE)
_SELF = re.compile(r"\bself\b")
_LEFT_OUT = re.compile(r"\bout\b|\bbatch_sizes\b|Dimname|Generator|Storage|Stream")


def overloads(text: str) -> dict[str, list[str]]:
    """Return operator -> names of its overloads."""
    table: dict[str, set[str]] = defaultdict(set)
    for name, overload, arguments in _FUNCTION.findall(text):
        if name in NAMES and not _LEFT_OUT.search(f"{overload} {arguments}"):
            table[name].add(overload or "default")
    if missing := NAMES - table.keys():
        sys.exit(f"not in the file: {', '.join(sorted(missing))}")
    return {name: sorted(table[name]) for name in sorted(table)}


def methods(text: str) -> list[str]:
    """Return the operators with an argument `self` that are not admitted."""
    found = {name for name, _, arguments in _FUNCTION.findall(text) if _SELF.search(arguments)}
    return sorted(found - NAMES)


def main() -> None:
    texts = [Path(name).read_text(encoding="utf-8") for name in sys.argv[1:]]
    found = sorted({name for text in texts for name in methods(text)})
    METHODS.write_text(json.dumps(found, indent=0) + "\n", encoding="utf-8")
    table = overloads(texts[-1])
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(table[name])}" for name in table)
    TABLE.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
