"""What skops.io.dump wrote."""

from __future__ import annotations

from typing import Any, BinaryIO, Collection


def load(stream: BinaryIO, names: Collection[str]) -> Any:
    """The object in the file. Beyond `names`, skops lets through what it trusts by itself."""
    import skops.io  # noqa: PLC0415 - a library that only these files need

    return skops.io.load(stream, trusted=sorted(name.replace(":", ".") for name in names))
