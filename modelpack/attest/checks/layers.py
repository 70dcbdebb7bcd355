"""From the manifest to the last byte, everything has the digest by which it is named.

The documents of the image are compared when they are read. Layers are read to their end here,
whatever is known of them from an earlier time.
"""

from __future__ import annotations

from modelpack.attest.subject import ANEW, Subject, Verdict
from modelpack.errors import NotVouchedError
from modelpack.oci import Layer, streams
from modelpack.oci.streams import Measured, unpacked


def check(subject: Subject) -> Verdict:
    """From the manifest to the last byte, everything has the digest by which it is named.

    The documents of the image are compared when they are read. Layers are read to their end here,
    whatever is known of them from an earlier time.
    """
    layers = subject.image.layers
    size = sum(map(_verified, layers))
    named = "manifest" if subject.image.digest else "configuration"
    told = f"{len(layers)} of {size / 1e6:.0f} MB, each as its {named} names it"
    return Verdict("layers", "holds", told)


def _verified(layer: Layer) -> int:
    """The bytes of its tar.

    Raises:
        NotVouchedError: it has another digest.
    """
    if layer.blob is None:
        with layer.open() as stream:
            return _compared(Measured(stream, streams.LAYER), layer.diff_id)
    with layer.blob.open() as packed:
        measured = Measured(packed, streams.LAYER)
        with unpacked(measured) as stream:
            size = _compared(Measured(stream, streams.LAYER), layer.diff_id)
        for _ in measured.chunks():
            pass
    _require(measured.digest, layer.blob.digest)
    return size


def _compared(stream: Measured, digest: str) -> int:
    for _ in stream.chunks():
        pass
    _require(stream.digest, digest)
    return stream.tell()


def _require(found: str, named: str) -> None:
    if found != named:
        raise NotVouchedError(
            f"A layer was changed after the image was made: it should have the digest {named} and"
            f" has {found}.",
            hint=ANEW,
        )
