"""The image that was built follows every rule of `modelpack.hardening`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelpack.errors import ModelpackError
from modelpack.smoke.probe import CheckFailedError, Probe
from modelpack.spec import Ruling

NAME = "image"
CONTAINER_ONLY = True
SHOWN = 12
"""Lines of what is wrong; `modelpack scan` tells all."""


def applies(probe: Probe) -> bool:
    return probe.scanned is not None


def check(probe: Probe) -> str:
    assert probe.scanned is not None  # noqa: S101 - see `applies`
    try:
        probe.rulings = probe.scanned()
    except ModelpackError as error:
        raise CheckFailedError(error.message) from error
    told = list(_told(probe.rulings))
    if told:
        more = [f"and {len(told) - SHOWN} more"] if len(told) > SHOWN else []
        raise CheckFailedError("\n".join([*told[:SHOWN], *more]))
    return f"all {len(probe.rulings)} rules hold of its files, history and configuration"


def _told(rulings: Sequence[Ruling]) -> Iterator[str]:
    for ruling in rulings:
        sources = ", ".join(ruling.sources)
        for violation in ruling.violations:
            yield f"{ruling.rule} ({sources}): {violation.where} {violation.what}"
