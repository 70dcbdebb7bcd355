"""File names, labels, digests and package URLs of the documents."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from packaging.utils import canonicalize_name

from modelpack.oci.reference import ImageReference
from modelpack.parity.claims import NO_CLAIM, Claim
from modelpack.types import BaseImage, Code, Environment, ModelSpec

SBOM = "sbom.cdx.json"
PROVENANCE = "provenance.json"
SBOM_LABEL = "dev.modelpack.sbom.sha256"
PROVENANCE_LABEL = "dev.modelpack.provenance.sha256"
SBOM_TYPE = "application/vnd.cyclonedx+json"
STATEMENT_TYPE = "application/vnd.in-toto+json"
DOCKERFILE = "Dockerfile"
_LABELS = re.compile(
    rf'^LABEL {SBOM_LABEL}="[0-9a-f]{{64}}" {PROVENANCE_LABEL}="[0-9a-f]{{64}}"\n', re.MULTILINE
)
_CLAIM = re.compile(
    r"^(ENV MODELPACK_(PARITY|PROOF)=|LABEL dev\.modelpack\.(parity=|compiled\.rows=)).*\n",
    re.MULTILINE,
)
_FILES = (".dockerignore", DOCKERFILE, "app.py", "gunicorn.conf.py", "modelpack.json")
_LOCKS = ("requirements.lock", "build-requirements.lock")
_DIRECTORIES = ("code", "model")
_TREES = ("modelpack/serving", "modelpack/assembly")


@dataclass(frozen=True)
class BundleContents:
    """The values that a bundle is rendered from.

    Attributes:
        model: Its files have the paths of the bundle.
        edited: Names of files that were changed after they were rendered.
    """

    model: ModelSpec
    environment: Environment
    base: BaseImage
    code: Code = field(default_factory=Code)
    claim: Claim = NO_CLAIM
    edited: tuple[str, ...] = ()


def document(value: Mapping[str, Any]) -> str:
    """Return a document as the text of a file: ASCII, whatever names contain."""
    return json.dumps(value, indent=1, ensure_ascii=True) + "\n"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the digest of a file that may be large."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def labels(sbom: str, provenance: str) -> str:
    """Return the line of the Dockerfile with the digests of both documents."""
    return f'LABEL {SBOM_LABEL}="{sha256(sbom.encode())}" ' + (
        f'{PROVENANCE_LABEL}="{sha256(provenance.encode())}"\n'
    )


def unlabelled(dockerfile: str) -> str:
    """Return the Dockerfile without that line.

    The provenance contains the digest of the Dockerfile, which therefore cannot contain its own.
    """
    return _LABELS.sub("", dockerfile)


def relabelled(dockerfile: str, sbom: str, provenance: str) -> str:
    return _LABELS.sub(lambda _: labels(sbom, provenance), dockerfile)


def without_claim(dockerfile: str) -> str:
    """Return the Dockerfile without the lines that claim parity or a proof."""
    return _CLAIM.sub("", dockerfile)


def digests(directory: Path, model: ModelSpec) -> dict[str, dict[str, str]]:
    """Return name -> digest set of all files that the image is built from, but the two documents.

    The files of the model are not read, as their digests are known.
    """
    files = (*model.files, *model.artifacts)
    known = {file.path: {"sha256": file.sha256} for file in files}
    paths = [directory / name for name in (*_FILES, *_LOCKS)]
    paths += [path for name in _DIRECTORIES for path in (directory / name).rglob("*")]
    names = {path.relative_to(directory).as_posix() for path in paths if _is_source(path)}
    single = {name: {"sha256": sha256(_content(directory, name))} for name in names - known.keys()}
    trees = {
        f"{tree}/": {"dirHash": tree_digest(_tree_files(directory / tree))}
        for tree in _TREES
        if (directory / tree).is_dir()
    }
    return {**known, **single, **trees}


def tree_digest(files: Mapping[str, str]) -> str:
    """Return the `dirHash` of in-toto's digest sets for path -> sha256.

    Source: github.com/in-toto/attestation, spec/v1/digest_set.md; Go's sumdb/dirhash, Hash1.
    """
    by_bytes = sorted(files.items(), key=lambda item: item[0].encode("utf-8", "surrogateescape"))
    lines = "".join(f"{digest}  {path}\n" for path, digest in by_bytes)
    return sha256(lines.encode("utf-8", "surrogateescape"))


def _tree_files(directory: Path) -> dict[str, str]:
    return {
        path.relative_to(directory).as_posix(): sha256(path.read_bytes())
        for path in directory.rglob("*")
        if _is_source(path)
    }


def _is_source(path: Path) -> bool:
    return path.is_file() and path.parent.name != "__pycache__"


def _content(directory: Path, name: str) -> bytes:
    content = (directory / name).read_bytes()
    if name == DOCKERFILE:
        text = content.decode("utf-8", "surrogateescape")
        return unlabelled(text).encode("utf-8", "surrogateescape")
    return content


# Source: github.com/package-url/purl-spec: pypi, deb, oci and docker types.
def pypi_purl(name: str, version: str) -> str:
    return f"pkg:pypi/{_quoted(canonicalize_name(name))}@{_quoted(version)}"


def debian_purl(name: str, platform: str) -> str:
    return f"pkg:deb/debian/{_quoted(name)}?arch={quote(platform.rpartition('/')[2], safe='')}"


def image_purl(base: BaseImage) -> str:
    """Return the package URL of an image, with its digest if it came from a registry."""
    reference = ImageReference.parse(base.reference)
    repository, tag = reference.name, reference.tag_or_latest
    folder, _, name = repository.rpartition("/")
    if base.digest is None:
        return f"pkg:docker/{quote(repository, safe='/')}@{_quoted(tag)}"
    where = f"{folder or 'docker.io/library'}/{name}"
    return (
        f"pkg:oci/{_quoted(name)}@{_quoted(base.digest)}"
        f"?repository_url={quote(where, safe='/')}&tag={_quoted(tag)}"
    )


def _quoted(text: str) -> str:
    return quote(text, safe=".-_~")
