"""Compile a fitted estimator to its part of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, Sequence

import numpy as np

from ...data.columns import FallbackRequiredError
from ..estimator import Chain
from ..wrappers import Labelled
from .parameters import unknown_parameter
from .records import is_record, is_record_of_booster
from .shapes import width_of

Part = Dict[str, Callable[[Any], Any]]
"""Method of the estimator -> function that returns the same bits without its overhead.

The function gets a block and does not write to it: float64 (n_rows, n_inputs) in C order; for a
model of a frame also a list of columns (n_rows,), as `columns.Rows`; a list of texts or dicts. It
raises FallbackRequiredError if its result might differ. The estimator then predicts the rows, or
rejects them.
"""

Compile = Callable[[Any, "Compiler"], Part]
Compilers = Dict[str, Compile]
"""Name of a class of scikit-learn, Chain or Labelled -> function that compiles an object of it."""

WIDENED = tuple(
    f"sklearn.{name}." for name in ("linear_model", "preprocessing", "decomposition", "impute")
)
"""Modules whose classes combine float64 rows with fitted arrays by numpy, which widens float32 to
float64 first, in a plan as in the estimator."""


_LACKS = "lacks what its plan needs"


class UnplannedError(Exception):
    """The estimator cannot have a plan. The text is a short reason without values.

    Attributes:
        estimator: The class of the estimator, "" if no single one is the reason.
    """

    def __init__(self, reason: str, estimator: str = "") -> None:
        super().__init__(reason)
        self.estimator = estimator


@dataclass(frozen=True)
class Context:
    """What a plan depends on besides the estimators.

    Attributes:
        layout: The form of the rows, as in the manifest.
        names: The names of the inputs.
        release: Major and minor version of the scikit-learn that the model belongs to.
    """

    layout: str
    names: Sequence[str]
    release: tuple[int, int]


class Compiler:
    """Compiles the estimators of one model.

    Attributes:
        depends_on_batch: Whether results may depend on the number of rows in a call.
        gives_flags: Whether a part returns booleans. Some functions of numpy return short floats
            for them.
        gives_codes: Whether a part returns other numbers than float64.
    """

    def __init__(
        self,
        compilers: Compilers,
        context: Context,
        dot: Callable[[Any, Any], Any],
        is_row_by_row: bool = False,
    ) -> None:
        self.layout = context.layout
        self.names = list(context.names)
        self._release = context.release
        self.depends_on_batch = False
        self.gives_flags = False
        self.gives_codes = False
        self._compilers = compilers
        self._dot = dot
        self._is_row_by_row = is_row_by_row

    def since(self, major: int, minor: int) -> bool:
        """Return whether the model belongs to this release of scikit-learn or a later one."""
        return self._release >= (major, minor)

    @property
    def dot(self) -> Callable[[Any, Any], Any]:
        """The product of rows and a matrix. Every part that calls BLAS must use it."""
        self.depends_on_batch = True
        return self._dot

    @property
    def row_by_row(self) -> bool:
        """True if each row is computed as if it were the only one.

        A part reads this only if its result depends on it, as the order of sums over rows does.
        """
        self.depends_on_batch = True
        return self._is_row_by_row

    def part(self, estimator: Any) -> Part:
        """Compile `estimator`. Subclasses have no plan, because they may compute something else.

        Raises:
            UnplannedError: The class or one of its settings has no plan.
        """
        kind = type(estimator)
        compiler = self._compilers.get(kind.__name__)
        is_sklearn = str(kind.__module__).startswith("sklearn.")
        known = kind in (Chain, Labelled) or is_sklearn or is_record_of_booster(estimator)
        if compiler is None or not known:
            raise UnplannedError(f"{kind.__name__} has no plan", kind.__name__)
        if is_sklearn:
            _require_known(estimator)
        try:
            part = compiler(estimator, self)
            return _with_width_check(part, estimator) if is_record(estimator) else part
        except UnplannedError as error:
            if not error.estimator and kind not in (Chain, Labelled):
                error.estimator = kind.__name__
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            lacks = "of this kind has no compiled form" if is_record(estimator) else _LACKS
            raise UnplannedError(f"{kind.__name__} {lacks}", kind.__name__) from error


def _with_width_check(part: Part, record: Any) -> Part:
    """Return a part that rejects rows with other columns than the arrays of its record have."""
    width, name = width_of(record), type(record).__name__
    if width is None:
        return part

    def checked(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def call(block: Any) -> Any:
            columns = len(block) if isinstance(block, list) else block.shape[1]
            if columns != width:
                raise FallbackRequiredError(f"{name} gets {columns} columns instead of {width}")
            return method(block)

        return call

    return {each: checked(method) for each, method in part.items()}


def _require_known(estimator: Any) -> None:
    name = type(estimator).__name__
    unknown = unknown_parameter(estimator)
    if unknown is not None:
        raise UnplannedError(f"{name} has an unknown parameter {unknown}", name)
    other = first_unsupported_attribute(estimator)
    if other is not None:
        raise UnplannedError(f"{name} has {other} that is not float64", name)


def first_unsupported_attribute(estimator: Any) -> str | None:
    """Return the first fitted attribute whose results differ from those of float64, or None.

    These are float16, long doubles, complex numbers and, in most classes, float32.
    """
    kind = type(estimator)
    supported: set[np.dtype[Any]] = {np.dtype(np.float64)}
    if kind.__module__.startswith(WIDENED):
        supported.add(np.dtype(np.float32))
    settings = kind._get_param_names()
    fitted = (item for item in vars(estimator).items() if item[0] not in settings)
    return next((name for name, value in fitted if _is_other(value, supported)), None)


def _is_other(value: Any, supported: set[np.dtype[Any]]) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_is_other(each, supported) for each in value)
    dtype = getattr(value, "dtype", None)
    return isinstance(dtype, np.dtype) and dtype.kind in "fc" and dtype not in supported


class RecordsOnly:
    """A compiler that refuses live estimators.

    It is for classes whose compiled code computes the last bits in an order that depends on the
    processor. The proof of a compiled model allows for them, and the trial of a plan does not.
    """

    def __init__(self, compile_record: Compile) -> None:
        self._compile_record = compile_record

    def __call__(self, model: Any, compiler: Compiler) -> Part:
        """Compile a record.

        Raises:
            UnplannedError: The model is an estimator.
        """
        if not is_record(model):
            raise UnplannedError(f"{type(model).__name__} has no plan")
        return self._compile_record(model, compiler)


def copy_with(model: Any, **others: Any) -> Any:
    """Copy `model` with `others` in place of its attributes or methods.

    Code that differs between releases of scikit-learn is then that of the installed release.
    """
    copied = object.__new__(type(model))
    copied.__dict__.update(model.__dict__, **others)
    return copied


def nameless(model: Any) -> Any:
    """Copy `model` without the names of its inputs, so that arrays cause no warning."""
    copied = copy_with(model)
    copied.__dict__.pop("feature_names_in_", None)
    return copied


def classes_of(model: Any) -> np.ndarray:
    """Return `classes_`, which is a property of some estimators, and no attribute of a record.

    Raises:
        AttributeError: The model has no classes.
    """
    if not is_record(model) or "classes_" in vars(model):
        return np.asarray(model.classes_)
    if is_record_of_booster(model) and not hasattr(model, "_le"):
        return np.arange(model.n_classes_)
    owners = (getattr(model, name, None) for name in CLASS_OWNERS)
    owner = next((each for each in owners if each is not None), None)
    if owner is None:
        owner = model.steps[-1][1]
    return classes_of(owner)


CLASS_OWNERS = (
    "_le",
    "_label_binarizer",
    "label_binarizer_",
    "best_estimator_",
    "estimator_",
    "estimator",
)
"""Attributes whose object contains the classes of an estimator."""


def identity(value: Any) -> Any:
    """Return `value`. It replaces a method whose result is known."""
    return value


def after(step: Callable[[Any], Any], method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that calls `step`, then `method`."""

    def call(block: Any) -> Any:
        return method(step(block))

    return call
