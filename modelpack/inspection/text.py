"""Text of model files, as text that can be written."""

from __future__ import annotations


def clean(text: str) -> str:
    """Replace lone surrogates, which pickles and file names may contain, but UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
