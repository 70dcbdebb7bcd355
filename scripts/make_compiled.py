"""Compile models that old releases of scikit-learn saved, and compare them with their answers.

    python scripts/make_compiled.py          # four releases; writes the table of the document
    python scripts/make_compiled.py 1.2 1.9  # some releases
    python scripts/make_compiled.py --corpus # also write a few models for the tests

Each release fits estimators of every family in several settings, saves them as pickle 2, 4 and 5
and with joblib, and answers thousands of rows. The compiled form of all files must be the same. It
must give the same labels, and floats within the bound of the proof; otherwise the exit status is 1.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from allowlist.environments import RELEASES, make_environment
from compiled.corpus import write_corpus
from compiled.processes import Result, compare, save
from sections import replace_section
from sklearn.utils import all_estimators

from modelpack.compilation.proof import BOUND
from modelpack.serving.runtimes.plans import COMPILERS

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "compiled.md"
CACHE = ROOT / ".cache" / "compiled"
CORPUS = ROOT / "tests" / "data" / "compiled"
FOUR = ("0.20", "0.24", "1.2", "1.9")
METHODS = ("predict", "transform")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("release", nargs="*", help="of scikit-learn")
    parser.add_argument("--corpus", action="store_true", help="write the models for the tests")
    arguments = parser.parse_args()
    names = arguments.release or list(FOUR)
    with ThreadPoolExecutor(2) as pool:
        folders = dict(zip(names, pool.map(_saved, names), strict=True))
        found = dict(zip(names, pool.map(compare, folders.values()), strict=True))
    for name, results in found.items():
        for each in filter(_is_finding, results):
            reason = each.refused or each.wrong or f"{each.ulp:,.0f} ulp"
            print(f"{name} {each.kind}: {reason} ({each.settings})", flush=True)
    print(table(found))
    if arguments.corpus:
        for name, folder in folders.items():
            write_corpus(folder, CORPUS / f"{name}.zip")
    if names == list(FOUR):
        replace_section(DOCUMENT, "releases", table(found))
        replace_section(DOCUMENT, "without", without())
    return 1 if any(_is_finding(each) for results in found.values() for each in results) else 0


def without() -> str:
    """Return the classes of the installed release that predict or transform, without a form."""
    found = dict(all_estimators())
    names = [
        name
        for name, kind in sorted(found.items())
        if name not in COMPILERS and any(hasattr(kind, method) for method in METHODS)
    ]
    return f"{', '.join(names)}."


def _is_finding(result: Result) -> bool:
    return bool(result.refused or result.wrong or result.ulp > BOUND)


def _saved(name: str) -> Path:
    """Return the folder of the models of a release, which are fitted anew."""
    release = next(each for each in RELEASES if each.name == name)
    release.folder.mkdir(parents=True, exist_ok=True)
    make_environment(release)
    folder = CACHE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save(release.interpreter, folder)
    print(f"{name} is saved", file=sys.stderr, flush=True)
    return folder


def table(compared: Mapping[str, Sequence[Result]]) -> str:
    """Return one line for each class: its largest difference in each release, or why not."""
    kinds = sorted({each.kind for results in compared.values() for each in results})
    lines = [
        f"| class | {' | '.join(compared)} |",
        f"|---|{'---|' * len(compared)}",
        *(f"| {kind} | {' | '.join(_cells(kind, compared.values()))} |" for kind in kinds),
    ]
    counts = [
        f"{len(results):,} ({sum(each.answers for each in results):,})"
        for results in compared.values()
    ]
    return "\n".join([*lines, f"| models (answers) | {' | '.join(counts)} |"])


def _cells(kind: str, releases: Iterable[Sequence[Result]]) -> list[str]:
    return [_cell([each for each in results if each.kind == kind]) for results in releases]


def _cell(results: Sequence[Result]) -> str:
    if not results:
        return ""
    if all(each.refused for each in results):
        return "no form"
    if any(each.wrong or each.refused for each in results):
        return "differs"
    return f"{max(each.ulp for each in results):.0f}"


if __name__ == "__main__":
    sys.exit(main())
