"""`scan`: an image against the hardening rules."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from modelpack import hardening, oci
from modelpack.errors import SmokeFailedError
from modelpack.oci import locations
from modelpack.types import Ruling, to_json

from .stages import Pipeline


def scan(run: Pipeline, target: str) -> tuple[Ruling, ...]:
    """What each rule says of an image: of an engine, or of a place as skopeo writes it, such as
    `oci:DIR`. It is also looked for the secrets that this machine's builds are given.

    Raises:
        UsageError: there is no such image, or it is none that modelpack made.
        NoEngineError: it is of an engine, and none answers.
    """
    given = hardening.known_secrets(run.index, os.environ)
    if target.partition(":")[0] in locations.LOCATION_READERS:
        with oci.open_image(target) as image:
            return hardening.scan(image, given)
    with run.engine.contents(target) as image:
        return hardening.scan(image, given)


def scan_report(target: str, rulings: Sequence[Ruling]) -> dict[str, Any]:
    """The document of `modelpack scan --json`."""
    passed = all(ruling.passed for ruling in rulings)
    return {"target": target, "passed": passed, "rulings": [to_json(each) for each in rulings]}


def require_passed_rules(rulings: Sequence[Ruling]) -> None:
    """Raises:
    SmokeFailedError: the image does not follow a rule; it names those.
    """
    broken = ", ".join(ruling.rule for ruling in rulings if not ruling.passed)
    if broken:
        raise SmokeFailedError(
            f"The image does not follow the rules: {broken}.",
            hint="docs/security.md says what each of them asks for.",
        )
