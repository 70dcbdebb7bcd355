"""Which contract of modelpack.inspection.contracts each name keeps, and what evidence misses."""

from __future__ import annotations

from fnmatch import fnmatchcase

# Patterns of "module:name", the first that fits; the allowlist itself holds exact names only.
CONTRACTS = {
    "*:__pyx_unpickle_NDArrayBacked": "extension",
    "*:__pyx_unpickle_PeriodMixin": "extension",
    "*:__pyx_unpickle_IntervalMixin": "extension",
    "sklearn._loss.glm_distribution:DistributionBoundary": "fields",
    "*:__pyx_unpickle_*": "cython",
    "sklearn.*:newObj": "of_module",
    "sklearn.tree._tree:Tree": "tree",
    "sklearn.*sgd_fast:*": "numbers",
    "*_loss:Cy*": "numbers",
    "sklearn.gaussian_process.kernels:Hyperparameter": "fields",
    "sklearn.impute._iterative:_ImputerTriplet": "fields",
    "sklearn.impute:_ImputerTriplet": "fields",
    "sklearn.grid_search:_CVScoreTuple": "fields",
    "sklearn.feature_extraction.text:*Vectorizer": "vectorizer",
    "scipy.interpolate._bsplines:BSpline": "spline",
    "scipy.stats.*:*_gen": "distribution",
    "statsmodels.base.data:*Data": "formula",
    "statsmodels.tools.decorators:ResettableCache": "statsmodels_cache",
    "*builtin*:bytes": "bytes",
    "*builtin*:bytearray": "bytes",
    "*builtin*:set": "collection",
    "*builtin*:frozenset": "collection",
    "*builtin*:list": "collection",
    "*builtin*:complex": "complex",
    "*builtin*:range": "range",
    "*builtin*:xrange": "range",
    "*builtin*:slice": "slice",
    "*builtin*:getattr": "getattr",
    "copy*reg:_reconstructor": "reconstructor",
    "_codecs:encode": "encode",
    "collections:OrderedDict": "ordered",
    "collections:defaultdict": "defaultdict",
    "collections:deque": "deque",
    "collections:Counter": "counter",
    "datetime:date": "moment",
    "datetime:time": "moment",
    "datetime:datetime": "moment",
    "datetime:timedelta": "duration",
    "datetime:timezone": "timezone",
    "pytz:_UTC": "nothing",
    "pytz:_p": "named_zone",
    "pytz:FixedOffset": "fixed_zone",
    "zoneinfo:ZoneInfo._unpickle": "zone_file",
    "functools:partial": "partial",
    "re:_compile": "pattern",
    "re:RegexFlag": "pattern_flags",
    "logging:getLogger": "logger",
    "numpy.*core.*multiarray*:_reconstruct": "array",
    "numpy.*core.*multiarray*:scalar": "scalar",
    "numpy.*core.numeric:_frombuffer": "buffer",
    "numpy*core:_ufunc_reconstruct": "ufunc",
    "numpy.ma.core:_mareconstruct": "masked",
    "numpy.ma.core:MaskedConstant": "nothing",
    "numpy:dtype": "dtype",
    "numpy.random._pickle:__bit_generator_ctor": "bit_generator",
    "numpy.random._pickle:__generator_ctor": "generator",
    "numpy.random*:__randomstate_ctor": "random_state",
    "numpy.random:__RandomState_ctor": "random_state",
    "pandas.*:_new_*Index": "index",
    "pandas._libs.internals:_unpickle_block": "block",
    "pandas.core.internals.blocks:new_block": "block",
    "pandas.core.internals.managers:BlockManager": "manager",
    "pandas.*:_unpickle_timestamp": "timestamp",
    "pandas.*:Timestamp": "timestamp",
    "pandas.*:_timedelta_unpickle": "timedelta",
    "pandas.*:Timedelta": "timedelta",
    "pandas.*:*_nat_unpickle": "none",
    "pandas*:ArrowStringArray*": "arrow_strings",
    "pandas*:ArrowExtensionArray": "arrow_column",
    "pandas*:ArrowDtype": "arrow_column_type",
    "pandas*:IntervalDtype": "interval_type",
    "pandas*:SparseArray": "sparse_column",
    "pandas*:SparseDtype": "sparse_type",
    "pandas._libs.sparse:BlockIndex": "sparse_blocks",
    "pandas._libs.sparse:IntIndex": "sparse_index",
    "pyarrow.lib:decimal128": "arrow_decimal",
    "pyarrow.lib:timestamp": "arrow_timestamp",
    "pyarrow.lib:chunked_array": "arrow_chunks",
    "pyarrow.lib:_restore_array": "arrow_array",
    "pyarrow.lib:py_buffer": "arrow_buffer",
    "pyarrow.lib:type_for_alias": "arrow_type",
    "pandas*:Interval": "interval",
    "pandas*:Period": "period",
    "pandas*offsets:*": "offset",
    "pandas*:*Dtype": "column_type",
    "*joblib.memory:Memory": "cache",
    "*joblib.memory:NotMemorizedFunc": "not_cached",
    "*joblib._store_backends:FileSystemStoreBackend": "cache_folder",
    "dill._dill:_create_array": "translated",
    "dill._dill:_create_ftype": "translated",
    "dill._dill:_get_attr": "translated",
    "dill._dill:_import_module": "translated",
    "dill._dill:_load_type": "translated",
}

