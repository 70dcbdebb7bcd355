"""Invariants: the indices and sizes in a file that compiled code uses without a bounds check.

The allowlist prevents calls of unknown code. Known compiled code can still read and write outside
of its memory: it follows the nodes of trees, looks up samples and columns, and takes over sizes as
they are in the file, during loading or at the first prediction. These checks refuse such files.
`CHECKS` maps package and class to the check of its objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from types import MappingProxyType
from typing import BinaryIO

from modelpack.types import Finding

from .. import limits
from ..contracts import class_key
from ..nodes import Blob, ObjectNode
from ..pickle.machine import Trace
from . import (
    arrow,
    columns,
    estimators,
    frames,
    indexes,
    neighbours,
    old_layouts,
    scan,
    settings,
    trees,
    unwritten,
    widths,
)
from .objects import InvariantError, OldLayoutError, require
from .reread import Part, reread_parts
from .scan import Feeder, Scan, run

CODE = "broken-invariant"
OLD_LAYOUT = "old-layout"

Check = Callable[[ObjectNode], Iterable[Scan]]
"""Checks an object, and returns the scans of its arrays that are still to be run.

Raises `InvariantError` for a problem that shows without a scan.
"""

CHECKS: dict[str, Check] = {
    "sklearn:Tree": trees.tree,
    **dict.fromkeys(
        ("sklearn:DecisionTreeClassifier", "sklearn:DecisionTreeRegressor",
         "sklearn:ExtraTreeClassifier", "sklearn:ExtraTreeRegressor"),
        trees.decision_tree,
    ),
    "sklearn:GradientBoostingClassifier": trees.gradient_boosting,
    "sklearn:GradientBoostingRegressor": trees.gradient_boosting,
    "sklearn:IsolationForest": trees.isolation_forest,
    "sklearn:HistGradientBoostingClassifier": trees.histogram_boosting,
    "sklearn:HistGradientBoostingRegressor": trees.histogram_boosting,
    "kd_tree:newObj": neighbours.binary_tree,
    "ball_tree:newObj": neighbours.binary_tree,
    **dict.fromkeys(
        ("sklearn:KNeighborsClassifier", "sklearn:KNeighborsRegressor",
         "sklearn:KNeighborsTransformer", "sklearn:LocalOutlierFactor",
         "sklearn:NearestNeighbors", "sklearn:RadiusNeighborsClassifier",
         "sklearn:RadiusNeighborsRegressor", "sklearn:RadiusNeighborsTransformer"),
        neighbours.searcher,
    ),
    **dict.fromkeys(("scipy:bsr_matrix", "scipy:bsr_array"), scan.by_blocks),
    **dict.fromkeys(("scipy:coo_matrix", "scipy:coo_array"), scan.by_coordinates),
    **dict.fromkeys(("scipy:csc_matrix", "scipy:csc_array"), scan.by_columns),
    **dict.fromkeys(("scipy:csr_matrix", "scipy:csr_array"), scan.by_rows),
    **dict.fromkeys(("scipy:dia_matrix", "scipy:dia_array"), scan.by_diagonals),
    **dict.fromkeys(("scipy:dok_matrix", "scipy:dok_array"), scan.by_keys),
    **dict.fromkeys(("scipy:lil_matrix", "scipy:lil_array"), scan.by_lists),
    "pandas:BlockManager": frames.manager,
    "pandas:SingleBlockManager": frames.manager,
    "pandas:DataFrame": frames.frame,
    "pandas:Series": frames.frame,
    "pandas:Categorical": indexes.categorical,
    "pandas:__pyx_unpickle_NDArrayBacked": indexes.extension,
    "pandas:__pyx_unpickle_PeriodMixin": indexes.extension,
    **dict.fromkeys(
        ("pandas:DatetimeArray", "pandas:PeriodArray", "pandas:StringArray",
         "pandas:TimedeltaArray"),
        indexes.pandas_array,
    ),
    **dict.fromkeys(
        ("pandas:BooleanArray", "pandas:FloatingArray", "pandas:IntegerArray"), indexes.masked
    ),
    **dict.fromkeys(
        ("pandas:_new_Index", "pandas:_new_DatetimeIndex", "pandas:_new_IntervalIndex",
         "pandas:_new_PeriodIndex", "pandas:_new_TimedeltaIndex"),
        indexes.index,
    ),
    "pandas:SparseArray": columns.sparse,
    "pandas:__pyx_unpickle_IntervalMixin": columns.intervals,
    "pyarrow:_restore_array": arrow.array,
    "scipy:BSpline": estimators.spline,
    "scipy:_BSpline": estimators.spline,
    "sklearn:SVC": estimators.classifier,
    "sklearn:NuSVC": estimators.classifier,
    "sklearn:SVR": estimators.regressor,
    "sklearn:NuSVR": estimators.regressor,
    "sklearn:OneClassSVM": estimators.regressor,
    "sklearn:CountVectorizer": estimators.vectorizer,
    "sklearn:TfidfVectorizer": estimators.vectorizer,
    "sklearn:DictVectorizer": estimators.vectorizer,
    "sklearn:MultiLabelBinarizer": estimators.labels,
    "sklearn:OneHotEncoder": estimators.one_hot,
    "sklearn:TargetEncoder": estimators.target,
    "sklearn:ColumnTransformer": settings.column_names,
    "sklearn:FeatureHasher": settings.hashing,
    "sklearn:HashingVectorizer": settings.hashing,
    "category_encoders:HashingEncoder": settings.processes,
    "sklearn:PolynomialFeatures": unwritten.polynomial,
    "sklearn:ClassifierChain": unwritten.chain,
    "sklearn:RegressorChain": unwritten.chain,
    "sklearn:GaussianMixture": unwritten.mixture,
    "sklearn:BayesianGaussianMixture": unwritten.mixture,
    "sklearn:KMeans": settings.centres,
    "sklearn:MiniBatchKMeans": settings.centres,
    "sklearn:BisectingKMeans": settings.centres,
    "sklearn:Birch": estimators.subclusters,
    "sklearn:EllipticEnvelope": estimators.ellipse,
}  # fmt: skip

_MAX_READ = 4
"""How often the checks may read an average byte of the file; once in real files."""

_MIN_COST = 64
"""The minimum cost of a scan, in bytes."""


def check(
    trace: Trace,
    file: BinaryIO,
    container: str,
    size: int,
    more: Mapping[str, Check] = MappingProxyType({}),
) -> list[Finding]:
    """Return the first violated invariant of each class in a well-formed file.

    Args:
        trace: The objects of the file.
        file: The file, still open since it was parsed.
        container: The compression of the file, "raw" if none.
        size: The length of the file in bytes without compression.
        more: Checks in addition to `CHECKS`.

    Raises:
        Malformed: The file has changed since it was parsed.
        OSError: The file cannot be read again.
    """
    findings: dict[str, Finding] = {}
    deferred: list[tuple[ObjectNode, Scan]] = []
    checks = {**CHECKS, **more}
    budget = _MAX_READ * size + limits.MIB
    has_widths = widths.are_recorded(trace.objects)
    for node in trace.objects:
        with _collect_errors(findings, node):
            old_layouts.require_usable(node)
            settings.require_known_output(node)
            if has_widths:
                widths.require_recorded(node)
            for item in _scans(node, findings, checks):
                budget -= item.cost + _MIN_COST
                require(budget > 0, "more objects share its arrays than in any model")
                if isinstance(item.content, Blob):
                    deferred.append((node, item))
                else:
                    run(item)
    _read_again(deferred, findings, file, container)
    return list(findings.values())


def _scans(
    node: ObjectNode, findings: dict[str, Finding], checks: Mapping[str, Check]
) -> Iterable[Scan]:
    key = class_key(node)
    rule = checks.get(_name(key))
    return rule(node) if rule and key not in findings else ()


def _name(key: str) -> str:
    """Return the key in `CHECKS`: the package and the name; the module instead for `newObj`."""
    module, _, name = key.partition(":")
    package = (
        module.rpartition(".")[2].lstrip("_") if name == "newObj" else module.partition(".")[0]
    )
    return f"{package}:{name}"


@contextmanager
def _collect_errors(findings: dict[str, Finding], node: ObjectNode) -> Iterator[None]:
    try:
        yield
    except InvariantError as problem:
        key = class_key(node)
        is_old = isinstance(problem, OldLayoutError)
        message = f"{key.replace(':', '.')} is {'' if is_old else 'not valid: '}{problem}"
        code = OLD_LAYOUT if is_old else CODE
        findings.setdefault(key, Finding(code, message, node.offset, node.opcode, key))


def _read_again(
    deferred: list[tuple[ObjectNode, Scan]],
    findings: dict[str, Finding],
    file: BinaryIO,
    container: str,
) -> None:
    """Run the scans of arrays that were too long to be kept, in one pass over the file."""
    by_part: dict[Part, list[tuple[ObjectNode, Scan]]] = {}
    for node, item in deferred:
        by_part.setdefault(item.extent, []).append((node, item))
    for part, group in groupby(reread_parts(file, container, sorted(by_part)), itemgetter(0)):
        readers = [(node, Feeder(item)) for node, item in by_part[part]]
        for _, piece in group:
            for node, reader in readers:
                with _collect_errors(findings, node):
                    reader.feed(piece)
        for node, reader in readers:
            with _collect_errors(findings, node):
                reader.finish()
