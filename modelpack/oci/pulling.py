"""An image in a registry, of which only what is looked at is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from modelpack.oci import documents, failures
from modelpack.oci.image import Image
from modelpack.oci.registry import connected


@contextmanager
def image(
    reference: str, platform: str | None = None, *, plain_http: bool = False
) -> Iterator[Image]:
    """The image of that name, whose layers are fetched when they are opened.

    Raises:
        UsageError: there is none, or it cannot be had.
        BuildFailedError: the registry fails.
    """
    with connected(reference, plain_http=plain_http) as repository:
        found = repository.find()
        if found is None:
            raise failures.absent(repository.image, repository.image.reference)
        yield documents.image(repository, found, platform)