_PYTHON_2 = "Python 2 writes it, and no release of it is run here"
_SINGLE = "a distance of 32 bits with parameters, which no estimator of the samples keeps"
_QUANTILE = "of losses that need one more parameter than the samples choose at a time"
_LINKS = "statsmodels 0.12 and before write it, which no release here has"
_RESETTABLE = "statsmodels 0.9 and before write it, which no release here has"
_CACHE = "of the parameter memory, which no sample has"
_NUMPY_1_16_0 = "only numpy 1.16.0 writes it, which no release here has"
_BY_DILL = "dill writes it, and the samples are saved by pickle and joblib"
_IN_TRAINING = "of the parameter callbacks, which no sample has"
_BEFORE_0_20 = "scikit-learn 0.19 and before write it, which no release here is"
_OLD_ESTIMATORS = {
    "covariance.outlier_detection": "EllipticEnvelope",
    "decomposition.nmf": "ProjectedGradientNMF",
    "decomposition.pca": "RandomizedPCA",
    "gaussian_process.gaussian_process": "GaussianProcess",
    "grid_search": "GridSearchCV RandomizedSearchCV _CVScoreTuple",
    "lda": "LDA",
    "mixture.dpgmm": "DPGMM VBGMM",
    "mixture.gmm": "GMM",
    "preprocessing.data": "OneHotEncoder",
    "qda": "QDA",
}
_OLD_FUNCTIONS = {
    "correlation_models": "absolute_exponential cubic generalized_exponential linear pure_nugget "
    "squared_exponential",
    "regression_models": "constant linear quadratic",
}
_UNUSED = "no sample transforms its rows with it"
_ELSEWHERE = "a ufunc knows no module, and pickle takes the first that has its name"
_UFUNCS = {
    "numpy.core.umath": "absolute arccos arccosh arcsin arcsinh arctan arctanh cbrt ceil conjugate "
    "cos cosh deg2rad degrees exp exp2 expm1 fabs floor isfinite isinf isnan log log10 log1p log2 "
    "logical_not maximum minimum negative rad2deg radians reciprocal rint sign signbit sin sinh "
    "spacing sqrt square tan tanh trunc",
    "numpy.core.arrayprint": "absolute isfinite isinf isnan isnat not_equal",
    "numpy.core.getlimits": "exp2 log10",
    "numpy.fft._pocketfft": "conjugate sqrt",
    "numpy.fft.fftpack": "conjugate sqrt",
    "numpy.lib.function_base": "absolute add arctan2 ceil cos exp floor less_equal log10 "
    "multiply not_equal sin sqrt subtract",
    "numpy.lib.twodim_base": "absolute greater_equal multiply",
    "numpy.lib.type_check": "isnan",
    "numpy.linalg.linalg": "add divide isfinite isnan matmul maximum multiply sign sqrt",
    "scipy.stats._discrete_distns": "ceil cosh exp expm1 floor log log1p sinh sqrt tanh",
    "scipy.stats._distn_infrastructure": "exp floor log sqrt",
    "scipy.stats.kde": "exp sqrt",
    "scipy.stats.morestats": "ceil cos exp floor log sin sqrt",
}
_ROW_FUNCTIONS = {
    "numpy": "angle array asanyarray asarray asarray_chkfinite ascontiguousarray asfarray "
    "atleast_2d copy fix i0 imag iscomplex isneginf isposinf isreal real real_if_close sinc unwrap",
    "scipy.special._basic": "erfcinv erfinv softplus zeta",
    "scipy.special._logsumexp": "log_softmax softmax",
    "scipy.special.basic": "ellipk ellipkm1 erfcinv erfinv gamma gammaln ndtri zeta",
    "scipy.stats._multivariate": "psi",
}
"""Functions that compute a value from each value, or a row from each row. Ufuncs that have moved
since scipy 0.19 are among them.
"""

