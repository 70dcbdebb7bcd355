"""From a fitted estimator to its part of a plan."""

from __future__ import annotations

from typing import Any, Callable, Dict, Sequence

from ..estimator import Chain
from .dtypes import other_floats
from .parameters import unknown_parameter

Part = Dict[str, Callable[[Any], Any]]
"""Method of the estimator -> the same without its overhead.

It takes a block, and does not write to it: float64 (n_rows, n_inputs) in C order; for a model of a
frame, that or a list of columns (n_rows,), as `columns.Rows`; for texts or dicts a list of them. It
returns what the estimator's method returns, to the bit, or raises FallbackRequiredError where
that might not be so: then the estimator is asked, and perhaps refuses the rows.
"""

Compilers = Dict[str, Callable[[Any, "Compiler"], Part]]
"""Name of a class of scikit-learn, or of Chain -> what makes the part of one of its objects."""


class UnplannedError(Exception):
    """There is no plan for this estimator; the text says why, in a few words without values."""


class Compiler:
    """`dot`: what multiplies rows by a matrix; every part that calls BLAS must use this one, or its
    `each` would be wrong. `is_apart`: whether it multiplies each row as if that had come alone.
    `layout`, `names`: of the rows of the model. `gives_flags`: a part gives booleans, of which some
    functions of numpy give short floats. `gives_codes`: a part gives something else than float64.
    """

    def __init__(
        self,
        compilers: Compilers,
        layout: str,
        names: Sequence[str],
        dot: Callable[[Any, Any], Any],
        is_apart: bool = False,
    ) -> None:
        self.layout = layout
        self.names = list(names)
        self.is_dotted = False
        self.gives_flags = False
        self.gives_codes = False
        self._compilers = compilers
        self._dot = dot
        self._is_apart = is_apart

    @property
    def dot(self) -> Callable[[Any, Any], Any]:
        self.is_dotted = True
        return self._dot

    @property
    def row_by_row(self) -> bool:
        """Whether rows are computed as if each had come alone, not as they came: for sums of rows,
        which numpy adds up in another order for many. To be asked only where it makes a difference.
        """
        self.is_dotted = True
        return self._is_apart

    def part(self, estimator: Any) -> Part:
        """The part of `estimator`, by exactly its class: a subclass may compute something else.

        Raises:
            UnplannedError: its class is unknown, or it is set in a way that is.
        """
        kind = type(estimator)
        compiler = self._compilers.get(kind.__name__)
        known = kind is Chain or str(kind.__module__).startswith("sklearn.")
        if compiler is None or not known:
            raise UnplannedError(f"{kind.__name__} has no plan")
        if kind is not Chain:
            _require_known(estimator)
        try:
            return compiler(estimator, self)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise UnplannedError(f"{kind.__name__} is not as this plan expects") from error


def _require_known(estimator: Any) -> None:
    name = type(estimator).__name__
    unknown = unknown_parameter(estimator)
    if unknown is not None:
        raise UnplannedError(f"{name} has a parameter {unknown}, which its plan does not know")
    other = other_floats(estimator)
    if other is not None:
        raise UnplannedError(f"{name} has {other} of other floats than float64")


# What releases of scikit-learn do differently is then done by the release that is there.
def copy_with(model: Any, **others: Any) -> Any:
    """As `model`, with `others` in place of its attributes or methods. `model` stays as it is."""
    made = object.__new__(type(model))
    made.__dict__.update(model.__dict__, **others)
    return made


def nameless(model: Any) -> Any:
    """As `model`, but for the names of its inputs: without a word it takes arrays."""
    made = copy_with(model)
    made.__dict__.pop("feature_names_in_", None)
    return made


def same(given: Any) -> Any:
    """In place of a method: what it computes is already there."""
    return given


def after(step: Callable[[Any], Any], method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def call(block: Any) -> Any:
        return method(step(block))

    return call
