"""An image in a registry, of which only what is looked at is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from modelpack import processes
from modelpack.oci import documents
from modelpack.oci.documents import Descriptor
from modelpack.oci.downloads import download
from modelpack.oci.image import Image
from modelpack.oci.registry import Repository, connected


class Pulled:
    """A `Store` that keeps in `folder` what it has fetched."""

    def __init__(self, repository: Repository, folder: Path) -> None:
        self._repository = repository
        self._folder = folder

    def manifest(self, descriptor: Descriptor) -> bytes:
        return self._repository.manifest(descriptor.digest)[1]

    @contextmanager
    def blob(self, descriptor: Descriptor) -> Iterator[IO[bytes]]:
        path = self._folder / descriptor.digest.removeprefix("sha256:")
        if not path.exists():
            partial = path.with_suffix(".partial")
            download(self._repository, descriptor, partial)
            partial.rename(path)
        with path.open("rb") as stream:
            yield stream


@contextmanager
def image(
    reference: str, platform: str | None = None, *, plain_http: bool = False
) -> Iterator[Image]:
    """The image of that name, whose layers are fetched when they are opened, to a folder that is
    gone afterwards.

    Raises:
        UsageError: there is none, or it cannot be had.
        BuildFailedError: the registry fails.
    """
    with (
        connected(reference, plain_http=plain_http) as repository,
        processes.scratch_folder() as kept,
    ):
        found, _ = repository.manifest()
        yield documents.image(Pulled(repository, kept), found, platform)
