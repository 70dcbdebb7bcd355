"""The SBOM against what is installed."""

from __future__ import annotations

import re
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from modelpack.attestations.provenance import dependencies
from modelpack.attestations.sbom import distributions
from modelpack.attestations.subject import REBUILD_HINT, Subject, Verdict, join_first
from modelpack.errors import VerificationError

_INSTALLED = re.compile(r"opt/venv/.*?/site-packages/([^/]+)-([^/-]+)\.dist-info(?:/.*)?")
_DEBIAN = ("var/lib/dpkg/info/{}.list", "var/lib/dpkg/info/{}:{}.list", "var/lib/dpkg/status.d/{}")


def check_sbom(subject: Subject) -> Verdict:
    """The SBOM lists what is installed, and the model, base and code of the provenance."""
    bom = subject.sbom
    try:
        listed = {str(canonicalize_name(n)): {v} for n, v in distributions(bom).items()}
        _require_same(listed, _installed(subject))
        _require_hashes(bom, dependencies(subject.provenance["predicate"]))
        _require_debian(bom, subject)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise VerificationError(
            f"The SBOM in the image is malformed: {error}.", hint=REBUILD_HINT
        ) from error
    return Verdict("sbom", "holds", f"lists the {len(listed)} installed distributions and versions")


def _installed(subject: Subject) -> dict[str, set[str]]:
    """Return name -> versions: more than one only if an image was changed."""
    versions: dict[str, set[str]] = {}
    for path in subject.files:
        if match := _INSTALLED.fullmatch(path):
            versions.setdefault(canonicalize_name(match[1]), set()).add(match[2])
    return versions


def _require_same(listed: dict[str, set[str]], installed: dict[str, set[str]]) -> None:
    differing = sorted(
        f"{name} ({_versions_text(installed.get(name))} installed,"
        f" {_versions_text(listed.get(name))} listed)"
        for name in {*listed, *installed}
        if not _is_same(listed.get(name, set()), installed.get(name, set()))
    )
    if differing:
        raise VerificationError(
            f"The SBOM does not describe this image: {join_first(differing)}.", hint=REBUILD_HINT
        )


def _is_same(first: set[str], second: set[str]) -> bool:
    try:
        return first == second or set(map(Version, first)) == set(map(Version, second))
    except InvalidVersion:
        return False


def _versions_text(versions: set[str] | None) -> str:
    return " and ".join(sorted(versions)) if versions else "none"


def _require_hashes(bom: dict[str, Any], files: dict[str, dict[str, str]]) -> None:
    """Require the same models, code and base image as in the provenance."""
    hashed = {"machine-learning-model", "file", "container"}
    components = [entry for entry in bom["components"] if entry["type"] in hashed]
    actual = {entry["bom-ref"]: _sha256(entry) for entry in components}
    known = {
        name: digest.get("sha256")
        for name, digest in files.items()
        if name == "base" or name.startswith(("model/", "code/"))
    }
    other = sorted(name for name in {*actual, *known} if actual.get(name) != known.get(name))
    if other or not {*actual} >= {"base"}:
        raise VerificationError(
            f"The SBOM and the provenance disagree about {join_first(other) or 'base'}.",
            hint=REBUILD_HINT,
        )


def _sha256(component: dict[str, Any]) -> str | None:
    hashes = component.get("hashes", [])
    return next((entry["content"] for entry in hashes if entry["alg"] == "SHA-256"), None)


def _require_debian(bom: dict[str, Any], subject: Subject) -> None:
    packages = [c for c in bom["components"] if str(c.get("purl")).startswith("pkg:deb/")]
    for component in packages:
        name, architecture = component["name"], component["purl"].rpartition("=")[2]
        paths = (path.format(name, architecture) for path in _DEBIAN)
        if not any(path in subject.files for path in paths):
            raise VerificationError(
                f"The SBOM lists the Debian package {name}, which is not installed.",
                hint=REBUILD_HINT,
            )
