"""Parity with the expected answers, per route."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from modelpack.parity.claims import SOURCES
from modelpack.parity.compare import (
    INCOMPARABLE,
    differ_by_rounding,
    first_difference,
    relative_difference,
)
from modelpack.smoke.probe import CheckFailedError, Probe, shorten
from modelpack.smoke.routes import ROUTES, BodyRoute, Route
from modelpack.types import Answers, Parity, Reference

AnyRoute = Route | BodyRoute


def parity_applies(probe: Probe) -> bool:
    """Return whether rows are known."""
    return bool(probe.reference.rows)


def check_parity(probe: Probe) -> str:
    """The service answers as the author's model does, bit for bit, on each route."""
    try:
        return _compare(probe, probe.expected())
    except CheckFailedError:
        if (reference := probe.expected_again()) is None:
            raise
        return _compare(probe, reference)


def _compare(probe: Probe, reference: Reference) -> str:
    if reference.problem:
        raise CheckFailedError(f"nothing to compare with: {reference.problem}")
    answers = _query_routes(probe, reference)
    largest = max(_difference(reference, route, actual) for route, actual in answers)
    mismatch = _first_mismatch(reference, answers)
    within = reference.tolerance if largest <= reference.tolerance else reference.precision
    count = len(reference.rows)
    probe.parity = Parity(
        source=reference.source,
        rows=count,
        routes=tuple(route.name for route, _ in answers),
        tolerance=reference.tolerance if mismatch else within,
        largest_difference=None if largest == INCOMPARABLE else largest,
        passed=not mismatch,
    )
    if mismatch:
        raise CheckFailedError(mismatch)
    how = "bit for bit" if not largest else f"to {largest:.1e}, within {within:g}"
    source = SOURCES[reference.source]
    if largest > reference.tolerance:
        how, source = f"within {within:.1e}", f"{source}, which are rounded in their file"
    detail = f"{count} rows on {len(answers)} routes, equal {how} to {source}"
    if reference.without_bodies:
        detail += f"; without files of pandas, which failed: {shorten(reference.without_bodies)}"
    return detail


def _query_routes(probe: Probe, reference: Reference) -> list[tuple[AnyRoute, Answers]]:
    """Return the answers of each route that can be compared.

    Some routes return no probabilities, which may be the only expected answers.
    """
    routes = [
        route
        for route in ROUTES
        if route.supports(probe.model)
        and route.can_encode(reference.rows)
        and route.expected(reference)
        and route.is_offered(probe)
    ]
    answers = [(route, route.request(probe, reference)) for route in routes]
    compared = [(route, actual) for route, actual in answers if _pairs(reference, route, actual)]
    if not compared:
        raise CheckFailedError("no route returns what is expected for these rows")
    return compared


def _pairs(reference: Reference, route: AnyRoute, actual: Answers) -> list[tuple[str, Any, Any]]:
    """Return (name, expected, actual) for each part that both have."""
    expected = route.expected(reference)
    assert expected is not None  # noqa: S101 - `_query_routes` left out such routes
    pairs = [
        ("prediction", expected.predictions, actual.predictions),
        ("probabilities", expected.probabilities, actual.probabilities),
    ]
    return [(name, a, b) for name, a, b in pairs if a is not None and b is not None]


def _difference(reference: Reference, route: AnyRoute, actual: Answers) -> float:
    return max(relative_difference(a, b) for _, a, b in _pairs(reference, route, actual))


def _first_mismatch(reference: Reference, answers: Sequence[tuple[AnyRoute, Answers]]) -> str:
    """Describe the first row that differs; "" if all are equal within the tolerance."""
    for route, actual in answers:
        for name, expected, returned in _pairs(reference, route, actual):
            if len(expected) != len(returned):
                return f"{len(returned)} {name} for {len(expected)} rows ({route.name})"
            row = first_difference(expected, returned, reference.tolerance)
            if row is not None:
                return (
                    f"row {row}, {name}: {shorten(returned[row])} instead of"
                    f" {shorten(expected[row])} as in {SOURCES[reference.source]}"
                    f" ({route.name}){_tolerance_hint(expected, returned, row)}"
                )
    return ""


def _tolerance_hint(expected: Sequence[Any], returned: Sequence[Any], row: int) -> str:
    if differ_by_rounding(expected, returned):
        return (
            "; the numbers of the file are rounded to few digits, so save all, such as with "
            "numpy.savetxt(path, y, fmt='%.17g'), or accept the difference: "
            f"--tolerance {_rounded_up(relative_difference(expected, returned))}"
        )
    difference = relative_difference(expected[row], returned[row])
    if difference > 1e-6:
        return ""
    return (
        f"; their relative difference of {difference:.1e} may come from another processor: "
        f"--tolerance {10 * difference:.0e} accepts it"
    )


def _rounded_up(number: float) -> str:
    """Return a number with one digit that is not less than `number`."""
    return f"{number + 0.5 * 10 ** math.floor(math.log10(number)):.0e}"
