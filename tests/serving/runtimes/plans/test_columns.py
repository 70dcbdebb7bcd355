"""Plans of the steps before the final estimator: scale, impute, encode, join columns."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from plan_checks import compare, compile_plan, falls_back, random_rows
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.datasets import make_classification
from sklearn.feature_selection import RFE, SelectFromModel, SelectKBest, VarianceThreshold
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)

from modelpack.serving.data.columns import FallbackRequiredError
from modelpack.serving.runtimes.plans import UnplannedError

NAN = float("nan")
WIDTH = 9
NUMBERS = ["height", "weight", "visits", "ratio"]
TEXTS = ["city", "job", "kind"]
NAMES = [*NUMBERS, *TEXTS, "old"]

TRANSFORMERS: dict[str, Any] = {
    "standard": StandardScaler,
    "centred": lambda: StandardScaler(with_std=False),
    "stretched": lambda: StandardScaler(with_mean=False),
    "min-max": MinMaxScaler,
    "clipped": lambda: MinMaxScaler((-1, 2), clip=True),
    "max-abs": MaxAbsScaler,
    "robust": RobustScaler,
    "robust scale": lambda: RobustScaler(with_centering=False),
    "l2": Normalizer,
    "l1": lambda: Normalizer("l1"),
    "binary": lambda: Binarizer(threshold=0.3),
    "yeo-johnson": PowerTransformer,
    "yeo-johnson alone": lambda: PowerTransformer(standardize=False),
    "quantiles": lambda: QuantileTransformer(n_quantiles=50),
    "normal quantiles": lambda: QuantileTransformer(n_quantiles=50, output_distribution="normal"),
    "squares": PolynomialFeatures,
    "interactions": lambda: PolynomialFeatures(3, interaction_only=True, include_bias=False),
    "cubes": lambda: PolynomialFeatures(3),
    "bins": lambda: KBinsDiscretizer(4, encode="ordinal"),
    "bins dense": lambda: KBinsDiscretizer(4, encode="onehot-dense"),
    "bins uniform": lambda: KBinsDiscretizer(5, encode="onehot-dense", strategy="uniform"),
    "identity": FunctionTransformer,
    "cube root": lambda: FunctionTransformer(np.cbrt),
    "validated": lambda: FunctionTransformer(np.cbrt, validate=True),
    "best": lambda: SelectKBest(k=4),
    "varying": VarianceThreshold,
    "by model": lambda: SelectFromModel(LogisticRegression()),
    "eliminated": lambda: RFE(LogisticRegression(max_iter=20), n_features_to_select=6, step=3),
    "union": lambda: FeatureUnion([("a", StandardScaler()), ("b", MinMaxScaler())]),
    "weighed union": lambda: FeatureUnion(
        [("a", SelectKBest(k=2)), ("b", "drop"), ("c", MinMaxScaler()), ("d", "passthrough")],
        transformer_weights={"c": 0.3},
    ),
    "columns": lambda: ColumnTransformer(
        [("a", StandardScaler(), [0, 3]), ("b", "drop", slice(4, 6)), ("c", MinMaxScaler(), [1])],
        remainder="passthrough",
    ),
    "columns by mask": lambda: ColumnTransformer(
        [("a", RobustScaler(), [True] * 4 + [False] * 5), ("b", Binarizer(), slice(2, None))]
    ),
    "indicator": lambda: MissingIndicator(features="all"),
    "filled": SimpleImputer,
    "pipeline": lambda: Pipeline(
        [("a", StandardScaler()), ("b", "passthrough"), ("c", MinMaxScaler())], memory=None
    ),
}


@pytest.fixture(scope="module")
def labelled():
    return make_classification(300, WIDTH, n_informative=6, n_redundant=0, random_state=1)


def check(model: Any, rows: np.ndarray, methods: Sequence[str], single_rows: int = 12) -> None:
    """Compare plan and estimator, in one batch and for the first `single_rows` rows one by one."""
    plan = compile_plan(model)
    for method in methods:
        estimate = getattr(model, method)
        compare(plan.batch[method](rows), estimate(rows), method)
        one_by_one = np.concatenate([estimate(row.reshape(1, -1)) for row in rows[:single_rows]])
        compare(plan.row_by_row[method](rows)[:single_rows], one_by_one, method)


def before(transformer: Any) -> Any:
    """Return a classifier behind the transformer that needs one product with coefficients."""
    return make_pipeline(transformer, LogisticRegression(max_iter=30))


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_numbers(name, labelled):
    check_transformer(TRANSFORMERS[name], *labelled)


def check_transformer(make, rows, classes):
    """Alone, and before a model that any difference of memory layout would show in."""
    wide = random_rows(WIDTH, 500)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformer = make().fit(rows, classes)
        model = before(make()).fit(rows, classes)
        for values in (rows, wide):
            check_transform(transformer, values)
            check(model, values, ["predict_proba"])


def check_transform(transformer: Any, rows: np.ndarray) -> None:
    """The plan's transform of rows is the estimator's, at once and of each alone."""
    plan = compile_plan(transformer)
    expected = transformer.transform(rows)
    compare(plan.batch["transform"](rows), expected, "transform")
    compare(plan.row_by_row["transform"](rows), expected, "transform")
    assert np.isfinite(rows).all(), "parts do not write to what they are given"


@pytest.mark.parametrize("positive", [PowerTransformer("box-cox"), FunctionTransformer(np.log1p)])
def test_positive_numbers(positive, labelled):
    rows, classes = np.abs(labelled[0]) + 1e-3, labelled[1]
    model = before(positive).fit(rows, classes)
    check(model, np.abs(random_rows(WIDTH, 500)) + 1e-6, ["predict_proba"])
    rows[3, 3] = -2.0
    with np.errstate(invalid="ignore"):
        assert falls_back(compile_plan(model).batch["predict"], rows)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_rows_that_a_model_refuses_fall_back(name, labelled):
    """A step that removes a bad value from all sums refuses the row itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = before(TRANSFORMERS[name]()).fit(*labelled)
        planned = compile_plan(model).batch["predict"]
        for bad in (NAN, np.inf, -np.inf):
            for column in (0, WIDTH - 1):
                row = labelled[0][:1].copy()
                row[0, column] = bad
                check_doubtful(model, planned, row)


