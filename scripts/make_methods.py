"""Make methods.json of modelpack/inspection: which names no state of a known class may hold.

    python scripts/make_methods.py          # writes it, and prints what changed
    python scripts/make_methods.py --check  # exits 1 if anything would change

The names are those of methods, properties and other descriptors, of the class and its bases, in the
newest release of each minor version of each library. The sources are read as text. A name is left
out for a class if a release sets it on objects as a plain attribute. Exits 1 if a class cannot be
found, or if a method is set on objects without a reason in scripts/methods/classes.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from methods.classes import Libraries, Union
from methods.modules import Sources
from methods.releases import folders

INSPECTION = Path(__file__).parents[1] / "modelpack" / "inspection"
DATA = INSPECTION / "methods.json"

NO_STATE = {
    "builtins:object": "it has no attributes",
    "sklearn._loss.glm_distribution:DistributionBoundary": "a tuple, which takes no state",
    "sklearn.impute._iterative:_ImputerTriplet": "a tuple, which takes no state",
    "sklearn.impute:_ImputerTriplet": "a tuple, which takes no state",
}
STORED = {
    **{
        f"sklearn.ensemble.bagging:{name}": {"estimators_samples_"}
        for name in ("BaggingClassifier", "BaggingRegressor")
    },
    "sklearn.pipeline:Pipeline": {"named_steps"},
    "sklearn.preprocessing.data:PolynomialFeatures": {"powers_"},
}
"""Names that are properties in 0.18, the first release that is read here, and were attributes."""

COMPILED = {
    "numpy.core.multiarray:ndarray": "an array takes its state as a tuple",
    "numpy.ma.core:ndarray": "an array takes its state as a tuple",
    "pandas._libs.internals:BlockManager": "its state is not a dict",
    "pandas._libs.tslibs.dtypes:PeriodDtypeBase": "a dtype takes no state",
    "pandas._libs.tslibs.offsets:BaseOffset": "of two classes of pandas before 1.1",
    "pandas.core.arrays.period:libperiod.PeriodMixin": "read under its other name",
    "pandas.core.dtypes.dtypes:dtypes.PeriodDtypeBase": "a dtype takes no state",
    "pandas.core.internals.managers:libinternals.BlockManager": "its state is not a dict",
    "pandas.tseries.offsets:liboffsets._Tick": "of two classes of pandas before 1.1",
}
"""Compiled bases, whose methods are not known here, and why that is no matter."""


def unions() -> tuple[dict[str, Union], list[str]]:
    """Return what is known of each class that models hold objects of, and what is wrong."""
    libraries = Libraries([Sources(folder) for folder in folders()])
    found, problems = {}, []
    for key, entry in json.loads((INSPECTION / "allowlist.json").read_text()).items():
        union = libraries.union(*key.split(":")) if {"new", "call"} & {*entry["roles"]} else None
        if union is not None:
            found[key] = union
            union.rare |= STORED.get(key, set())
        elif "new" in entry["roles"] and key not in NO_STATE:
            problems.append(f"{key} was not found in any release")
    return found, [*problems, *_problems(found)]


def _problems(by_class: Mapping[str, Union]) -> Iterator[str]:
    unread = {":".join(base) for union in by_class.values() for base in union.unread}
    yield from (f"the base {base} has no source" for base in sorted(unread - COMPILED.keys()))
    disputed = {(name, key) for key, union in by_class.items() for name in union.disputed()}
    yield from (f"{name} is a method of {key}, and set on it" for name, key in sorted(disputed))


def text(by_class: Mapping[str, Union]) -> str:
    """Return the data: names by the class that defines them, equal ones once, and for each known
    class the numbers of those that it inherits and the names that it nevertheless may hold.
    """
    groups: dict[str, int] = {}
    classes = {}
    for key, union in sorted(by_class.items()):
        refused = union.refused()
        numbers: set[int] = set()
        admitted: set[str] = set()
        for names in union.owners.values():
            kept = {name for name in names if union.kinds[name] != {"data"}}
            if kept:
                numbers.add(groups.setdefault(" ".join(sorted(kept)), len(groups)))
                admitted |= kept - refused
        classes[key] = [sorted(numbers), " ".join(sorted(admitted))]
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(each)}" for key, each in classes.items())
    names = ",\n".join(f" {json.dumps(group)}" for group in groups)
    return f'{{"groups": [\n{names}\n],\n"classes": {{\n{lines}\n}}}}\n'


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    found, problems = unions()
    new = text(found)
    changed = not DATA.exists() or DATA.read_text("utf-8") != new
    if changed and not options.check:
        DATA.write_text(new, "utf-8")
    names = sum(len(union.refused()) for union in found.values())
    print(f"{len(found)} classes, {names:,} names, {'changed' if changed else 'unchanged'}")
    print(*problems, sep="\n", file=sys.stderr)
    return int(bool(problems) or (options.check and changed))


if __name__ == "__main__":
    sys.exit(main())
