"""Values that people pass to estimators or save with them: functions, types, distributions.

Each is saved unchanged, so that the file has the name by which a release knows it.
"""

import collections
import datetime
import functools
import inspect
import re

import numpy as np

import samples as s


def makers():
    """name -> function, of every group of values."""
    found = [v for k, v in globals().items() if k.startswith("value_")]
    return {"value-" + make.__name__[6:]: make for make in found}


def _public(module, keep):
    values = [getattr(module, name) for name in dir(module) if not name.startswith("_")]
    return [value for value in values if keep(value)]


def _is_ufunc(value):
    return isinstance(value, np.ufunc)


def _is_own_function(value):
    return inspect.isfunction(value) and value.__module__.startswith("sklearn.")


def value_ufuncs_of_numpy():
    return _public(np, _is_ufunc)


def value_ufuncs_of_scipy():
    from scipy import special

    return _public(special, _is_ufunc)


def value_functions_of_arrays():
    """Return the functions of numpy that return an array or a number."""
    names = ("amax amin argmax argmin around asarray average clip cumsum diff linalg.norm max mean "
             "median min nanmax nanmean nanmedian nanmin nanstd nansum nan_to_num prod ptp ravel "
             "round squeeze std sum var")  # fmt: skip
    return [v for v in (_reach(np, name) for name in names.split()) if v is not None]


def _reach(value, path):
    for name in path.split("."):
        value = getattr(value, name, None)
    return value


def value_types_of_numpy():
    found = [kind for kind in _all_subclasses(np.generic) if kind.__module__ == "numpy"]
    return [*found, np.ndarray, np.ma.MaskedArray, np.dtype("f8"), np.dtype("f4").newbyteorder()]


def _all_subclasses(cls):
    below = [cls]
    for kind in below:
        below += kind.__subclasses__()
    return below


def value_scalars_and_arrays():
    kinds = ("?", "i1", "i8", "u2", "f2", "f4", "f8", "g", "c16", "S3", "U3", "M8[s]", "m8[D]")
    arrays = [np.zeros(2, kind) for kind in kinds] + [np.array(["a", None, 1], dtype=object)]
    records = np.zeros(2, [("a", "i4"), ("b", "f8", (2,))])
    masked = np.ma.masked_invalid([1.0, np.nan])
    more = [records, records[0], masked, np.asfortranarray(s.X), np.array(1.0), np.ma.masked]
    return [[array[0] for array in arrays], arrays, more, np.poly1d([1, 2])]


def value_generators():
    found = [np.random.RandomState(0)]
    for name in ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"):
        if hasattr(np.random, name):
            found.append(np.random.Generator(getattr(np.random, name)(0)))
            found.append(getattr(np.random, name)(np.random.SeedSequence(5)))
            found.append(np.random.RandomState(getattr(np.random, name)(0)))
    return found


def value_matrices():
    from scipy import sparse

    formats = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
    kinds = [name + suffix for name in formats for suffix in ("_matrix", "_array")]
    return [getattr(sparse, kind)(s.X) for kind in kinds if hasattr(sparse, kind)]


def value_distributions():
    """Every distribution of scipy, and frozen as people hand them to a search."""
    from scipy import stats

    kinds = _public(stats, lambda v: isinstance(v, (stats.rv_continuous, stats.rv_discrete)))
    kinds = [kind for kind in kinds if type(kind).__name__.endswith("_gen")]
    frozen = [_frozen(kind) for kind in kinds]
    found = [
        *kinds,
        *filter(None, frozen),
        stats.uniform(0, 1),
        stats.norm(loc=1, scale=2),
        stats.randint(1, 5),
    ]
    return [*found, stats.loguniform(1, 2)] if hasattr(stats, "loguniform") else found


def _frozen(kind):
    try:
        return kind(*[0.5] * kind.numargs)
    except (TypeError, ValueError, IndexError):  # its parameters are arrays, or not one half
        return None


def value_metrics():
    from sklearn import metrics

    return _public(metrics, lambda v: _is_own_function(v) and "scor" not in v.__module__)


def value_scorers():
    from sklearn import metrics

    names = getattr(metrics, "get_scorer_names", None)
    named = names() if names else sorted(metrics.SCORERS)
    f1 = metrics.make_scorer(metrics.f1_score, average="macro")
    check = metrics.check_scoring
    from sklearn.linear_model import LogisticRegression

    return [*map(metrics.get_scorer, named), f1, check(LogisticRegression()), check]


def value_kernels_and_distances():
    from sklearn.metrics import pairwise

    tables = (pairwise.PAIRWISE_KERNEL_FUNCTIONS, pairwise.PAIRWISE_DISTANCE_FUNCTIONS)
    functions = [v for table in tables for v in table.values() if _is_own_function(v)]
    return functions + _public(pairwise, _is_own_function)


def value_distances_of_scipy():
    from scipy.spatial import distance

    return _public(distance, lambda v: inspect.isfunction(v) and v.__module__ == distance.__name__)


def value_scores_of_features():
    from sklearn import feature_selection as selection

    partials = [functools.partial(selection.f_regression, center=False)]
    return _public(selection, _is_own_function) + partials


def value_functions_of_preprocessing():
    from sklearn import preprocessing

    return _public(preprocessing, _is_own_function)


def value_splitters():
    from sklearn import model_selection

    def is_splitter(value):
        return inspect.isclass(value) and hasattr(value, "split") and not inspect.isabstract(value)

    special = {"PredefinedSplit": ([0, 1],), "LeavePOut": (2,), "LeavePGroupsOut": (2,)}
    kinds = _public(model_selection, is_splitter)
    return [kind(*special.get(kind.__name__, ())) for kind in kinds]


