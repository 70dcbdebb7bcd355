"""Two signatures compared as those see it who ask the service: what breaks them, what does not.

What a service takes is told by serving/rows.py and serving/misfits.py: a row by name must have
every name that may not be missing and no other, a row as a list all values in order; an integer is
a number, and a value of any type is taken where the type is not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelpack.types import Signature

from . import inputs, outputs
from .values import Change, Section, counted, verdict


def compare(old: Signature, new: Signature) -> Section:
    changes = (*inputs.compare(old, new), *outputs.compare(old, new))
    unknown = tuple(_unknown(old, new))
    return Section(verdict(changes, unknown), _summary(new, changes), changes, unknown)


def _summary(new: Signature, changes: Sequence[Change]) -> str:
    impacts = [change.impact for change in changes]
    if "breaking" in impacts:
        count = impacts.count("breaking")
        return f"{counted(count, 'change')} {'breaks' if count == 1 else 'break'} callers"
    if "compatible" in impacts:
        return f"{counted(len(changes), 'change')}, and callers go on as they are"
    held = [counted(len(new.inputs), "input"), counted(len(new.outputs), "output")]
    if new.classes:
        held.append(counted(len(new.classes), "class", "classes"))
    return ", ".join(held) + (": nothing that callers notice" if changes else "")


def _unknown(old: Signature, new: Signature) -> Iterator[str]:
    for what, before, after in (
        ("inputs", old.inputs, new.inputs),
        ("classes", old.classes, new.classes),
    ):
        if bool(before) != bool(after):
            yield f"the {what} are known of {'OLD' if before else 'NEW'} only"
