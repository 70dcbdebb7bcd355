"""`scan`: an image against the hardening rules."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from modelpack import hardening
from modelpack.errors import SmokeFailedError
from modelpack.types import Ruling, to_json

from .stages import Pipeline
from .targets import Target, open_image


def scan(run: Pipeline, target: Target) -> tuple[Ruling, ...]:
    """Check an image against every rule. It must not contain a secret of this machine's builds.

    Raises:
        UsageError: There is no such image, or modelpack did not make it.
        NoEngineError: It is an image of an engine, and none responds.
    """
    secrets = hardening.known_secrets(run.index, os.environ)
    with open_image(run, target) as image:
        return hardening.scan(image, secrets)


def scan_report(target: str, rulings: Sequence[Ruling]) -> dict[str, Any]:
    """Return the document of `modelpack scan --json`."""
    passed = all(ruling.passed for ruling in rulings)
    return {"target": target, "passed": passed, "rulings": [to_json(each) for each in rulings]}


def require_passed_rules(rulings: Sequence[Ruling]) -> None:
    """Raise SmokeFailedError, which names the broken rules, unless an image follows all rules."""
    broken = ", ".join(ruling.rule for ruling in rulings if not ruling.passed)
    if broken:
        raise SmokeFailedError(
            f"The image does not follow the rules: {broken}.",
            hint="docs/security.md describes each rule.",
        )
