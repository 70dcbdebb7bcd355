"""Compare compiled plans with their estimators on generated settings, over releases.

    python scripts/make_settings.py               # four releases; writes the table of the document
    python scripts/make_settings.py 1.3 --count 5 # some releases, few settings of each class
    python scripts/make_settings.py --parameters  # record what parameters all releases have

For each planned class, settings are generated from the constraints that scikit-learn declares. Each
value of each parameter is used at least once, in models that end with the class or continue after
it. Their plans must return the estimator's bits on thousands of rows, or leave these to the
estimator. The exit status is 1 if a plan does not.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from allowlist.environments import RELEASES
from sections import replace_section
from settings.releases import generated, recorded

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "service-speed.md"
PARAMETERS = ROOT / "tests" / "data" / "plans" / "parameters.json"
CONSTRAINTS = ROOT / "scripts" / "settings" / "constraints.json"
FOUR = ("1.0", "1.3", "1.7", "1.9")


def main() -> int:
    arguments = _arguments()
    if arguments.parameters:
        _record()
        return 0
    names = arguments.release or list(FOUR)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        found = list(pool.map(lambda name: _figures(name, arguments.seed, arguments.count), names))
    print(table(found))
    if names == list(FOUR) and not arguments.count:
        replace_section(DOCUMENT, "settings", table(found))
    return 1 if any(figures["differences"] for figures in found) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("release", nargs="*", help="of scikit-learn")
    parser.add_argument("--parameters", action="store_true", help="record the parameters")
    parser.add_argument("--count", type=int, default=0, help="settings of each class at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="releases at a time")
    return parser.parse_args()


def _figures(name: str, seed: int, count: int) -> dict[str, Any]:
    release = next(release for release in RELEASES if release.name == name)
    figures = generated(release, seed, count)
    print(f"{name} is done", file=sys.stderr, flush=True)
    for kind, settings, context, difference in figures["differences"]:
        print(f"{name} {kind} {settings} {context}: {difference}", flush=True)
    return {**figures, "python": release.python}


def table(results: Iterable[dict[str, Any]]) -> str:
    """Return one line for each release."""
    lines = [
        "| scikit-learn | Python | models | with a plan | rows with equal bits | rows left to the "
        "estimator | of these refused | differences | CPU minutes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for each in results:
        cells = [each["sklearn"], each["python"]]
        cells += [f"{each[key]:,}" for key in ("models", "planned", "same", "doubted", "refused")]
        cells += [str(len(each["differences"])), f"{each['seconds'] / 60:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _record() -> None:
    """Write, for each class and parameter, the releases that have it and those that read it when
    they predict; and the values that the constraints of the newest release allow.
    """
    records = {release.name: recorded(release) for release in RELEASES}
    names = [release.name for release in RELEASES]
    found: dict[str, dict[str, dict[str, set[str]]]] = {}
    for key in ("parameters", "read"):
        for release, record in records.items():
            for kind, parameters in record[key].items():
                for parameter in parameters:
                    each = found.setdefault(kind, {}).setdefault(parameter, {})
                    each.setdefault(key, set()).add(release)
    lines = []
    for kind, parameters in sorted(found.items()):
        spans = {
            parameter: {key: _spans(where, names) for key, where in each.items()}
            for parameter, each in sorted(parameters.items())
        }
        lines.append(f"{json.dumps(kind)}: {json.dumps(spans)}")
    PARAMETERS.parent.mkdir(parents=True, exist_ok=True)
    PARAMETERS.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    values = records[RELEASES[-1].name]["constraints"]
    lines = (f"{json.dumps(kind)}: {json.dumps(each)}" for kind, each in sorted(values.items()))
    CONSTRAINTS.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _spans(where: set[str], names: Sequence[str]) -> str:
    """Return releases in order, such as "0.20-0.24 1.9"."""
    spans: list[list[str]] = []
    previous = ""
    for name in names:
        if name in where:
            if previous in where and spans:
                spans[-1].append(name)
            else:
                spans.append([name])
        previous = name
    return " ".join(f"{span[0]}-{span[-1]}" if len(span) > 1 else span[0] for span in spans)


if __name__ == "__main__":
    sys.exit(main())
