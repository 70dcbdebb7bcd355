"""What this machine has to build and run with, and how to mend what it lacks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """`detail` says what was found, or what was seen in its place; `hint` how to mend it."""

    name: str
    present: bool
    detail: str
    hint: str = ""
