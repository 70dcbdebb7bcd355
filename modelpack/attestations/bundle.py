"""The documents of a bundle, written and updated."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelpack.attestations import provenance, sbom
from modelpack.attestations.documents import (
    DOCKERFILE,
    PROVENANCE,
    PROVENANCE_LABEL,
    SBOM,
    BundleContents,
    digests,
    document,
    relabelled,
    sha256,
    unlabelled,
    without_parity,
)
from modelpack.errors import UsageError
from modelpack.types import BaseImage, Bundle


def write(folder: Path, made: BundleContents, dockerfile: str | None = None) -> None:
    """Writes both documents into a folder that has all else, and their digests into its
    Dockerfile. `dockerfile`: its text, where that is to be another one.
    """
    text = _dockerfile(folder) if dockerfile is None else dockerfile
    bill = document(sbom.bom(made))
    files = {
        **digests(folder, made.model),
        DOCKERFILE: {"sha256": sha256(_encoded(unlabelled(text)))},
        SBOM: {"sha256": sha256(_encoded(bill))},
    }
    told = document(provenance.statement(made, files))
    for name, written in {
        SBOM: bill,
        PROVENANCE: told,
        DOCKERFILE: relabelled(text, bill, told),
    }.items():
        (folder / name).write_bytes(_encoded(written))


def refresh_documents(bundle: Bundle) -> tuple[str, ...]:
    """Writes the documents of a bundle anew where its files are not as its provenance tells, as
    somebody edited them, or its base is to be slim, and was not: they then tell of what is there,
    name what was changed, and claim no parity, which was found of others. Returns the names; empty
    where nothing was to be done, or the bundle has no provenance.

    Raises:
        UsageError: the provenance cannot be read, or not be written anew.
    """
    folder = bundle.directory
    if not (folder / PROVENANCE).exists():
        return ()
    try:
        told = json.loads((folder / PROVENANCE).read_bytes())
        names = _edited(bundle, told)
        if names:
            write(folder, _as_edited(bundle, told, names), without_parity(_dockerfile(folder)))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{folder / PROVENANCE} does not tell how the bundle was made: {error}.",
            hint="Make the bundle anew: modelpack bundle MODEL -o DIR",
        ) from error
    return names


def _edited(bundle: Bundle, told: Mapping[str, Any]) -> tuple[str, ...]:
    folder = bundle.directory
    known = provenance.dependencies(told["predicate"])
    known.pop("base")
    bill = {SBOM: {"sha256": sha256((folder / SBOM).read_bytes())}}
    found = {**digests(folder, bundle.model), **bill}
    names = {name for name in known | found if known.get(name) != found.get(name)}
    base = told["predicate"]["buildDefinition"]["externalParameters"]["base"]
    if base.get("slim", False) != bundle.slim_base:
        names.add("base")
    if not _is_labelled(folder):
        names.add(PROVENANCE)
    return tuple(sorted(names))


def _is_labelled(folder: Path) -> bool:
    """Whether the Dockerfile names the provenance that is there, or (edited) none at all."""
    named = re.findall(rf'{re.escape(PROVENANCE_LABEL)}="([0-9a-f]{{64}})"', _dockerfile(folder))
    return all(digest == sha256((folder / PROVENANCE).read_bytes()) for digest in named)


def _as_edited(bundle: Bundle, told: Mapping[str, Any], names: tuple[str, ...]) -> BundleContents:
    definition = told["predicate"]["buildDefinition"]
    base = definition["externalParameters"]["base"]
    digest = provenance.dependencies(told["predicate"])["base"]
    before = definition["internalParameters"].get("edited", ())
    return BundleContents(
        bundle.model,
        bundle.environment,
        BaseImage(
            str(base["reference"]),
            bundle.environment.python,
            base["origin"],
            next((f"{name}:{value}" for name, value in digest.items()), None),
            slim=bundle.slim_base,
            image_id=provenance.base_id(told["predicate"]),
        ),
        bundle.code,
        edited=tuple(sorted({*map(str, before), *names} - {SBOM, PROVENANCE})),
    )


def _dockerfile(folder: Path) -> str:
    return (folder / DOCKERFILE).read_bytes().decode("utf-8", "surrogateescape")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