def check_doubtful(model: Any, planned: Any, row: np.ndarray) -> None:
    try:
        expected = model.predict(row)
    except ValueError:
        assert falls_back(planned, row)
        return
    if not falls_back(planned, row):
        compare(planned(row), expected, "predict")


IMPUTERS: dict[str, Any] = {
    "mean": SimpleImputer,
    "median": lambda: SimpleImputer(strategy="median"),
    "most frequent": lambda: SimpleImputer(strategy="most_frequent"),
    "constant": lambda: SimpleImputer(strategy="constant", fill_value=-7.5),
    "zero": lambda: SimpleImputer(missing_values=0.0),
    "told": lambda: SimpleImputer(add_indicator=True),
    "indicator": lambda: FeatureUnion(
        [("a", SimpleImputer()), ("b", MissingIndicator(features="all"))]
    ),
}


@pytest.mark.parametrize("name", IMPUTERS)
def test_missing_numbers(name, labelled):
    holes, classes = with_holes(labelled[0]), labelled[1]
    holes[:, 5] = 0.0 if name == "zero" else NAN  # nothing is known of this column
    if name == "zero":
        holes = np.nan_to_num(holes, nan=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make_pipeline(IMPUTERS[name](), StandardScaler(), LogisticRegression())
        model.fit(holes, classes)
        check(model, holes, ["predict_proba"])
        check(model, np.nan_to_num(with_holes(random_rows(WIDTH, 1000))), ["predict_proba"])
        if name != "zero":
            check(model, with_holes(random_rows(WIDTH, 1000)), ["predict_proba"])


def with_holes(rows: np.ndarray) -> np.ndarray:
    holes = rows.copy()
    holes[np.random.default_rng(5).random(rows.shape) < 0.2] = NAN
    return holes


def columns(count: int, seed: int = 0, missing: float = 0.15, unknown: bool = False) -> list[Any]:
    """Columns as a service reads them: floats, integers, texts and truth values."""
    generator = np.random.default_rng(seed)
    floats = [generator.normal(size=count) * 10.0**scale for scale in (0, 2, 3)]
    for column in floats[:2]:
        column[generator.random(count) < missing] = NAN
    generated = [floats[0], floats[1], generator.integers(-5, 90, count), floats[2]]
    for kinds in (3, 5, 12):
        words = np.empty(count, object)
        numbers = generator.integers(0, kinds, count)
        words[:] = [f"word {number}" for number in numbers]
        words[generator.random(count) < missing] = np.nan
        if unknown:
            words[generator.random(count) < 0.1] = "never met"
        generated.append(words)
    return [*generated, generator.integers(0, 2, count).astype(bool)]


def frame(series: list[Any]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            name: pd.Series(column, dtype=column.dtype)
            for name, column in zip(NAMES, series, strict=True)
        }
    )


