"""The service answers as the author's model does, bit for bit, by each way of asking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelpack.parity.claims import SOURCES
from modelpack.parity.compare import INCOMPARABLE, first_difference, relative_difference
from modelpack.smoke.probe import CheckFailedError, Probe, shorten
from modelpack.smoke.routes import ROUTES, BodyRoute, Route
from modelpack.types import Answers, Parity, Reference

AnyRoute = Route | BodyRoute


def parity_applies(probe: Probe) -> bool:
    """Not where the file does not tell what a row is, and nobody gives one."""
    return bool(probe.reference.rows)


def check_parity(probe: Probe) -> str:
    """The service answers as the author's model does, bit for bit, by each way of asking."""
    reference = probe.expected()
    if reference.problem:
        raise CheckFailedError(f"nothing to compare with: {reference.problem}")
    answers = _query_routes(probe, reference)
    largest = max(_difference(reference, route, got) for route, got in answers)
    passed = largest <= reference.tolerance
    count = len(reference.rows)
    probe.parity = Parity(
        source=reference.source,
        rows=count,
        routes=tuple(route.name for route, _ in answers),
        tolerance=reference.tolerance,
        largest_difference=None if largest == INCOMPARABLE else largest,
        passed=passed,
    )
    if not passed:
        raise CheckFailedError(_first_mismatch(reference, answers))
    how = "bit for bit" if not largest else f"to {largest:.1e}, within {reference.tolerance:g}"
    source = SOURCES[reference.source].detail
    detail = f"{count} rows by {len(answers)} routes, equal {how} to {source}"
    if reference.without_bodies:
        detail += f"; not by files of pandas, which failed: {shorten(reference.without_bodies)}"
    return detail


def _query_routes(probe: Probe, reference: Reference) -> list[tuple[AnyRoute, Answers]]:
    """The answers of each route that has something to compare: some tell no probabilities, and
    nothing else may be known.
    """
    routes = [
        route
        for route in ROUTES
        if route.takes(probe.model) and route.holds(reference.rows) and route.known(reference)
    ]
    answers = [(route, route.request(probe, reference)) for route in routes]
    compared = [(route, got) for route, got in answers if _pairs(reference, route, got)]
    if not compared:
        raise CheckFailedError("no route answers what is known of these rows")
    return compared


def _pairs(reference: Reference, route: AnyRoute, got: Answers) -> list[tuple[str, Any, Any]]:
    """(what, expected, got) of what is known of both."""
    known = route.known(reference)
    assert known is not None  # noqa: S101 - else the route is not asked
    pairs = [
        ("prediction", known.predictions, got.predictions),
        ("probabilities", known.probabilities, got.probabilities),
    ]
    return [(what, a, b) for what, a, b in pairs if a is not None and b is not None]


def _difference(reference: Reference, route: AnyRoute, got: Answers) -> float:
    return max(relative_difference(a, b) for _, a, b in _pairs(reference, route, got))


def _first_mismatch(reference: Reference, answers: Sequence[tuple[AnyRoute, Answers]]) -> str:
    """The first row that differs."""
    for route, got in answers:
        for what, expected, answered in _pairs(reference, route, got):
            if len(expected) != len(answered):
                return f"{len(answered)} {what} for {len(expected)} rows ({route.name})"
            row = first_difference(expected, answered, reference.tolerance)
            if row is not None:
                apart = relative_difference(expected[row], answered[row])
                return (
                    f"row {row}, {what}: {shorten(answered[row])}, and by "
                    f"{SOURCES[reference.source].detail} {shorten(expected[row])}"
                    f"{_by(apart)} ({route.name})"
                )
    raise AssertionError("some row differs")


def _by(apart: float) -> str:
    if apart > 1e-6:
        return ""
    return (
        f"; they differ by {apart:.1e} of their size, as another processor may make them: "
        f"--tolerance {10 * apart:.0e} accepts that"
    )
