"""The checks, in the order in which they are run.

A check is a function `check(probe) -> str` whose docstring states what must be true, and one entry
of the table. It returns what it saw, raises `CheckFailedError`, or raises `CheckNotRunError` with
the reason why it cannot run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from modelpack.smoke.checks import (
    bad_input,
    health,
    image,
    named_rows,
    parity,
    prediction,
    probabilities,
    ready,
    shutdown,
    user,
)
from modelpack.smoke.probe import Probe
from modelpack.types import PREDICTION


@dataclass(frozen=True)
class SmokeCheck:
    """A check of a running service.

    Attributes:
        name: As reports show it.
        check: Returns what was seen.
        container_only: Left out where the service runs as a local process.
        applies: Whether the model has what is checked.
    """

    name: str
    check: Callable[[Probe], str]
    container_only: bool = False
    applies: Callable[[Probe], bool] = lambda _: True


READY = SmokeCheck("ready", ready.check)
SHUTDOWN = SmokeCheck("shutdown", shutdown.check)
CHECKS = (
    READY,
    SmokeCheck(PREDICTION, prediction.check),
    SmokeCheck("named rows", named_rows.check),
    SmokeCheck("probabilities", probabilities.check, applies=probabilities.applies),
    SmokeCheck("parity", parity.check, applies=parity.applies),
    SmokeCheck("bad input", bad_input.check),
    SmokeCheck("user", user.check, container_only=True),
    SmokeCheck("health", health.check, container_only=True),
    SmokeCheck("image", image.check, container_only=True, applies=image.applies),
    SHUTDOWN,
)
