"""Compare two recordings of record.py: a unified diff per part. Exit status 1 on differences.

python scripts/refactor/compare.py BEFORE AFTER [PART...]
"""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

_MOST_LINES = 400


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("parts", nargs="*", help="default: all parts of BEFORE")
    arguments = parser.parse_args()
    before, after = arguments.before, arguments.after
    parts = arguments.parts or sorted(path.name for path in before.iterdir() if path.is_dir())
    if not parts:
        parser.error(f"{before} holds no recording")
    differing = 0
    for part in parts:
        lines = _differences(before / part, after / part)
        differing += bool(lines)
        print(f"{part}: {'different' if lines else 'equal'}")
        print("".join(f"{line}\n" for line in lines[:_MOST_LINES]), end="")
        if len(lines) > _MOST_LINES:
            print(f"... {len(lines) - _MOST_LINES} more lines")
    return 1 if differing else 0


def _differences(before: Path, after: Path) -> list[str]:
    names = sorted(_files(before) | _files(after))
    if not names:
        return [f"neither recording has files of {before.name}"]
    return [
        line
        for name in names
        for line in difflib.unified_diff(
            _lines(before / name), _lines(after / name), f"a/{name}", f"b/{name}", lineterm="", n=2
        )
    ]


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def _lines(path: Path) -> list[str]:
    """Lines that tell a missing file from an empty one, and a last newline from none."""
    if not path.exists():
        return ["(no such file)"]
    return path.read_bytes().decode("utf-8", "backslashreplace").split("\n")


if __name__ == "__main__":
    sys.exit(main())
