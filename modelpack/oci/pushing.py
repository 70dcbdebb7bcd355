"""Pushes an image as it lies in a layout or an archive: the registry gets the very same digest."""

from __future__ import annotations

from functools import partial

from modelpack.oci import documents
from modelpack.oci.documents import Descriptor, Store
from modelpack.oci.image import Blob
from modelpack.oci.registry import Repository
from modelpack.oci.uploads import OnProgress, upload


def push(
    store: Store, top: Descriptor, repository: Repository, on_progress: OnProgress
) -> Descriptor:
    """`top`: a manifest, or an index with all that it lists, which goes under the repository's
    own tag. `on_progress`: of the layers.

    Raises:
        UsageError: it is damaged, or the registry does not let this user do it.
        BuildFailedError: the registry fails.
    """
    return _push(store, top, repository, on_progress, repository.name.tag)


def _push(
    store: Store, top: Descriptor, repository: Repository, on_progress: OnProgress, tag: str
) -> Descriptor:
    data = documents.verified(store.manifest(top), top.digest)
    document = documents.parsed(data)
    if "manifests" in document:
        for entry in documents.descriptors(document, "manifests"):
            _push(store, entry, repository, on_progress, "")
    else:
        config = documents.descriptor_of(document.get("config"))
        for layer in documents.descriptors(document, "layers"):
            upload(repository, _blob(store, layer), on_progress)
        upload(repository, _blob(store, config), lambda *_: None)
    repository.put_manifest(data, top.media_type, tag)
    return top


def _blob(store: Store, layer: Descriptor) -> Blob:
    return Blob(layer.digest, layer.size, layer.media_type, partial(store.blob, layer))
