"""Models of many libraries and years, saved in every way, inspected and served.

    python scripts/make_matrix.py [--only TEXT] [--resume] [--folder FOLDER]
    python scripts/make_matrix.py --table                 # of the results so far

For each library and year of scripts/matrix/releases.py, the script creates an environment of that
date. It trains a small model there, saves it in every way, and predicts five rows. Each file is
inspected. One file for each way to load it is packaged with `--engine process`, and the predictions
of its service must be those of the library to six digits. docs/compatibility.md is updated, with
--only the rows of the entries that ran. --resume keeps the results of a run that was stopped. Exit
status 1 if a prediction differs, a package fails, or a file is refused for another reason than that
it is not supported.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from matrix.releases import Entry, entries
from matrix.results import Result, describe, read_results, replace_rows, summary
from matrix.training import NotTrainedError, train, way
from matrix.verdicts import judge
from result_lines import append
from sections import read_section, replace_section

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "compatibility.md"


def main() -> int:
    arguments = _arguments()
    done = arguments.folder / "results.jsonl"
    if not (arguments.resume or arguments.table):
        done.unlink(missing_ok=True)
    results = read_results(done)
    chosen = list(entries(arguments.only))
    if not arguments.table:
        _run(chosen, results, done)
    shown = [results[entry.name] for entry in chosen if entry.name in results]
    is_right = all(result.is_right for result in shown)
    if arguments.only is None:
        replace_section(DOCUMENT, "matrix", describe(shown))
    elif is_right and (section := read_section(DOCUMENT, "matrix")):
        replace_section(DOCUMENT, "matrix", replace_rows(section, shown))
    print(summary(shown))
    return 0 if is_right else 1


def _run(chosen: list[Entry], results: dict[str, Result], done: Path) -> None:
    for number, entry in enumerate(chosen, 1):
        if entry.name in results:
            continue
        print(f"[{number}/{len(chosen)}] {entry.name}", flush=True)
        began = time.monotonic()
        results[entry.name] = _result(entry)
        append(done, results[entry.name])
        print(f"    {results[entry.name].problem} {time.monotonic() - began:.0f} s", flush=True)


def _result(entry: Entry) -> Result:
    try:
        case = train(entry)
    except NotTrainedError as error:
        return Result.from_problem(entry, str(error))
    outcomes = []
    for outcome in judge(case):
        text = outcome.detail or outcome.reason
        print(f"    {outcome.way:16} {outcome.state} {outcome.answer} {text[:600]}", flush=True)
        outcomes.append(outcome)
    return Result(
        name=entry.name,
        library=entry.library,
        python=entry.release.python,
        version=case.document["version"],
        problem="",
        unsaved=_unsaved(case.document["unsaved"]),
        outcomes=outcomes,
    )


def _unsaved(reasons: Mapping[str, str]) -> dict[str, str]:
    return {way(file): reason for file, reason in reasons.items()}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", metavar="TEXT", help='such as "xgboost" or "xgboost 2020"')
    parser.add_argument("--resume", action="store_true", help="keep earlier results")
    parser.add_argument("--table", action="store_true", help="run nothing; write the table")
    parser.add_argument("--folder", type=Path, default=ROOT / ".cache" / "matrix")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
