"""What compiled code believes of a model without a look: positions and sizes told by the file.

An allowlist keeps foreign code from being called. It does not keep code that is known from reading
and writing wherever the file tells it to: trees are followed, samples and columns looked up, and
sizes taken over unchecked, in loading or at the first prediction. Here they are checked, in the
places that predictions come by. `CHECKS` is the table: package and class -> what has to hold.
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
from . import estimators, frames, indexes, neighbours, scan, settings, trees, unwritten, widths
from .objects import InvariantError, require
from .reread import Part, reread_parts
from .scan import Feeder, Scan, run

CODE = "broken-invariant"

Check = Callable[[ObjectNode], Iterable[Scan]]
"""What has to be read of an object's arrays. Raises `Broken` for what shows without that."""

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
    "pyarrow:_restore_array": frames.strings,
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
    "sklearn:ColumnTransformer": settings.names_of_columns,
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
"""How often an average byte of the file may be read for the checks; once in real files."""

_MIN_COST = 64
"""Of a scan, in bytes."""


def check(
    trace: Trace,
    file: BinaryIO,
    container: str,
    size: int,
    more: Mapping[str, Check] = MappingProxyType({}),
) -> list[Finding]:
    """What speaks against predicting with a well-formed file, once for each global.

    `file` is still open from when it was read, `size` its length in bytes without compression.
    `more` are checks in addition to `CHECKS`.

    Raises:
        Malformed: what is read again is not what was read before.
        OSError: the file cannot be read again.
    """
    findings: dict[str, Finding] = {}
    later: list[tuple[ObjectNode, Scan]] = []
    checks = {**CHECKS, **more}
    budget = _MAX_READ * size + limits.MIB
    has_widths = widths.are_recorded(trace.objects)
    for node in trace.objects:
        with _collect_errors(findings, node):
            settings.require_known_output(node)
            if has_widths:
                widths.require_recorded(node)
            for item in _scans(node, findings, checks):
                budget -= item.cost + _MIN_COST
                require(budget > 0, "it shares its arrays with more objects than models do")
                if isinstance(item.content, Blob):
                    later.append((node, item))
                else:
                    run(item)
    _read_again(later, findings, file, container)
    return list(findings.values())


def _scans(
    node: ObjectNode, findings: dict[str, Finding], checks: Mapping[str, Check]
) -> Iterable[Scan]:
    key = class_key(node)
    rule = checks.get(_name(key))
    return rule(node) if rule and key not in findings else ()


def _name(key: str) -> str:
    """As in the table: the package, of a `newObj` the module, and the last name."""
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
        message = f"{key.replace(':', '.')} cannot be what it says: {problem}"
        findings.setdefault(key, Finding(CODE, message, node.offset, node.opcode, key))


def _read_again(
    later: list[tuple[ObjectNode, Scan]],
    findings: dict[str, Finding],
    file: BinaryIO,
    container: str,
) -> None:
    """What was too long to be kept, in one pass over the file."""
    wanted: dict[Part, list[tuple[ObjectNode, Scan]]] = {}
    for node, found in later:
        wanted.setdefault(found.place, []).append((node, found))
    for place, group in groupby(reread_parts(file, container, sorted(wanted)), itemgetter(0)):
        readers = [(node, Feeder(found)) for node, found in wanted[place]]
        for _, piece in group:
            for node, reader in readers:
                with _collect_errors(findings, node):
                    reader.feed(piece)
        for node, reader in readers:
            with _collect_errors(findings, node):
                reader.finish()
