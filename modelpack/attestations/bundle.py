"""The documents of a bundle, written and updated."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
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
    file_sha256,
    relabelled,
    sha256,
    unlabelled,
    without_claim,
)
from modelpack.errors import UsageError
from modelpack.types import BaseImage, Bundle


def write(directory: Path, contents: BundleContents, dockerfile: str | None = None) -> None:
    """Write both documents into a complete bundle, and their digests into its Dockerfile.

    `dockerfile` is its new text (default: its text without the digests).
    """
    text = _dockerfile(directory) if dockerfile is None else dockerfile
    bom = document(sbom.bom(contents))
    files = {
        **digests(directory, contents.model),
        DOCKERFILE: {"sha256": sha256(_encode(unlabelled(text)))},
        SBOM: {"sha256": sha256(_encode(bom))},
    }
    statement = document(provenance.statement(contents, files))
    for name, content in {
        SBOM: bom,
        PROVENANCE: statement,
        DOCKERFILE: relabelled(text, bom, statement),
    }.items():
        (directory / name).write_bytes(_encode(content))


def refresh_documents(bundle: Bundle) -> tuple[str, ...]:
    """Write the documents of an edited bundle again.

    A bundle is edited if its files or the kind of its base differ from its provenance. The new
    documents list the edited files and claim no parity, which was measured without the edits.

    Returns:
        The names of the edited files; empty if nothing was edited or no provenance exists.

    Raises:
        UsageError: The provenance cannot be read or written.
    """
    directory = bundle.directory
    if not (directory / PROVENANCE).exists():
        return ()
    try:
        statement = json.loads((directory / PROVENANCE).read_bytes())
        names = _edited_names(bundle, statement)
        if names:
            edited = _edited_contents(bundle, statement, names)
            write(directory, edited, without_claim(_dockerfile(directory)))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{directory / PROVENANCE} is not a valid provenance: {error}.",
            hint="Create the bundle again: modelpack bundle MODEL -o DIR",
        ) from error
    return names


def edited_files(bundle: Bundle) -> tuple[str, ...]:
    """Return what was edited, added or removed in a bundle since it was rendered, as names.

    These are the files that an image is built from, also those of edits that an earlier build has
    recorded. A provenance that is missing or damaged is one of them.
    """
    directory = bundle.directory
    try:
        statement = json.loads((directory / PROVENANCE).read_bytes())
        names = {*_edited_names(bundle, statement)} - {"base"}
        before = statement["predicate"]["buildDefinition"]["internalParameters"].get("edited", ())
        names |= {*map(str, before)} - {"base"}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        names = {PROVENANCE}
    return tuple(sorted(names | {*_edited_models(bundle)}))


def _edited_models(bundle: Bundle) -> Iterator[str]:
    for file in (*bundle.model.files, *bundle.model.artifacts):
        path = bundle.directory / file.path
        if not path.is_file() or file_sha256(path) != file.sha256:
            yield file.path


def _edited_names(bundle: Bundle, statement: Mapping[str, Any]) -> tuple[str, ...]:
    directory = bundle.directory
    known = provenance.dependencies(statement["predicate"])
    known.pop("base")
    bom = {SBOM: {"sha256": sha256((directory / SBOM).read_bytes())}}
    current = {**digests(directory, bundle.model), **bom}
    names = {name for name in known | current if known.get(name) != current.get(name)}
    base = statement["predicate"]["buildDefinition"]["externalParameters"]["base"]
    if base.get("slim", False) != bundle.slim_base:
        names.add("base")
    if not _is_labelled(directory):
        names.add(PROVENANCE)
    return tuple(sorted(names))


def _is_labelled(directory: Path) -> bool:
    """Return whether the Dockerfile names the existing provenance, or none (after an edit)."""
    named = re.findall(rf'{re.escape(PROVENANCE_LABEL)}="([0-9a-f]{{64}})"', _dockerfile(directory))
    return all(digest == sha256((directory / PROVENANCE).read_bytes()) for digest in named)


def _edited_contents(
    bundle: Bundle, statement: Mapping[str, Any], names: tuple[str, ...]
) -> BundleContents:
    definition = statement["predicate"]["buildDefinition"]
    base = definition["externalParameters"]["base"]
    digest = provenance.dependencies(statement["predicate"])["base"]
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
            image_id=provenance.base_id(statement["predicate"]),
        ),
        bundle.code,
        edited=tuple(sorted({*map(str, before), *names} - {SBOM, PROVENANCE})),
    )


def _dockerfile(directory: Path) -> str:
    return (directory / DOCKERFILE).read_bytes().decode("utf-8", "surrogateescape")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
