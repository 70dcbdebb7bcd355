"""The same row by name, its names in reverse order, gives the same prediction."""

from __future__ import annotations

from modelpack.smoke.probe import CheckFailedError, Probe, brief, predictions_of


def check(probe: Probe) -> str:
    """The same row by name, its names in reverse order, gives the same prediction."""
    probe.require_row()
    by_name = dict(reversed(probe.example_record().items()))
    named = predictions_of(probe.predict({"instances": [by_name]}))
    listed = predictions_of(probe.predict({"instances": [probe.example_row()]}))
    if named != listed:
        raise CheckFailedError(f"by name {brief(named)}, by position {brief(listed)}")
    return f"{len(by_name)} names in reverse order, same prediction"
