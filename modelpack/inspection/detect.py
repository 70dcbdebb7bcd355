"""Format detection by content."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable

from . import stream
from .known_formats import (
    CONTAINERS,
    ENCRYPTED,
    FASTAI,
    MAGIC,
    SKOPS,
    TAILS,
    TAR,
    TEXTS,
    TORCH,
    TORCH_WEIGHTS,
    Format,
)
from .nodes import Malformed

_MEMBER = b"PK\3\4"
_FLAGS = 6
"""Where a member of a zip archive has its flags. The first means that it is encrypted."""

_PICKLE = re.compile(rb"\x80[\x02-\x0f]")
_CONTROLS = re.compile(rb"[\0-\x08\x0b\x0e-\x1f\x7f]")
_MARK = "\ufeff"
_TORCH_DICT = re.compile(
    rb"(/data\.pkl|type_sizes).{0,200}?\x80[\x02-\x05](\x95.{8})?"
    rb"(}|ccollections\nOrderedDict\n|\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x93)",
    re.DOTALL,
)
"""The start of a pickle of `torch.save` in a zip archive, or in a file of PyTorch before 1.6."""

_FASTAI = re.compile(rb"\x80[\x02-\x05](\x95.{8})?(c|\x8c.)fastai\.", re.DOTALL)
"""The start of the pickle of a Learner."""

_TORCH_LAYER = b"torch.nn.modules."
"""The module of the layers in a whole model, which a dict may also contain."""


def _compiled(table: Iterable[tuple[str, Format]]) -> list[tuple[re.Pattern[bytes], Format]]:
    flags = re.DOTALL | re.MULTILINE
    return [(re.compile(pattern.encode("latin-1"), flags), found) for pattern, found in table]


_MAGIC = _compiled(MAGIC)
_CONTAINERS = [
    (re.compile(pattern.encode("latin-1")), marks) for pattern, marks in CONTAINERS.items()
]
_TEXTS = [(re.compile(pattern), found) for pattern, found in TEXTS]


def recognise(head: bytes, tail: bytes = b"") -> Format | None:
    """Return the format of a file by its first and last bytes. None: perhaps a pickle.

    64 KiB of each are enough.
    """
    if head.startswith(_MEMBER) and len(head) > _FLAGS and head[_FLAGS] & 1:
        return ENCRYPTED
    for magic, marks in _CONTAINERS:
        if magic.match(head):
            both = head + tail
            return _torch(head, next(found for mark, found in marks if mark in both))
    if head[257:262] == b"ustar":
        return TAR
    by_tail = (found for end, found in TAILS if tail.endswith(end))
    form = next((form for magic, form in _MAGIC if magic.match(head)), next(by_tail, None))
    return _torch(head, form) if form else None


def _torch(head: bytes, form: Format) -> Format:
    """Return the format of weights or of fastai if `form` is that of PyTorch, and its pickle so."""
    if form == TORCH and _FASTAI.search(head):
        return FASTAI
    if form != TORCH or _TORCH_LAYER in head or not _TORCH_DICT.search(head):
        return form
    return TORCH_WEIGHTS


def is_read(head: bytes, tail: bytes) -> bool:
    """Return whether modelpack reads files that begin and end so. Some pickles are no models."""
    name = stream.container(head)
    if name != "raw":
        try:
            source = stream.HashingFile(io.BytesIO())
            head, tail = next(stream.chunks(name, head, source), b""), b""
        except Malformed:
            return False
    form = recognise(head, tail)
    return form == SKOPS or form.reader is not None if form else bool(_PICKLE.match(head))


def as_text(head: bytes) -> Format | None:
    """Return the format of a text file that is not a pickle. None if it is not text.

    Text is UTF-8, or bytes without control characters that are mostly ASCII.
    """
    if not head or _CONTROLS.search(head):
        return None
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start > len(head) - 4:
            text = head[: error.start].decode("utf-8")
        elif len(head.translate(None, bytes(range(128)))) < len(head) / 4:
            text = head.decode("latin-1")
        else:
            return None
    text = text.removeprefix(_MARK)
    return next(found for magic, found in _TEXTS if magic.match(text))
