"""Package real models that others published, query their containers, and write the outcomes.

    python scripts/make_compatibility.py [MODELS] [--only NAME]

MODELS is the folder with the models and their manifests, which a checkout does not contain
(default: ../shared/models). For each row of scripts/compatibility/rows.py the model is packaged
with the options it needs, its container is queried, and the response is compared with what its
authors document. A row that fails is reported, and the next one follows. Without --only, the table
of docs/compatibility.md is updated. Exit status 1 if a row fails that must not.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from compatibility.rows import ROWS
from compatibility.verdicts import Verdict, judge, table
from sections import replace_section

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "compatibility.md"


def main() -> int:
    arguments = _arguments()
    rows = [row for row in ROWS if arguments.only is None or arguments.only in row.folder]
    results: list[Verdict] = []
    for number, row in enumerate(rows, 1):
        name = f"{row.folder}/{' + '.join(row.files)}"
        print(f"[{number}/{len(rows)}] {name}", end=" ", flush=True)
        began = time.monotonic()
        results.append(judge(row, arguments.models))
        print(f"{time.monotonic() - began:.0f} s\n    {results[-1].verdict}", flush=True)
        for line in results[-1].stderr.splitlines()[-4:]:
            print(f"    {line}")
    if arguments.only is None:
        replace_section(DOCUMENT, "models", table(results))
    failed = [result for result in results if not result.passed]
    must = [result for result in failed if result.row.must]
    print(f"{len(results) - len(failed)} of {len(results)} rows as they should be; "
          f"{len(must)} of those that must are not")  # fmt: skip
    return 1 if must else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    default = ROOT.parent / "shared" / "models"
    parser.add_argument("models", nargs="?", type=Path, default=default, metavar="MODELS")
    parser.add_argument("--only", metavar="NAME", help="rows whose folder's name holds NAME")
    arguments = parser.parse_args()
    if not arguments.models.is_dir():
        parser.error(f"{arguments.models} is no folder with models")
    arguments.models = arguments.models.resolve()
    return arguments


if __name__ == "__main__":
    sys.exit(main())
