"""The SBOM against what is installed."""

from __future__ import annotations

import re
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from modelpack.attestations.provenance import dependencies
from modelpack.attestations.sbom import distributions
from modelpack.attestations.subject import ANEW, Subject, Verdict, join_first
from modelpack.errors import VerificationError

_INSTALLED = re.compile(r"opt/venv/.*?/site-packages/([^/]+)-([^/-]+)\.dist-info(?:/.*)?")
_DEBIAN = ("var/lib/dpkg/info/{}.list", "var/lib/dpkg/info/{}:{}.list", "var/lib/dpkg/status.d/{}")


def check_sbom(subject: Subject) -> Verdict:
    """The SBOM names the distributions installed in the image, and the model, base and code of the
    provenance.
    """
    bill = subject.sbom
    try:
        named = {_canonical(name): {v} for name, v in distributions(bill).items()}
        _require_same(named, _installed(subject))
        _require_hashes(bill, dependencies(subject.provenance["predicate"]))
        _require_debian(bill, subject)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise VerificationError(
            f"The bill of materials has not the form that it must have: {error}.", hint=ANEW
        ) from error
    told = f"{len(named)} distributions installed, each named with its version, and no other"
    return Verdict("sbom", "holds", told)


def _canonical(name: str) -> str:
    return canonicalize_name(name)


def _installed(subject: Subject) -> dict[str, set[str]]:
    """Name -> versions: of one distribution there is one, unless somebody added another."""
    versions: dict[str, set[str]] = {}
    for path in subject.files:
        if found := _INSTALLED.fullmatch(path):
            versions.setdefault(_canonical(found[1]), set()).add(found[2])
    return versions


def _require_same(named: dict[str, set[str]], installed: dict[str, set[str]]) -> None:
    apart = sorted(
        f"{name} ({_in_words(installed.get(name))} installed, {_in_words(named.get(name))} named)"
        for name in {*named, *installed}
        if not _same(named.get(name, set()), installed.get(name, set()))
    )
    if apart:
        raise VerificationError(
            f"The bill of materials is not that of this image: {join_first(apart)}.", hint=ANEW
        )


def _same(first: set[str], second: set[str]) -> bool:
    try:
        return first == second or set(map(Version, first)) == set(map(Version, second))
    except InvalidVersion:
        return False


def _in_words(versions: set[str] | None) -> str:
    return " and ".join(sorted(versions)) if versions else "none"


def _require_hashes(bill: dict[str, Any], told: dict[str, dict[str, str]]) -> None:
    """Of what both documents name: models, code and the base."""
    hashed = {"machine-learning-model", "file", "container"}
    components = [entry for entry in bill["components"] if entry["type"] in hashed]
    found = {entry["bom-ref"]: _sha256(entry) for entry in components}
    known = {
        name: digest.get("sha256")
        for name, digest in told.items()
        if name == "base" or name.startswith(("model/", "code/"))
    }
    other = sorted(name for name in {*found, *known} if found.get(name) != known.get(name))
    if other or not {*found} >= {"base"}:
        raise VerificationError(
            "The bill of materials and the provenance do not agree on "
            f"{join_first(other) or 'base'}.",
            hint=ANEW,
        )


def _sha256(component: dict[str, Any]) -> str | None:
    hashes = component.get("hashes", [])
    return next((entry["content"] for entry in hashes if entry["alg"] == "SHA-256"), None)


def _require_debian(bill: dict[str, Any], subject: Subject) -> None:
    listed_ = [c for c in bill["components"] if str(c.get("purl")).startswith("pkg:deb/")]
    for component in listed_:
        name, architecture = component["name"], component["purl"].rpartition("=")[2]
        places = (place.format(name, architecture) for place in _DEBIAN)
        if not any(place in subject.files for place in places):
            raise VerificationError(
                f"The bill of materials names the Debian package {name}, which is not installed.",
                hint=ANEW,
            )
