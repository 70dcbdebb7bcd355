"""Makes allowlist.json and facts/estimators.json of modelpack/inspection from what releases save.

    python scripts/make_allowlist.py          # writes both, and prints what has changed
    python scripts/make_allowlist.py --check  # prints what would change, exits 1 if anything would

The libraries of each release of scripts/allowlist/environments.py fit and save their models in an
environment of their own, kept in .cache/allowlist; modelpack's own machine reads the names out of
the files. Exits 1 if a name is called without a contract, if the inspector would refuse one of the
files for what `REFUSED` does not list, or if unpickling runs code that
scripts/allowlist/reviewed_hooks.json does not know.
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from allowlist import audit, evidence, names
from allowlist.environments import LIBRARIES, RELEASES, Release, saved

from modelpack.inspection import allowlist as shipped
from modelpack.inspection.contracts import CALLS, CLASSES

DATA = Path(__file__).parents[1] / "modelpack" / "inspection"
Evidence = Mapping[Release, evidence.Evidence]
Table = dict[str, Any]

REFUSED = {
    f"{release}: value-distributions.{form}: replaced-method: {name} is used as no saved model "
    "uses it: its state replaces cdf, which is a method or property of its class"
    for release, form, name in (
        ("1.5", "joblib", "scipy.stats._continuous_distns.trapz_gen"),
        ("1.5", "p0", "copy_reg._reconstructor"),
        ("1.5", "p5", "scipy.stats._continuous_distns.trapz_gen"),
        ("1.6", "joblib", "scipy.stats._continuous_distns.trapz_gen"),
        ("1.6", "p0", "copy_reg._reconstructor"),
    )
}
"""Findings in files of releases that stay: scipy 1.14 and 1.15 warn of the distribution `trapz` by
attributes with the names of its methods. Frozen distributions, which models hold, lack these.
"""


def collected() -> dict[Release, evidence.Evidence]:
    found = {}
    for release in (*RELEASES, *LIBRARIES):
        print(f"reading what scikit-learn {release.name} saves", file=sys.stderr)
        found[release] = evidence.read(saved(release), release.folder / "evidence.json")
    return found


def allowlist(by_release: Evidence) -> Table:
    """ "module:name" -> its roles, its contract, the releases that write it."""
    table: Table = {}
    for key in {key for release_evidence in by_release.values() for key in release_evidence.roles}:
        roles = {role for e in by_release.values() for role in e.roles.get(key, ())}
        seen = [release.name for release, e in by_release.items() if key in e.roles]
        table[key] = _entry(key, roles, ranges(seen))
    for key, (roles, _) in names.BEYOND.items():
        known = table.get(key, {"roles": (), "seen": "by hand"})
        table[key] = _entry(key, {*roles, *known["roles"]}, known["seen"])
    return table


def _entry(key: str, roles: set[str], seen: str) -> dict[str, Any]:
    contract = names.contract(key)
    used = contract in CLASSES or (contract in CALLS and "call" in roles)
    return {"roles": sorted(roles), **({"contract": contract} if used else {}), "seen": seen}


def ranges(seen: list[str]) -> str:
    """The releases in order, as "0.20-0.22, 1.9"; libraries only where no release shows it."""
    order = [release.name for release in RELEASES]
    indices = [order.index(name) for name in seen if name in order]
    starts = [index for index in indices if index - 1 not in indices]
    ends = [index for index in indices if index + 1 not in indices]
    pairs = zip(starts, ends, strict=True)
    spans = [order[a] if a == b else f"{order[a]}-{order[b]}" for a, b in pairs]
    return ", ".join(spans or seen)


def estimators(by_release: Evidence) -> Table:
    """Class name -> its task and methods, by the newest release that has it."""
    table: Table = {}
    for release in by_release:
        if release in RELEASES:
            table |= json.loads((release.files / "estimators.json").read_text())
    return table


def text(table: Table) -> str:
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(table[key])}" for key in sorted(table))
    return f"{{\n{lines}\n}}\n"


def changes(name: str, new: str) -> list[str]:
    path = DATA / name
    old = path.read_text("utf-8") if path.exists() else ""
    before, after = old.splitlines(), new.splitlines()
    return list(difflib.unified_diff(before, after, name, "new", n=0, lineterm=""))


def not_fitted(by_release: Evidence) -> Iterator[str]:
    for release in by_release:
        failed = json.loads((release.files / "failed.json").read_text())
        yield from (f"{release.name}: {name}: {why}" for name, why in failed.items())


def problems(by_release: Evidence, table: Table) -> Iterator[str]:
    for key, entry in table.items():
        if "call" in entry["roles"] and entry.get("contract") not in CALLS:
            yield f"{key} is called, and has no contract"
    for release, release_evidence in by_release.items():
        yield from (
            f"{release.name}: {file}: {why}" for file, why in release_evidence.unread.items()
        )
    refused = set(_refused(by_release))
    yield from sorted(refused - REFUSED)
    yield from (f"no longer refused: {finding}" for finding in sorted(REFUSED - refused))
    yield from audit.problems(by_release, table)


def _refused(by_release: Evidence) -> Iterator[str]:
    """Return the findings on the files that show each way to build an object."""
    reviewed_ways: set[str] = set()
    for release, release_evidence in by_release.items():
        files = {
            file for way, file in release_evidence.witnesses.items() if way not in reviewed_ways
        }
        reviewed_ways |= set(release_evidence.witnesses)
        for file in sorted(files):
            for finding in evidence.findings(release.files / file):
                yield f"{release.name}: {file}: {finding.code}: {finding.message}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    found = collected()
    table = allowlist(found)
    files = {"allowlist.json": text(table), "facts/estimators.json": text(estimators(found))}
    changed = [line for name, new in files.items() for line in changes(name, new)]
    print(*changed, sep="\n")
    if not options.check:
        for name, new in files.items():
            (DATA / name).write_text(new, "utf-8")
    for cached in (shipped._table, shipped.standing):
        cached.cache_clear()
    print(*not_fitted(found), sep="\n", file=sys.stderr)
    wrong = list(problems(found, table))
    print(*wrong, sep="\n", file=sys.stderr)
    return int(bool(wrong) or (options.check and bool(changed)))


if __name__ == "__main__":
    sys.exit(main())
