"""What the model and its version are called in URLs."""

from __future__ import annotations

from typing import Mapping

from .errors import CannotStartError

LONGEST = 256


def name(environ: Mapping[str, str]) -> str:
    """MODELPACK_MODEL_NAME, else "model".

    Raises:
        CannotStartError: it cannot stand in a URL.
    """
    return _checked(environ, "MODELPACK_MODEL_NAME", "model")


def version(environ: Mapping[str, str]) -> str:
    """MODELPACK_MODEL_VERSION, else "1".

    Raises:
        CannotStartError: it cannot stand in a URL.
    """
    return _checked(environ, "MODELPACK_MODEL_VERSION", "1")


def _checked(environ: Mapping[str, str], variable: str, default: str) -> str:
    text = environ.get(variable) or default
    stands = text.isprintable() and not set("/:") & set(text) and text not in (".", "..")
    if not stands or len(text) > LONGEST:
        rule = f"printable, without slash and colon, of at most {LONGEST} characters"
        raise CannotStartError(f"{variable} is {text[:LONGEST]!r}: a name in URLs is {rule}.")
    return text
