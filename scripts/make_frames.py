"""Models as people train them, queried with the rows of their own training frames.

    python scripts/make_frames.py                        # every set; writes the tables
    python scripts/make_frames.py --set current titanic dates
    python scripts/make_frames.py --quick                # in the environments of training

Each model is trained in the environment of its set, packaged with and without a record of its rows,
and queried with 50 rows of its training frame in every format. A model is right if every answer
equals the author's own `model.predict(df)` bit for bit. Exit status 1 if a model is neither right
nor refused before the build for a true reason.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from frames.querying import RIGHT
from frames.sets import SETS, cases
from frames.tables import by_model, summary
from frames.verdicts import BEFORE, Verdict, judge
from sections import replace_section

DOCUMENT = Path(__file__).parents[1] / "docs" / "frames.md"


def main() -> int:
    arguments = _arguments()
    verdicts = []
    for verdict in _verdicts(arguments):
        print(f"{verdict.set.removeprefix('frames-'):8} {verdict.name:26} {verdict.state}")
        for line in verdict.details:
            print(f"    {line[:600]}")
        sys.stdout.flush()
        verdicts.append(verdict)
    counts = Counter(verdict.state for verdict in verdicts)
    print(", ".join(f"{count} {state}" for state, count in counts.most_common()))
    if not (arguments.set or arguments.model):
        replace_section(DOCUMENT, "sets", summary(verdicts))
        replace_section(DOCUMENT, "models", by_model(verdicts))
    return 0 if set(counts) <= {RIGHT, BEFORE} else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", nargs="*", help="names of models")
    names = [release.name.removeprefix("frames-") for release in SETS]
    parser.add_argument("--set", action="append", choices=names, help="libraries of this time")
    parser.add_argument("--quick", action="store_true", help="in the environments of training")
    return parser.parse_args()


def _verdicts(arguments: argparse.Namespace) -> Iterator[Verdict]:
    for release in SETS:
        if not arguments.set or release.name.removeprefix("frames-") in arguments.set:
            for case in cases(release, arguments.model):
                yield judge(case, quick=arguments.quick)


if __name__ == "__main__":
    sys.exit(main())
