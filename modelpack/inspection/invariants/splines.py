"""B-splines of scipy: compiled code reads len(t) - k - 1 rows of coefficients
(scipy/interpolate/_bsplines.py, `BSpline.__init__`, looks at them when a spline is made).
"""

from __future__ import annotations

from collections.abc import Iterator

from ..nodes import Obj
from .objects import Broken, attributes, integer, require, stored
from .scans import Scan


def spline(made: Obj) -> Iterator[Scan]:
    if made.states and isinstance(made.states[0], tuple):
        return  # since scipy 1.18 it stands for another spline, which is checked itself
    state = attributes(made)
    knots = stored(state.get("_t", state.get("t")), "the knots of a spline")
    rows = stored(state.get("_c", state.get("c")), "the coefficients of a spline")
    knots.expect({"f8"}, None)
    degree = integer(state.get("k"))
    if degree is None or not 0 <= degree < knots.size:
        raise Broken("a spline has no degree")
    needed = knots.size - degree - 1
    require(needed > degree, "a spline has fewer knots than its degree needs")
    require(rows.shape[:1] >= (needed,), "a spline has fewer coefficients than its knots need")
    yield from ()
