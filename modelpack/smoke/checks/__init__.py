"""The checks, in the order in which they are run.

A check is a module with a `NAME`, a docstring that says what must hold, and
`check(probe) -> str`, which returns what was seen, raises `CheckFailedError`, or raises
`CheckNotRunError` with the reason why it cannot be run.
`CONTAINER_ONLY = True` leaves it out where the service runs as a local process.
`applies(probe)`, where there is one, says whether the model has what is checked.
"""

from __future__ import annotations

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

CHECKS = (
    ready,
    prediction,
    named_rows,
    probabilities,
    parity,
    bad_input,
    user,
    health,
    image,
    shutdown,
)
