"""The estimator tree and its parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from modelpack.types import Estimator, Scalar, Task

from ..allowlist import standing
from ..contracts import constructed_class, is_constructed
from ..nodes import DictNode, Global, Node, ObjectNode, state_attributes, within
from ..pickle.machine import Trace
from ..pickle.ndarrays import Array, dict_get, scalar, view
from ..text import clean
from .distributions import DISTRIBUTIONS

_MAX_DEPTH = 32
OTHER_LIBRARIES = {
    "shap": "explainer of shap", "lime": "explainer of lime", "alibi": "explainer of alibi",
    "torch": "object of PyTorch", "tensorflow": "object of TensorFlow", "keras": "model of Keras",
    "matplotlib": "figure of matplotlib", "plotly": "figure of plotly", "onnx": "model of ONNX",
    "onnxruntime": "session of ONNX Runtime", "spacy": "object of spaCy",
}  # fmt: skip
"""Top-level module -> a description of its objects, which are not estimators."""

_NOT_ESTIMATORS = {"numpy", "scipy", "pandas", "builtins", "__builtin__", "collections", "copyreg",
                   "copy_reg", "datetime", "functools", "re", "_codecs", "joblib",
                   *OTHER_LIBRARIES}  # fmt: skip
_META = ("best_estimator_", "regressor_", "estimator_", "estimator", "base_estimator_",
         "base_estimator", "regressor")  # fmt: skip
_META_BY_CLASS = {
    "FrozenEstimator": ("estimator",),
    "TransformedTargetRegressor": ("regressor_", "regressor"),
}
_META_DEFAULT = tuple(key for key in _META if key not in {"best_estimator_", "regressor_"})
"""Attributes of all other classes of scikit-learn but searches."""

_COMPOSITES = {
    "Pipeline": ("steps",),
    "ColumnTransformer": ("transformers_", "transformers"),
    "FeatureUnion": ("transformer_list",),
}
_KEEPS_COPIES = {
    "CalibratedClassifierCV", "MultiOutputClassifier", "MultiOutputRegressor", "ClassifierChain",
    "RegressorChain", "OneVsRestClassifier", "OneVsOneClassifier", "OutputCodeClassifier",
}  # fmt: skip
"""Classes that keep the unfitted estimator, and a list of fitted copies."""

_REMOVED = {
    "DPGMM": "BayesianGaussianMixture",
    "GMM": "GaussianMixture",
    "GaussianProcess": "GaussianProcessRegressor",
    "LDA": "LinearDiscriminantAnalysis",
    "ProjectedGradientNMF": "NMF",
    "QDA": "QuadraticDiscriminantAnalysis",
    "RandomizedPCA": "PCA",
    "VBGMM": "BayesianGaussianMixture",
}
"""Classes that scikit-learn 0.20 no longer has -> the classes with the same methods."""

_RELEASE = re.compile(r"(\d{1,4})\.(\d{1,4})", re.ASCII)
_SAMPLERS = tuple(f"imblearn.{kind}" for kind in ("combine", "over_sampling", "under_sampling"))
_SUFFIXES: dict[str, Task] = {
    "Classifier": "classifier", "ClassifierCV": "classifier", "Regressor": "regressor",
    "RegressorCV": "regressor", "Regression": "regressor", "Ranker": "regressor",
    "Vectorizer": "transformer", "Transformer": "transformer", "Encoder": "transformer",
    "Scaler": "transformer", "Imputer": "transformer", "Selector": "transformer",
}  # fmt: skip


@cache
def _table() -> dict[str, list[str]]:
    """Return class name of scikit-learn -> its task and its prediction methods."""
    table: dict[str, list[str]] = json.loads(
        (Path(__file__).parent / "estimators.json").read_text("utf-8")
    )
    return table | {name: table[successor] for name, successor in _REMOVED.items()}


def is_estimator_of_sklearn(name: str) -> bool:
    """Return whether some release of scikit-learn has a public estimator of this class name."""
    return name in _table()


_RESULTS = re.compile(
    r"statsmodels\.(discrete|genmod|miscmodels|othermod|regression|robust)\..*Results(Wrapper)?",
    re.ASCII,
)
"""Results of statsmodels. Their method predict returns numbers, also for two outcomes."""


@dataclass(frozen=True, eq=False)
class EstimatorNode:
    """An estimator: its class and its pickled attributes."""

    cls: Global
    attributes: dict[str, Node]
    level: int = 0

    def get(self, *names: str) -> Node:
        """Return the first of these attributes that exists and is not None."""
        found = (self.attributes.get(name) for name in names)
        return next((value for value in found if value is not None), None)

    def number(self, *names: str) -> int | None:
        value = scalar(self.get(*names))
        return value if type(value) is int and value >= 0 else None

    def text(self, name: str) -> str:
        value = self.attributes.get(name)
        return value if isinstance(value, str) else ""

    def floats(self, *names: str) -> list[float] | None:
        """Return the values of a flat array of numbers, or None."""
        array = view(self.get(*names))
        values = array.values() if array and len(array.shape) == 1 else None
        if values is None or not all(isinstance(v, int | float) for v in values):
            return None
        return [float(v) for v in values]

    @property
    def name(self) -> str:
        return self.cls.name.rpartition(".")[2]

    @property
    def top(self) -> str:
        """The top-level module of its class."""
        return self.cls.module.partition(".")[0]

    @cached_property
    def kind(self) -> str:
        """The name of its class, or of the composite of scikit-learn whose steps it has.

        Subclasses in other libraries have the fitted attributes of the composite.
        """
        if self.is_sklearn:
            return self.name
        for kind, attributes_ in _COMPOSITES.items():
            steps = _tuples(self.get(attributes_[0]))
            if steps and all(
                isinstance(node, ObjectNode | str) or node is None for _, node, _ in steps
            ):
                return kind
        return self.name

    @property
    def is_author_code(self) -> bool:
        """Return whether its class is in no library that modelpack knows."""
        return self.top not in DISTRIBUTIONS and standing(self.cls.key) == "unknown"

    @property
    def is_sklearn(self) -> bool:
        return self.top == "sklearn"

    @property
    def release(self) -> tuple[int, int]:
        """The release of scikit-learn (major, minor) that saved it, or (0, 0)."""
        match = _RELEASE.match(self.text("_sklearn_version"))
        return (int(match[1]), int(match[2])) if match else (0, 0)

    @property
    def is_sampler(self) -> bool:
        """Return whether it changes rows in training only."""
        return self.cls.module.startswith(_SAMPLERS)

    @cached_property
    def steps(self) -> list[tuple[str, Node, Node]]:
        """Its steps: (name, estimator or "passthrough" or "drop", columns or None)."""
        if self.kind in _COMPOSITES:
            return _tuples(self.get(*_COMPOSITES[self.kind]))
        if self.name.startswith(("Voting", "Stacking")):
            return self._ensemble()
        if self.is_sklearn and ".ensemble._forest" in self.cls.module:
            return []
        found = ((key, self.attributes.get(key)) for key in self._meta)
        inner = next(((k, v) for k, v in found if self.inner(v) is not None), None)
        if inner is None:
            return []
        fitted = self._first_member() if self._keeps_copies else None
        return [(inner[0].rstrip("_"), inner[1] if fitted is None else fitted, None)]

    @property
    def _meta(self) -> tuple[str, ...]:
        """The attributes that may contain its inner estimator, the fitted one first."""
        if not self.is_sklearn or self.name.endswith("SearchCV"):
            return _META
        return _META_BY_CLASS.get(self.name, _META_DEFAULT)

    @property
    def _keeps_copies(self) -> bool:
        """Return whether it has a list of fitted copies of its estimator that get all columns."""
        if not self.name.startswith("Bagging"):
            return self.name in _KEEPS_COPIES
        return self.get("max_features") == 1.0 and self.get("bootstrap_features") is not True

    def _first_member(self) -> Node:
        """Return the first of the fitted copies of its estimator."""
        members = self.get("calibrated_classifiers_", "estimators_")
        array = view(members)
        listed = array.items if array else members
        first = listed[0] if isinstance(listed, list | tuple) and listed else None
        wrapped = attributes(first)
        inner = wrapped.get("estimator", wrapped.get("base_estimator"))
        node = inner if self.name == "CalibratedClassifierCV" else first
        return node if self.inner(node) is not None else None

    def _ensemble(self) -> list[tuple[str, Node, Node]]:
        named = [step for step in _tuples(self.get("estimators")) if step[1] not in ("drop", None)]
        fitted = self.get("estimators_")
        if isinstance(fitted, list) and len(fitted) == len(named):
            named = [(old[0], new, None) for old, new in zip(named, fitted, strict=True)]
        final = self.get("final_estimator_")
        return [*named, ("final_estimator", final, None)] if final is not None else named

    def inner(self, node: Node) -> EstimatorNode | None:
        """Return the estimator that an object inside this one is, or None."""
        return estimator_node(node, self.level + 1)

    @property
    def parts(self) -> Iterator[EstimatorNode]:
        return iter(self._parts)

    @cached_property
    def _parts(self) -> tuple[EstimatorNode, ...]:
        return tuple(filter(None, (self.inner(node) for _, node, _ in self.steps)))

    @property
    def last(self) -> EstimatorNode:
        """The part that returns the predictions."""
        if self.kind == "Pipeline":
            final = next(reversed(self._parts), None)
            return final.last if final else self
        if self.name.endswith("SearchCV") or self.name == "FrozenEstimator":
            inner = next(self.parts, None)
            return inner.last if inner else self
        return self

    @property
    def task(self) -> Task:
        part = self.last
        if part.is_sklearn and part.name in _table():
            task = _table()[part.name][0]
            if task != "unknown":
                return task  # type: ignore[return-value]
        for suffix, kind in _SUFFIXES.items():
            if part.name.endswith(suffix):
                return kind
        if _RESULTS.fullmatch(part.cls.key):
            return "regressor"
        inner = next(part.parts, None) if part.name in {"RFE", "RFECV"} else None
        return inner.task if inner else "unknown"

    @property
    def only_transforms(self) -> bool:
        only = self.has("predict") is False and self.has("transform") is True
        return only or self.task == "transformer"

    @property
    def is_fitted(self) -> bool:
        """False only if training would have set a model or an attribute (`..._`)."""
        part = self.last
        if part.name.endswith("SearchCV"):
            return part.get("best_estimator_") is not None or not part.is_sklearn
        if part.top == "catboost":
            return part.get("__model") is not None
        if not part.is_sklearn or part.task not in ("classifier", "regressor"):
            return True
        return any(k.endswith("_") or k.startswith("_fit") for k in part.attributes)

    def has(self, method: str) -> bool | None:
        """Return whether its class has the method, or None for an unknown class."""
        entry = _table().get(self.last.name) if self.last.is_sklearn else None
        return None if entry is None else method in entry[1:]


def estimator_node(node: Node, level: int = 0) -> EstimatorNode | None:
    """Return the estimator that an object is, or None, also if objects contain themselves."""
    if not isinstance(node, ObjectNode) or level > _MAX_DEPTH:
        return None
    cls = constructed_class(node)
    if not is_constructed(node) or not isinstance(cls, Global):
        return None
    top, name = cls.module.partition(".")[0], cls.name.rpartition(".")[2]
    found = attributes(node)
    is_bare_step = level > 0 and standing(cls.key) == "unknown"  # an author's step without a state
    if top in _NOT_ESTIMATORS or not (found or is_bare_step):
        return None
    if top == "sklearn" and "_sklearn_version" not in found and name not in _table():
        return None
    return EstimatorNode(cls, found, level)


def every(part: EstimatorNode) -> Iterator[EstimatorNode]:
    """Yield the part and all parts inside it."""
    yield part
    for inner in part.parts:
        yield from every(inner)


def as_node(part: EstimatorNode, name: str = "", columns: Node = None) -> Estimator:
    """Return the part and its steps for the report."""
    return _as_node(part, name, column_names(columns))


def _as_node(part: EstimatorNode, name: str, columns: tuple[str | int, ...] | None) -> Estimator:
    known = column_names(part.get(*_FEATURE_NAMES)) if part.kind == "ColumnTransformer" else None
    inner = [(n, part.inner(child), child, _named(c, known)) for n, child, c in part.steps]
    steps = [
        _as_node(found, n, c) if found else Estimator(n, str(child), c)
        for n, found, child, c in inner
        if found or isinstance(child, str)
    ]
    return Estimator(name, part.cls.dotted, columns, tuple(steps))


_FEATURE_NAMES = ("feature_names_in_", "_feature_names_in", "_df_columns")
"""Attributes with the names of all columns, since scikit-learn 1.0, 0.23 and 0.20."""


def _named(node: Node, known: tuple[str | int, ...] | None) -> tuple[str | int, ...] | None:
    """Return the columns of a step by name. Releases before 1.7 save positions of the remainder."""
    columns = column_names(node)
    if columns is None or not known:
        return columns
    count = len(known)
    return tuple(known[c] if isinstance(c, int) and -count <= c < count else c for c in columns)


def column_names(node: Node) -> tuple[str | int, ...] | None:
    """Return the columns of a step of a ColumnTransformer, if the file lists them."""
    if isinstance(node, str) or type(node) is int:
        return (clean(node),) if isinstance(node, str) else (node,)
    if (
        isinstance(node, ObjectNode) and node.cls.name == "_RemainderColsList"
    ):  # scikit-learn 1.5 and 1.6
        node = attributes(node).get("data")
    array = view(node)
    values: list[Scalar] | None = array.values() if array else None
    if values is None and isinstance(node, list | tuple):
        values = [scalar(item) for item in node]
    if values is None:
        return None
    if values and all(type(v) is bool for v in values):
        return tuple(i for i, chosen in enumerate(values) if chosen)
    return tuple(v for v in values if isinstance(v, str | int))


def attributes(node: Node) -> dict[str, Node]:
    """Return the attributes that the states of an object set; later states win, as in loading."""
    return dict(state_attributes(node)) if isinstance(node, ObjectNode) else {}


def as_dict(node: Node) -> dict[str, Node]:
    """Return the items of a dict whose keys are strings; empty if the node is not a dict."""
    if not isinstance(node, DictNode):
        return {}
    return {k: v for k, v in zip(node.keys, node.values, strict=True) if type(k) is str}


def _tuples(node: Node) -> list[tuple[str, Node, Node]]:
    """Return the steps in a list of (name, estimator) or (name, estimator, columns).

    PyCaret 2 appends the model as a list.
    """
    steps = node if isinstance(node, list | tuple) else []
    are_pairs = [isinstance(step, list | tuple) and len(step) >= 2 for step in steps]
    padded = [(*step, None)[:3] for step, is_pair in zip(steps, are_pairs, strict=True) if is_pair]
    return [(clean(name), part, columns) for name, part, columns in padded if isinstance(name, str)]


_LEVELS = 5  # of containers that are searched
_JOBS = ("n_jobs", "nthread", "thread_count", "num_threads")


def estimators(trace: Trace) -> list[EstimatorNode]:
    """Return all estimators of the file, including inner ones."""
    return list(filter(None, map(estimator_node, trace.objects)))


def n_jobs(parts: Iterable[EstimatorNode]) -> int | None:
    """Return the maximum number of jobs of an estimator; -1 for all CPUs, None if not set."""
    values = [scalar(part.attributes.get(name)) for part in parts for name in _JOBS]
    counts = [n for n in values if type(n) is int and n != 0]
    return -1 if any(n < 0 for n in counts) else max(counts, default=None)


def callables(parts: Iterable[EstimatorNode]) -> tuple[str, ...]:
    """Return the "module:name" of the functions among the parameters, sorted."""
    parameters = [
        value
        for part in parts
        for name, value in part.attributes.items()
        if not name.startswith("_")
    ]
    held = (node for node in within(parameters, _LEVELS, _contained) if isinstance(node, Global))
    return tuple(sorted({name.key for name in held if _is_function(name)}))


def _contained(node: Node) -> list[Node]:
    """Return the values in a container, a `partial` or a scorer of scikit-learn."""
    if isinstance(node, list | tuple):
        return list(node)
    if isinstance(node, DictNode):
        return node.values
    if not isinstance(node, ObjectNode):
        return []
    is_scorer = node.cls.module.startswith("sklearn.metrics")
    return list(attributes(node).values() if is_scorer else node.args)


def _is_function(name: Global) -> bool:
    """Return whether a name is that of a function: in lower case, and not a type of numpy."""
    last = name.name.rpartition(".")[2].lstrip("_")
    is_type = name.module == "numpy" and last.rstrip("_0123456789") in _NUMPY_TYPES
    return last[:1].islower() and not is_type and name.module not in {"builtins", "__builtin__"}


_NUMPY_TYPES = {"bool", "bytes", "complex", "dtype", "float", "int", "longdouble", "longlong",
                "ndarray", "object", "str", "uint", "ulonglong", "void"}  # fmt: skip


def axes(node: Node) -> list[Node]:
    """Return the indexes of a DataFrame (columns, rows) or a Series (rows), otherwise none."""
    found = attributes(node)
    manager = found.get("_mgr", found.get("_data"))
    if not isinstance(manager, ObjectNode):
        return []
    state = manager.states[-1] if manager.states else ()  # pandas before 1.3
    is_old = constructed_class(manager) is not manager.cls  # protocols 0 and 1
    given = () if is_old else manager.args[1:2]
    indexes = given or (state[:1] if isinstance(state, tuple) else ())
    return indexes[0] if indexes and isinstance(indexes[0], list) else []


def length(index: Node) -> int | None:
    """Return the number of entries of an index, or None if the file does not contain it."""
    array = view(index)
    if array is not None:
        return array.size
    facts = as_dict(index.args[1]) if isinstance(index, ObjectNode) and len(index.args) == 2 else {}
    start, stop, step = (facts.get(name) for name in ("start", "stop", "step"))
    if not (type(start) is type(stop) is type(step) is int and step):
        return None
    return max(0, -((start - stop) // step))  # as len(range(start, stop, step))


def columns_of(frame: Node, selected: set[str]) -> Iterator[tuple[str, Array, int | None]]:
    """Yield the selected columns of a DataFrame.

    Yields:
        The name, the array of the block, and the position in the block; for a Categorical, the
        name, the array of its categories, and None.
    """
    found = axes(frame)
    array = view(found[0]) if len(found) == 2 else None
    names = (array.values() if array else None) or []
    for node in _blocks(frame):
        values, positions = _block(node)
        kind = _categories(values)
        block = view(values if kind is None else kind)
        for position, column in enumerate(positions if block else ()):
            if block and column < len(names) and names[column] in selected:
                yield names[column], block, None if kind is not None else position


def _categories(node: Node) -> Node:
    """Return the index of the categories of a Categorical, or None for any other array."""
    cls = constructed_class(node) if isinstance(node, ObjectNode) else None
    argument = node.args[0] if isinstance(node, ObjectNode) and node.args else None
    if not any(isinstance(c, Global) and c.name == "Categorical" for c in (cls, argument)):
        return None
    found = (attributes(part).get("categories") for part in within(node, _LEVELS))
    return next((index for index in found if index is not None), None)


def _blocks(frame: Node) -> list[Node]:
    state = attributes(frame)
    manager = state.get("_mgr", state.get("_data"))
    if not isinstance(manager, ObjectNode):
        return []
    if len(manager.args) == 2:
        blocks = manager.args[0]
    else:  # pandas before 1.3
        last = manager.states[-1] if manager.states else ()
        extra = last[3] if isinstance(last, tuple) and len(last) == 4 else None
        inner = dict_get(extra, "0.14.1") if isinstance(extra, DictNode) else None
        blocks = dict_get(inner, "blocks") if isinstance(inner, DictNode) else None
    return list(blocks) if isinstance(blocks, list | tuple) else []


def _block(node: Node) -> tuple[Node, list[int]]:
    """Return the values of a block and the positions of its columns."""
    if isinstance(node, ObjectNode) and len(node.args) == 3:
        values, placement = node.args[:2]
    elif isinstance(node, DictNode):
        values, placement = dict_get(node, "values"), dict_get(node, "mgr_locs")
    else:
        return None, []
    if (
        isinstance(placement, ObjectNode)
        and placement.cls.name == "slice"
        and len(placement.args) == 3
    ):
        start, stop, step = placement.args
        is_sound = type(start) is type(stop) is type(step) is int and start >= 0 and step != 0
        return values, list(range(start, stop, step)) if is_sound else []
    array = view(placement)
    positions = (array.values() if array else None) or []
    return values, [position for position in positions if type(position) is int and position >= 0]
