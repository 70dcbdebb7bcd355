"""A classifier with probabilities gives one for each class, and they add up to 1."""

from __future__ import annotations

import math

from modelpack.smoke.probe import CheckFailedError, Probe, brief, predictions_of


def applies(probe: Probe) -> bool:
    signature = probe.model.signature
    return signature.probabilities and signature.classes is not None


def check(probe: Probe) -> str:
    """A classifier with probabilities gives one for each class, and they add up to 1."""
    probe.require_row()
    document = {"instances": [probe.example_row()]}
    answer = probe.predict(document, "?probabilities=true")
    predictions_of(answer)
    rows = answer.body.get("probabilities")
    classes = probe.model.signature.classes or ()
    if not isinstance(rows, list) or len(rows) != 1 or not isinstance(rows[0], dict):
        raise CheckFailedError(f"no row of probabilities in {brief(answer.body)}")
    if len(rows[0]) != len(classes):
        raise CheckFailedError(f"{len(rows[0])} probabilities for {len(classes)} classes")
    total = sum(rows[0].values())
    if not math.isclose(total, 1.0, abs_tol=1e-6):
        raise CheckFailedError(f"the probabilities add up to {total}")
    return f"{len(classes)} classes, {brief(rows[0])}"