_OLD_NUMPY = {
    "numpy.core.multiarray": "array",
    "numpy.core.numeric": "asanyarray asarray ascontiguousarray",
    "numpy.core.shape_base": "atleast_2d",
    "numpy.lib.ufunclike": "fix isneginf isposinf",
    "numpy.core.fromnumeric": "amax amin argmax argmin around clip cumsum mean prod ptp ravel "
    "round_ squeeze std sum var",
    "numpy.lib.function_base": "angle asarray_chkfinite average copy diff i0 median sinc unwrap",
    "numpy.lib.nanfunctions": "nanmax nanmean nanmedian nanmin nanstd nansum",
    "numpy.lib.type_check": "asfarray imag iscomplex isreal nan_to_num real real_if_close",
}
"""Functions that numpy since 1.17 writes as those of the module numpy."""

_ARROW = "pandas writes texts so where pyarrow is installed, which it is in no release here"
_COLUMNS = "of columns in frames that an estimator keeps, which no sample has"
_OFFSETS = (
    "BusinessDay BusinessMonthBegin BusinessMonthEnd Hour Micro Milli Minute MonthBegin Nano "
    "QuarterBegin QuarterEnd Second Week YearBegin YearEnd"
)
_INTERVALS = (".arrays:IntervalArray", ".core.arrays.interval:IntervalArray")
_SINCE_3 = (
    ".arrays:ArrowExtensionArray", ".arrays:SparseArray", ":ArrowDtype", ":IntervalDtype",
    ":SparseDtype",
)  # fmt: skip
_BEFORE_3 = (
    "arrays.arrow.array:ArrowExtensionArray", "arrays.arrow.dtype:ArrowDtype",
    "arrays.sparse.array:SparseArray", "arrays.sparse.dtype:SparseDtype",
    "arrays.sparse:SparseArray", "arrays.sparse:SparseDtype", "dtypes.dtypes:ArrowDtype",
    "dtypes.dtypes:IntervalDtype", "dtypes.dtypes:SparseDtype",
)  # fmt: skip
_NUMBERS = "Int8 Int16 Int32 UInt16 UInt32 UInt64"
# Names without evidence: "module:name" -> its roles, and why no file shows it.
BEYOND: dict[str, tuple[list[str], str]] = {
    **{
        f"{module}:{name}": (["ref"], _ELSEWHERE)
        for module, found in _UFUNCS.items()
        for name in found.split()
    },
    **{
        f"{module}:{name}": (["ref"], "numpy before 1.17 writes it")
        for module, found in _OLD_NUMPY.items()
        for name in found.split()
    },
    **{
        f"{module}:{name}": (["ref"], _UNUSED)
        for module, found in _ROW_FUNCTIONS.items()
        for name in found.split()
    },
    **{
        f"sklearn.{module}:{name}": (["new"], _BEFORE_0_20)
        for module, found in _OLD_ESTIMATORS.items()
        for name in found.split()
    },
    **{
        f"sklearn.gaussian_process.{module}:{name}": (["ref"], _BEFORE_0_20)
        for module, found in _OLD_FUNCTIONS.items()
        for name in found.split()
    },
    "sklearn.utils.fixes:MaskedArray": (["ref"], _BEFORE_0_20),
    "builtins:hash": (["ref"], "models of gensim keep the function"),
    "builtins:object": (["new"], "tokenizers of nltk keep an object without attributes"),
    "logging:getLogger": (["call"], "the user's own classes keep their logger"),
    "re:RegexFlag": (["call"], "tokenizers of nltk keep the flags of their pattern"),
    "dill._dill:_create_array": (["call"], _BY_DILL),
    "dill._dill:_create_ftype": (["call"], _BY_DILL),
    "dill._dill:_get_attr": (["call"], _BY_DILL),
    "dill._dill:_import_module": (["call"], _BY_DILL),
    "dill._dill:_load_type": (["call"], _BY_DILL),
    "joblib._store_backends:FileSystemStoreBackend": (["new"], _CACHE),
    "joblib.memory:Memory": (["call", "new"], _CACHE),
    "joblib.memory:NotMemorizedFunc": (["new"], _CACHE),
    "numpy.core._multiarray_umath:_reconstruct": (["call"], _NUMPY_1_16_0),
    "numpy.core._multiarray_umath:scalar": (["call"], _NUMPY_1_16_0),
    "sklearn.externals.joblib._store_backends:FileSystemStoreBackend": (["new"], _CACHE),
    "sklearn.externals.joblib.memory:Memory": (["call", "new"], _CACHE),
    "sklearn.externals.joblib.memory:NotMemorizedFunc": (["new"], _CACHE),
    "xgboost.callback:EarlyStopping": (["new"], _IN_TRAINING),
    "xgboost.callback:EvaluationMonitor": (["new"], _IN_TRAINING),
    "xgboost.callback:TrainingCheckPoint": (["new"], _IN_TRAINING),
    "xgboost.collective:communicator_print": (["ref"], _IN_TRAINING),
    "xgboost.compat:XGBoostLabelEncoder": (["new"], "XGBoost 1.0 to 1.5 writes it"),
    "xgboost.rabit:tracker_print": (["ref"], _IN_TRAINING),
    "__builtin__:int": (["ref"], _PYTHON_2),
    "__builtin__:str": (["ref"], _PYTHON_2),
    **{f"pandas:{name}Dtype": (["new"], _COLUMNS) for name in (*_NUMBERS.split(), "Float32")},
    **{f"pandas.core.arrays.integer:{name}Dtype": (["new"], _COLUMNS) for name in _NUMBERS.split()},
    "pandas.core.arrays.floating:Float32Dtype": (["new"], _COLUMNS),
    "pandas.core.indexes.numeric:UInt64Index": (["ref"], _COLUMNS),
    **{f"pandas._libs.tslibs.offsets:{name}": (["call"], _COLUMNS) for name in _OFFSETS.split()},
    **{f"pandas.tseries.offsets:{name}": (["new"], _COLUMNS) for name in _OFFSETS.split()},
    "pytz:_p": (["call"], _COLUMNS),
    "pytz:FixedOffset": (["call"], _COLUMNS),
    "zoneinfo:ZoneInfo": (["ref"], _COLUMNS),
    "zoneinfo:ZoneInfo._unpickle": (["call"], _COLUMNS),
    "pandas.arrays:ArrowStringArray": (["new"], _ARROW),
    "pandas.core.arrays.string_arrow:ArrowStringArray": (["new"], _ARROW),
    "pandas.core.arrays.string_arrow:ArrowStringArrayNumpySemantics": (["new"], _ARROW),
    "pandas._libs.interval:__pyx_unpickle_IntervalMixin": (["call"], _COLUMNS),
    "pandas._libs.sparse:BlockIndex": (["call"], _COLUMNS),
    "pandas._libs.sparse:IntIndex": (["call"], _COLUMNS),
    **{f"pandas{key}": (["ref"], _COLUMNS) for key in _INTERVALS},
    **{f"pandas{key}": (["new"], _COLUMNS) for key in _SINCE_3},
    **{f"pandas.core.{key}": (["new"], _COLUMNS) for key in _BEFORE_3},
    "pyarrow.lib:decimal128": (["call"], _ARROW),
    "pyarrow.lib:timestamp": (["call"], _ARROW),
    "pyarrow.lib:chunked_array": (["call"], _ARROW),
    "pyarrow.lib:_restore_array": (["call"], _ARROW),
    "pyarrow.lib:py_buffer": (["call"], _ARROW),
    "pyarrow.lib:type_for_alias": (["call"], _ARROW),
    "sklearn.metrics._dist_metrics:MahalanobisDistance32": (["ref"], _SINGLE),
    "sklearn.metrics._dist_metrics:MinkowskiDistance32": (["ref"], _SINGLE),
    "sklearn.metrics._dist_metrics:SEuclideanDistance32": (["ref"], _SINGLE),
    "scipy.interpolate._bsplines:_BSpline": (
        ["new"],
        "scipy 1.18 writes it, which no release here was fitted with",
    ),
    "statsmodels.genmod.families.links:log": (["new"], _LINKS),
    "statsmodels.genmod.families.links:logit": (["new"], _LINKS),
    "statsmodels.tools.decorators:ResettableCache": (["items", "new"], _RESETTABLE),
    "_loss:CyHalfMultinomialLoss": (["call"], "skops calls it, and pickle does not"),
    "sklearn._loss._loss:CyHalfMultinomialLoss": (["call"], "skops calls it, and pickle does not"),
    "sklearn._loss._loss:__pyx_unpickle_CyExponentialLoss": (["call"], _QUANTILE),
    "sklearn._loss._loss:__pyx_unpickle_CyHuberLoss": (["call"], _QUANTILE),
    "sklearn._loss._loss:__pyx_unpickle_CyPinballLoss": (["call"], _QUANTILE),
}


def contract(key: str) -> str | None:
    """The contract of a "module:name", or None if it needs none."""
    return next((name for pattern, name in CONTRACTS.items() if fnmatchcase(key, pattern)), None)