def class_labels(values: list[Any]) -> np.ndarray:
    return (np.nan_to_num(values[0]) + values[2] / 50 > 0.5).astype(int)


FILL = SimpleImputer(strategy="median")
ENCODE = OneHotEncoder(handle_unknown="ignore")
WORDS = SimpleImputer(strategy="most_frequent")
CONSTANT = SimpleImputer(strategy="constant", fill_value="none")

TABLES: dict[str, Any] = {
    "tutorial": lambda: ColumnTransformer(
        [
            ("numbers", make_pipeline(FILL, StandardScaler()), NUMBERS),
            ("texts", make_pipeline(WORDS, ENCODE), TEXTS),
        ]
    ),
    "sparse": lambda: ColumnTransformer(
        [
            ("numbers", make_pipeline(FILL, StandardScaler()), NUMBERS),
            ("texts", make_pipeline(CONSTANT, ENCODE), TEXTS),
        ],
        sparse_threshold=1.0,
    ),
    "missing is a category": lambda: ColumnTransformer(
        [("numbers", FILL, NUMBERS), ("texts", OneHotEncoder(handle_unknown="ignore"), TEXTS)],
        remainder="passthrough",
    ),
    "dropped": lambda: ColumnTransformer(
        [
            ("numbers", make_pipeline(FILL, MinMaxScaler()), slice(0, 4)),
            ("texts", make_pipeline(CONSTANT, OneHotEncoder(drop="first")), [4, 5, 6]),
        ]
    ),
    "dropped if binary": lambda: ColumnTransformer(
        [("n", FILL, NUMBERS), ("t", OneHotEncoder(drop="if_binary"), [*TEXTS, "old"])]
    ),
    "rare": lambda: ColumnTransformer(
        [
            ("n", FILL, slice("height", "ratio")),
            (
                "t",
                make_pipeline(
                    CONSTANT, OneHotEncoder(min_frequency=40, handle_unknown="infrequent_if_exist")
                ),
                TEXTS,
            ),
        ]
    ),
    "rare and ignored": lambda: ColumnTransformer(
        [
            ("n", FILL, NUMBERS),
            (
                "t",
                make_pipeline(CONSTANT, OneHotEncoder(max_categories=3, handle_unknown="ignore")),
                TEXTS,
            ),
        ]
    ),
    "rare and dropped": lambda: ColumnTransformer(
        [
            ("n", FILL, NUMBERS),
            (
                "t",
                make_pipeline(
                    CONSTANT,
                    OneHotEncoder(
                        max_categories=3, drop="first", handle_unknown="infrequent_if_exist"
                    ),
                ),
                TEXTS,
            ),
        ]
    ),
    "ordinal": lambda: ColumnTransformer(
        [
            ("n", FILL, NUMBERS),
            (
                "t",
                OrdinalEncoder(
                    handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
                ),
                TEXTS,
            ),
        ]
    ),
    "rare ordinal": lambda: ColumnTransformer(
        [
            ("n", FILL, NUMBERS),
            (
                "t",
                make_pipeline(
                    OrdinalEncoder(
                        handle_unknown="use_encoded_value", unknown_value=-1, max_categories=4
                    ),
                    SimpleImputer(),
                ),
                TEXTS,
            ),
        ]
    ),
    "numbers as categories": lambda: ColumnTransformer(
        [
            ("n", FILL, ["height"]),
            ("c", OneHotEncoder(handle_unknown="ignore"), ["visits", "old"]),
            ("r", OneHotEncoder(handle_unknown="ignore"), ["ratio"]),
        ],
        sparse_threshold=0,
    ),
    "by callables": lambda: ColumnTransformer(
        [
            ("n", make_pipeline(FILL, StandardScaler()), make_column_selector("height|weight")),
            ("t", make_pipeline(WORDS, ENCODE), lambda table: ["kind", "city"]),
        ],
        remainder="drop",
    ),
    "weighed": lambda: ColumnTransformer(
        [
            ("n", make_pipeline(FILL, RobustScaler()), ["weight", "height"]),
            ("t", make_pipeline(WORDS, ENCODE), ["job"]),
            ("p", "passthrough", ["visits"]),
            ("e", StandardScaler(), []),
        ],
        transformer_weights={"n": 0.7, "t": 3.0},
    ),
    "remainder": lambda: ColumnTransformer(
        [("t", make_pipeline(WORDS, ENCODE), TEXTS), ("o", "drop", ["old"])],
        remainder=make_pipeline(FILL, PolynomialFeatures(), StandardScaler()),
    ),
    "union": lambda: ColumnTransformer(
        [
            (
                "n",
                FeatureUnion(
                    [
                        ("a", make_pipeline(FILL, StandardScaler())),
                        ("b", MissingIndicator(features="all")),
                    ]
                ),
                NUMBERS,
            ),
            ("t", make_pipeline(WORDS, ENCODE), TEXTS),
        ]
    ),
    "union of all": lambda: FeatureUnion(
        [
            ("n", ColumnTransformer([("n", FILL, NUMBERS)])),
            ("t", ColumnTransformer([("t", make_pipeline(WORDS, ENCODE), TEXTS)])),
        ]
    ),
    "dense": lambda: ColumnTransformer(
        [
            ("n", make_pipeline(FILL, StandardScaler(), Normalizer()), NUMBERS),
            ("t", make_pipeline(WORDS, ENCODE), TEXTS),
        ],
        sparse_threshold=0,
    ),
    "bins": lambda: ColumnTransformer(
        [
            ("n", make_pipeline(FILL, KBinsDiscretizer(4)), NUMBERS),
            ("t", make_pipeline(WORDS, ENCODE), TEXTS),
        ]
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables(name):
    check_table(TABLES[name]())


def check_table(transformer: Any) -> None:
    """The plan of a table's model gives the classes of the estimator, and what the steps before it
    give, for known, missing and unknown values: at once, and of each row alone.
    """
    table = columns(400)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformer.fit(frame(table), class_labels(table))
        planned = compile_plan(transformer, NAMES, "frame").batch["transform"]
        for rows in (table, columns(300, 2, unknown=True), columns(50, 3, 0)):
            check_rows(transformer, planned, rows)
            for index in range(4):
                check_rows(transformer, planned, [column[index : index + 1] for column in rows])


def check_rows(transformer: Any, planned: Any, rows: list[Any]) -> None:
    copies = [column.copy() for column in rows]
    try:
        expected = transformer.transform(frame(rows))
    except ValueError:
        assert falls_back(planned, rows)
        return
    try:
        got = planned(rows)
    except FallbackRequiredError:
        assert any(column.dtype.kind == "O" for column in rows)
        return
    compare(got, expected, "transform")
    for column, copied in zip(rows, copies, strict=True):
        pd.testing.assert_series_equal(pd.Series(column), pd.Series(copied))


def test_the_rows_of_tables_are_planned_and_not_doubted():
    """Doubts are for what is rare: the tables above are answered by their plans."""
    table = columns(400, missing=0.15)
    for name, make in TABLES.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            transformer = make().fit(frame(table), class_labels(table))
        planned = compile_plan(transformer, NAMES, "frame").batch["transform"]
        assert not falls_back(planned, columns(100, 1)), name


def test_a_whole_table_model():
    """The classifier gets what it would, in the order of memory that it would."""
    generated = columns(600)
    table = TABLES["tutorial"]()
    table.sparse_threshold = 0
    model = make_pipeline(table, LogisticRegression())
    model.fit(frame(generated), class_labels(generated))
    plan = compile_plan(model, NAMES, "frame")
    for seed in range(4):
        rows = columns(100 * seed + 1, seed, unknown=True)
        compare(plan.batch["predict_proba"](rows), model.predict_proba(frame(rows)), "proba")
        single_rows = [[column[n : n + 1] for column in rows] for n in range(min(15, len(rows[0])))]
        one_by_one = np.concatenate([model.predict_proba(frame(row)) for row in single_rows])
        compare(plan.row_by_row["predict_proba"](rows)[:15], one_by_one, "proba of each")


def test_frames_of_numbers(labelled):
    """A frame of floats alone comes as a matrix, or as columns if some are integers."""
    rows, classes = labelled
    names = [f"c{index}" for index in range(WIDTH)]
    table = pd.DataFrame(rows, columns=names)
    models = [
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        make_pipeline(
            ColumnTransformer(
                [("a", StandardScaler(), names[2:6]), ("b", MinMaxScaler(), ["c8", "c0"])],
                remainder="passthrough",
            ),
            LogisticRegression(),
        ),
    ]
    for model in models:
        model.fit(table, classes)
        plan = compile_plan(model, names, "frame")
        expected = model.predict_proba(pd.DataFrame(rows, columns=names))
        compare(plan.batch["predict_proba"](rows), expected, "proba")
        contiguous_columns = [np.ascontiguousarray(column) for column in rows.T]
        contiguous_columns[3] = np.arange(len(rows))
        by_name = pd.DataFrame(dict(zip(names, contiguous_columns, strict=True)))
        expected = model.predict_proba(by_name)
        compare(plan.batch["predict_proba"](contiguous_columns), expected, "proba of columns")
        single_rows = [model.predict_proba(by_name[n : n + 1]) for n in range(15)]
        compare(
            plan.row_by_row["predict_proba"](contiguous_columns)[:15],
            np.concatenate(single_rows),
            "proba of each",
        )


def test_names_in_another_order_than_fitted():
    table = columns(300)
    model = TABLES["remainder"]()
    model.fit(frame(table), class_labels(table))
    turned = NAMES[::-1]
    plan = compile_plan(model, turned, "frame")
    rows = columns(40, 7)
    expected = model.transform(frame(rows))
    compare(plan.batch["transform"](rows[::-1]), expected, "transform")


@pytest.mark.parametrize(
    "step",
    [
        KNNImputer(),
        FunctionTransformer(lambda block: block * 2),
        FunctionTransformer(np.cbrt, kw_args={"where": True}),
        make_pipeline(StandardScaler(), SplineTransformer()),
        StandardScaler().set_output(transform="pandas"),
        ColumnTransformer([("a", StandardScaler().set_output(transform="pandas"), [0])]),
    ],
    ids=lambda step: type(step).__name__,
)
def test_no_plan(step, labelled):
    model = before(step)
    try:
        model.fit(*labelled)
    except TypeError:
        pytest.skip("this version does not take it")
    with pytest.raises(UnplannedError):
        compile_plan(model)


def test_unknown_categories_are_left_to_the_estimator():
    table = columns(100, missing=0)
    encoder = OneHotEncoder().fit(frame(table)[["city"]])
    planned = compile_plan(encoder, ["city"], "frame").batch["transform"]
    for value in ("nowhere", NAN, np.inf):
        column = np.empty(1, object)
        column[:] = [value]
        assert falls_back(planned, [column])
    assert falls_back(planned, [np.array([1.0])])
    assert not falls_back(planned, [table[4]])


@pytest.mark.parametrize("step", [Normalizer(), Normalizer("l1"), PowerTransformer()])
def test_sums_and_functions_of_rows_that_come_as_columns(step):
    """The memory layout of rows determines how numpy adds them up; a single row has one layout."""
    generator = np.random.default_rng(3)
    names = [f"c{index}" for index in range(40)]
    table = pd.DataFrame({name: generator.normal(size=80) for name in names})
    table["c7"] = np.arange(80)
    model = make_pipeline(step, LogisticRegression()).fit(table, np.arange(80) % 2)
    plan = compile_plan(model, names, "frame")
    rows = [table[name].to_numpy() for name in names]
    compare(plan.batch["predict_proba"](rows), model.predict_proba(table), "proba")
    single_rows = np.concatenate([model.predict_proba(table[n : n + 1]) for n in range(80)])
    compare(plan.row_by_row["predict_proba"](rows), single_rows, "proba of each")


def test_unseen_missing_values_have_no_plan_result():
    generated = columns(100, missing=0)
    table = frame(generated)[["city", "ratio"]].round(-3)
    for encoder in (
        OneHotEncoder(handle_unknown="ignore"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-7),
    ):
        encoder.fit(table)
        planned = compile_plan(encoder, list(table), "frame").batch["transform"]
        rows = [np.array(["word 1", NAN], object), np.array([NAN, 0.0])]
        request = pd.DataFrame({"city": pd.Series(rows[0], dtype=object), "ratio": rows[1]})
        compare(planned(rows), encoder.transform(request), "transform")


def test_fillings_have_the_type_of_the_training_rows():
    generator = np.random.default_rng(1)
    rows = generator.normal(size=(50, 4)).astype(np.float32)
    imputer = SimpleImputer(strategy="constant", fill_value=np.float32(0.1)).fit(rows)
    holes = np.array([[NAN, 1.0, NAN, 0.1]])
    compare(compile_plan(imputer).batch["transform"](holes), imputer.transform(holes), "transform")