def value_split_iterators():
    from sklearn.model_selection import check_cv

    return [check_cv(3), check_cv([([0, 1], [2])]), list(check_cv(2).split(s.X))]


def value_kernels_of_gaussian_processes():
    from sklearn.gaussian_process import kernels as k

    simple = [k.ConstantKernel(), k.DotProduct(), k.ExpSineSquared(), k.Matern(), k.RBF(),
              k.PairwiseKernel(), k.RationalQuadratic(), k.WhiteKernel()]  # fmt: skip
    f1 = [simple[4] + simple[7], simple[0] * simple[4], simple[4] ** 2]
    return [*simple, *f1, k.CompoundKernel([simple[4], simple[3]]), simple[4].hyperparameters]


def value_distance_metrics():
    try:
        from sklearn.metrics import DistanceMetric
    except ImportError:
        from sklearn.neighbors import DistanceMetric
    plain = ("euclidean manhattan chebyshev hamming canberra braycurtis matching jaccard dice "
             "kulsinski rogerstanimoto russellrao sokalmichener sokalsneath haversine")  # fmt: skip
    found = [_metric(DistanceMetric, name) for name in plain.split()]
    found += [
        _metric(DistanceMetric, "minkowski", p=3),
        _metric(DistanceMetric, "wminkowski", p=3, w=np.ones(4)),
        _metric(DistanceMetric, "seuclidean", V=np.ones(4)),
        _metric(DistanceMetric, "mahalanobis", V=np.eye(4)),
    ]
    singles = [_metric(DistanceMetric, name, dtype=np.float32) for name in plain.split()]
    return [metric for metric in found + singles if metric is not None]


def _metric(cls, name, dtype=None, **parameters):
    try:
        arguments = (name,) if dtype is None else (name, dtype)
        return cls.get_metric(*arguments, **parameters)
    except (TypeError, ValueError):
        return None


def value_types_of_python():
    return [bool, bytes, complex, dict, float, frozenset, int, list, object, set, str, tuple]


def value_containers():
    ordered = collections.OrderedDict([("a", 1)])
    default = collections.defaultdict(list, a=[1])
    counts = collections.defaultdict(int, a=1)
    queue = collections.deque([1, 2], maxlen=5)
    return [ordered, default, counts, collections.deque([1]), queue, collections.Counter("aab"),
            range(1, 5), slice(1, 2), 1 + 2j, {1, 2}, frozenset([1]), bytearray(b"ab"), b"ab",
            "text", 1, 2**70, 1.5, None, True, Ellipsis, NotImplemented]  # fmt: skip


def value_patterns():
    return [re.compile("a+"), re.compile(b"a+", re.IGNORECASE)]


def value_times():
    found = [datetime.datetime(2020, 1, 2), datetime.date(2020, 1, 2), datetime.time(1, 2),
             datetime.timedelta(1), datetime.timezone.utc]  # fmt: skip
    return [*found, datetime.datetime(2020, 1, 2, tzinfo=datetime.timezone.utc)]


def value_bunch():
    from sklearn.utils import Bunch

    return [Bunch(data=s.X, target=s.LABELS)]


def value_frames():
    import pandas as pd

    frame = s.frame()
    wide = pd.DataFrame(s.X, columns=list("abcd"))
    return [
        frame,
        wide,
        wide["a"],
        frame["kind"],
        frame.dtypes,
        frame.groupby("colour").size(),
        wide.set_index(["a", "b"]),
        pd.get_dummies(frame[["colour"]]),
        frame.iloc[:0],
    ]


def value_indexes():
    import pandas as pd

    days = pd.date_range("2020-01-01", periods=3)
    return [pd.Index(["a", "b"]), pd.Index([1, 2]), pd.Index([1.5]), pd.RangeIndex(3), days,
            pd.Index([True, False]), pd.MultiIndex.from_product([[1, 2], ["a"]]),
            pd.CategoricalIndex(["a"]), pd.timedelta_range("1D", periods=2),
            pd.interval_range(0, 3), pd.period_range("2020-01", periods=2, freq="M"),
            pd.DatetimeIndex(days, tz="UTC")]  # fmt: skip


def value_scalars_of_pandas():
    import pandas as pd

    found = [pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-01", tz="UTC"), pd.NaT,
             pd.Timedelta("1D"), pd.Interval(0, 1), pd.Period("2020-01", "M")]  # fmt: skip
    return [*found, getattr(pd, "NA", None)]


def value_columns_of_pandas():
    import pandas as pd

    kinds = ("Int64", "UInt8", "Float64", "boolean", "string", "category", "datetime64[ns]")
    found = [_series(pd, kind) for kind in kinds]
    return [column for column in found if column is not None] + [
        pd.Series(["2020-01-01"]).astype("datetime64[ns]").dt.tz_localize("UTC"),
        pd.Series(["a"], dtype=pd.CategoricalDtype(["a", "b"], ordered=True)),
    ]


def _series(pd, kind):
    value = "2020-01-01" if kind.startswith("date") else 1
    try:
        return pd.Series(["a"] if kind == "string" else [value], dtype=kind)
    except TypeError:
        return None


def value_types_of_pandas():
    import pandas as pd

    return [pd.DataFrame, pd.Series, pd.Index, pd.Timestamp, pd.CategoricalDtype(["a"])]
