"""What a model file in the format of a library of its own tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelpack.types import Finding, Signature, Task

from ..facts.columns import Column
from ..facts.inputs import MOST_INPUTS
from ..nodes import require

MOST_OUTPUTS = 100_000


@dataclass(frozen=True)
class Told:
    """`estimator`: the dotted class that the model is loaded as. `words` complete "the file is".
    `version`: of `framework`; or a specifier, or None. `requires`: distribution -> why it is
    needed, where that is not `framework` alone. `names`: the "module:name" that loading looks up.
    `protocol`: the version of the format. `problem`: what keeps it from being served.
    """

    estimator: str
    framework: str
    words: str
    signature: Signature
    task: Task = "unknown"
    version: str | None = None
    requires: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    locales: tuple[str, ...] = ()
    protocol: int | None = None
    problem: Finding | None = None


def unserved(reason: str) -> Finding:
    return Finding("no-prediction", reason)


def columns(width: int, names: Sequence[str] | None) -> tuple[list[Column], bool]:
    """A column for each of `width` inputs, and whether they have the names that the file tells.
    None where they are too many to be listed.
    """
    if width > MOST_INPUTS:
        return [], False
    if names is not None and len(names) == width == len(set(names)) and all(names):
        return [Column(name) for name in names], True
    return [Column(f"x{index}") for index in range(width)], False


def outputs(count: Any, what: str) -> int:
    """The number of outputs that a model of `what` tells, within reason."""
    require(0 < count <= MOST_OUTPUTS, f"{what} tells of {count:,} outputs")
    return int(count)
