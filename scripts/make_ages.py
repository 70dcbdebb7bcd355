"""Models of every age: saved by nine releases of scikit-learn, packaged, queried.

    python scripts/make_ages.py --all             # the whole matrix; its table goes to the document
    python scripts/make_ages.py 0.22 1.3 --kind mixed
    python scripts/make_ages.py --names           # which release has which names, for the rules
    python scripts/make_ages.py --truth           # which release loads what, for their tests

For each release, the script creates an environment of its time, with pins that modelpack did not
choose. It trains six kinds of models there, saves them by pickle and by joblib, and queries them
with five rows. Then `modelpack package` builds an image from each file, and its container is
queried with the same rows. An answer is "as at saving" only if every prediction and probability is
the same to the last bit. The exit status is 1 if an answer differs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from ages.matrix import FILES, Result, package_and_query, table
from ages.names import table as names_table
from ages.saving import NINE
from ages.truth import truth
from allowlist.environments import RELEASES
from sections import replace_section

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "compatibility.md"
NAMES = ROOT / "modelpack" / "environment" / "names.json"
TRUTH = ROOT / "tests" / "data" / "ages" / "truth.json"
ALLOWLIST = ROOT / "modelpack" / "inspection" / "allowlist.json"


def main() -> int:
    arguments = _arguments()
    if arguments.names or arguments.truth:
        (_write_names if arguments.names else _write_truth)()
        return 0
    releases = NINE if arguments.all else arguments.release
    results = list(_results(releases, arguments.kind))
    if arguments.all and arguments.kind is None:
        replace_section(DOCUMENT, "ages", table(results))
    failed = [result for result in results if not result.is_same]
    print(f"{len(results) - len(failed)} of {len(results)} answer as at saving")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("release", nargs="*", help="of scikit-learn")
    parser.add_argument("--kind", choices=sorted({name.partition(".")[0] for name in FILES}))
    parser.add_argument("--all", action="store_true", help="every release; writes the table")
    parser.add_argument("--names", action="store_true", help="write what has which names")
    parser.add_argument("--truth", action="store_true", help="write what loads where")
    return parser.parse_args()


def _results(releases: Iterable[str], kind: str | None) -> Iterable[Result]:
    for name in releases:
        release = next(release for release in RELEASES if release.name == name)
        for file in FILES:
            if kind in {None, file.partition(".")[0]}:
                result = package_and_query(release, file)
                print(f"{result.release:5} {result.file:16} {result.verdict}", flush=True)
                yield result


def _write_names() -> None:
    keys = [*json.loads(ALLOWLIST.read_text()), "sklearn.externals.joblib.numpy_pickle:"]
    NAMES.write_text(json.dumps(names_table(keys), indent=1) + "\n")


def _write_truth() -> None:
    TRUTH.parent.mkdir(parents=True, exist_ok=True)
    TRUTH.write_text(json.dumps(truth(), separators=(",", ":")).replace('},"', '},\n"') + "\n")


if __name__ == "__main__":
    sys.exit(main())
