"""The checks, in the order in which they are run.

A check is a function `check(probe) -> str`, whose docstring states what must be true, and one entry
of the table. It returns what it saw, raises `CheckFailedError`, or raises `CheckNotRunError` with
the reason why it cannot run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from modelpack.smoke.checks import lifecycle, parity, predictions
from modelpack.smoke.probe import Probe
from modelpack.types import PREDICTION


@dataclass(frozen=True)
class SmokeCheck:
    """A check of a running service.

    Attributes:
        check: Returns the detail of the report.
        container_only: Left out if the service runs as a local process.
        starts_with: Name of an earlier check with which it starts, because the engine needs time to
            run a program in the container.
        applies: Whether the model has what is checked.
    """

    name: str
    check: Callable[[Probe], str]
    container_only: bool = False
    starts_with: str = ""
    applies: Callable[[Probe], bool] = lambda _: True


READY = SmokeCheck("ready", lifecycle.check_ready)
USER = SmokeCheck("user", lifecycle.check_user, container_only=True, starts_with="ready")
HEALTH = SmokeCheck("health", lifecycle.check_health, container_only=True, starts_with=PREDICTION)
PARITY = SmokeCheck("parity", parity.check_parity, applies=parity.parity_applies)
SHUTDOWN = SmokeCheck("shutdown", lifecycle.check_shutdown)
CHECKS = (
    READY,
    SmokeCheck(PREDICTION, predictions.check_prediction),
    SmokeCheck("named rows", predictions.check_named_rows),
    SmokeCheck(
        "probabilities", predictions.check_probabilities, applies=predictions.probabilities_applies
    ),
    PARITY,
    SmokeCheck("bad input", predictions.check_bad_input),
    USER,
    HEALTH,
    SmokeCheck(
        "image", lifecycle.check_image, container_only=True, applies=lifecycle.image_applies
    ),
    SHUTDOWN,
)
