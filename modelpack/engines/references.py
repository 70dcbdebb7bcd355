"""Names of images.

Source: the grammar of github.com/distribution/reference, without digests: an image that is being
made has none yet.
"""

from __future__ import annotations

import re

from modelpack.errors import UsageError

_HOST = r"(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?::[0-9]+)?/)?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"({_HOST}{_COMPONENT}(?:/{_COMPONENT})*)(?::([\w][\w.-]{{0,127}}))?", re.A
)


def parse(reference: str) -> tuple[str, str]:
    """The repository and the tag ("latest" where none is given) of the name for a new image.

    Raises:
        UsageError: no image can be named so.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise UsageError(
            f"{reference!r} is no name for an image.",
            hint="Give lower-case letters, digits and separators, such as iris:1.",
        )
    return match[1], match[2] or "latest"
