"""Package URLs of what an image is made of.

Source: github.com/package-url/purl-spec: pypi, deb, oci and docker types.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from modelpack.oci.reference import split_reference
from modelpack.types import BaseImage


def pypi_purl(name: str, version: str) -> str:
    return f"pkg:pypi/{quote(_canonical(name), safe='')}@{_quoted(version)}"


def debian_purl(name: str, platform: str) -> str:
    return f"pkg:deb/debian/{_quoted(name)}?arch={quote(platform.rpartition('/')[2], safe='')}"


def image_purl(base: BaseImage) -> str:
    """By its digest where it came from a registry, else by its tag."""
    repository, tag = split_reference(base.reference)
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


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
