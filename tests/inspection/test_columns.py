"""Facts about each column of a ColumnTransformer."""

import numpy as np
import pandas as pd
import pytest
from saving import save_and_inspect
from sklearn.compose import (
    ColumnTransformer,
    make_column_selector,
    make_column_transformer,
)
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    BaggingRegressor,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier
from xgboost import XGBRegressor

from modelpack.inspection import require_servable
from modelpack.inspection.facts.columns import Column
from modelpack.inspection.facts.estimators import EstimatorNode
from modelpack.inspection.facts.transformers import describe
from modelpack.inspection.nodes import Global

X, Y = load_iris(return_X_y=True)
FLOWERS = pd.DataFrame(X, columns=["a", "b", "c", "d"])


@pytest.fixture(scope="module")
def people():
    return pd.DataFrame(
        {
            "age": [20.0, 30.0, np.nan, 50.0],
            "city": ["Bern", "Rome", "Rome", None],
            "rank": [1, 2, 3, 1],
            "member": [True, False, True, True],
            "about": ["likes dogs", "likes cats", "fears dogs", "likes dogs"],
            "unused": [0, 0, 0, 0],
        }
    ).astype({"city": object, "about": object})


@pytest.fixture(scope="module")
def model(people):
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["age"]),
            ("words", OneHotEncoder(handle_unknown="ignore"), ["city"]),
            ("levels", OrdinalEncoder(), ["rank", "member"]),
            ("text", TfidfVectorizer(), "about"),
        ]
    )
    return make_pipeline(columns, LogisticRegression()).fit(people, [0, 1, 1, 0])


@pytest.mark.parametrize("how", [2, 5, None])
def test_fields_of_mixed_columns(model, people, tmp_path, how):
    spec = save_and_inspect(model, tmp_path / "m", how)
    require_servable(spec)
    fields = {field.name: field for field in spec.signature.inputs}
    assert list(fields) == list(people.columns)
    assert (spec.signature.layout, spec.signature.named) == ("frame", True)
    assert spec.requirements["pandas"] == ""
    assert (fields["age"].type, fields["age"].nullable) == ("number", True)
    assert fields["age"].example == pytest.approx(33.33)
    assert fields["city"].categories == ("Bern", "Rome")
    assert fields["city"].nullable
    assert (fields["rank"].type, fields["rank"].categories) == ("integer", (1, 2, 3))
    assert (fields["member"].type, fields["member"].categories) == ("boolean", (False, True))
    assert fields["about"].type == "string"
    assert set(fields["about"].example.split()) <= {"likes", "dogs", "cats", "fears"}
    assert (fields["unused"].type, fields["unused"].nullable) == ("any", True)
    frame = pd.DataFrame([{name: field.example for name, field in fields.items()}])
    model.predict(frame)


def test_tree_of_mixed_columns(model, tmp_path):
    columns, last = save_and_inspect(model, tmp_path / "m", 4).steps
    assert [step.name for step in columns.steps][:4] == ["numbers", "words", "levels", "text"]
    assert columns.steps[2].columns == ("rank", "member")
    assert [step.name for step in columns.steps[0].steps] == ["simpleimputer", "standardscaler"]
    assert last.type == "sklearn.linear_model._logistic.LogisticRegression"


@pytest.mark.parametrize("choose", ["index", "array", "selector", "mask", "slice", "numbers"])
def test_ways_to_choose_columns(tmp_path, choose):
    chosen = {
        "index": FLOWERS.columns[:2],
        "array": np.array(["a", "b"]),
        "selector": make_column_selector("[ab]"),
        "mask": [True, True, False, False],
        "slice": slice(0, 2),
        "numbers": [0, 1],
    }[choose]
    columns = ColumnTransformer([("s", MinMaxScaler(), chosen)], remainder="passthrough")
    spec = save_and_inspect(make_pipeline(columns, GaussianNB()).fit(FLOWERS, Y), tmp_path / "m", 4)
    require_servable(spec)
    fields = spec.signature.inputs
    assert [field.name for field in fields] == ["a", "b", "c", "d"]
    assert [field.minimum is not None for field in fields] == [True, True, False, False]
    assert fields[0].maximum == X[:, 0].max()
    assert fields[3].example == pytest.approx(X[Y == 0, 3].mean()), "the last step tells of it"


@pytest.mark.parametrize("choose", [[0, 1], [True, True, False, False], ["a", "b"], [-4, -3]])
def test_tree_shows_the_names_of_chosen_columns_and_of_the_remainder(tmp_path, choose):
    columns = ColumnTransformer([("s", MinMaxScaler(), choose)], remainder="passthrough")
    columns.fit(FLOWERS)
    name, kept, _ = columns.transformers_[-1]
    columns.transformers_[-1] = (name, kept, [2, 3])  # as scikit-learn before 1.7 saves it
    shown = save_and_inspect(columns, tmp_path / "m", 4).steps
    assert [step.columns for step in shown] == [("a", "b"), ("c", "d")]


def test_tree_shows_positions_of_columns_without_names(tmp_path):
    columns = ColumnTransformer([("s", MinMaxScaler(), [0, 1])], remainder="passthrough")
    shown = save_and_inspect(columns.fit(X), tmp_path / "m", 4).steps
    assert [step.columns for step in shown] == [(0, 1), (2, 3)]


def test_indicators_of_an_imputer_are_columns(tmp_path):
    frame = FLOWERS.mask(FLOWERS > 6.5)
    imputer = SimpleImputer(add_indicator=True)
    columns = ColumnTransformer([("n", imputer, ["a"])], remainder="passthrough")
    frame[["b", "c", "d"]] = FLOWERS[["b", "c", "d"]]
    spec = save_and_inspect(
        make_pipeline(columns, MinMaxScaler(), GaussianNB()).fit(frame, Y), tmp_path / "m", 4
    )
    assert spec.signature.inputs[0].nullable
    assert [field.maximum for field in spec.signature.inputs[1:]] == [4.4, 6.9, 2.5]
    rows = save_and_inspect(imputer.fit(frame), tmp_path / "imputer", 4).signature.outputs
    assert rows[0].shape == (imputer.transform(frame).shape[1],) == (5,)


def test_a_mean_and_a_deviation_bound_nothing(tmp_path):
    """Three deviations below the mean of a skewed column are impossible values."""
    model = make_pipeline(StandardScaler(), GaussianNB()).fit(FLOWERS, Y)
    fields = save_and_inspect(model, tmp_path / "m", 4).signature.inputs
    assert {(field.minimum, field.maximum) for field in fields} == {(None, None)}
    assert fields[0].example == pytest.approx(X[:, 0].mean(), rel=1e-3)


def test_categories_of_pandas_that_gradient_boosting_encodes_itself(tmp_path):
    frame = pd.DataFrame({"size": [1.0, 2.0] * 20, "kind": pd.Categorical(["u", "v"] * 20)})
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=2)
    size, kind = save_and_inspect(model.fit(frame, [0, 1] * 20), tmp_path / "m", 4).signature.inputs
    assert (size.type, size.nullable) == ("number", True)
    assert (kind.type, kind.categories, kind.nullable) == ("string", ("u", "v"), True)


HOLES = np.where(np.arange(X.size).reshape(X.shape) % 7 == 0, np.nan, X)


@pytest.mark.parametrize(
    "step",
    [QuantileTransformer(n_quantiles=50), SplineTransformer(), KBinsDiscretizer(encode="ordinal"),
     MinMaxScaler(), MaxAbsScaler()],
    ids=lambda step: type(step).__name__,
)  # fmt: skip
@pytest.mark.parametrize("how", [2, 4, None])
@pytest.mark.filterwarnings("ignore:The current default behavior:FutureWarning")
def test_steps_that_keep_the_bounds_of_training(step, how, tmp_path):
    fields = save_and_inspect(
        make_pipeline(step, GaussianNB()).fit(X, Y), tmp_path / "m", how
    ).signature
    assert [field.maximum for field in fields.inputs] == pytest.approx(X.max(axis=0))
    for field, low in zip(fields.inputs, X.min(axis=0), strict=True):
        assert field.example <= field.maximum
        if isinstance(step, MaxAbsScaler):
            assert field.minimum is None, "the sign of the smallest value is unknown"
        else:
            assert field.minimum <= low
            assert field.minimum <= field.example


@pytest.mark.parametrize(
    "model",
    [RandomForestRegressor(20), ExtraTreesClassifier(20),
     HistGradientBoostingClassifier(max_iter=3),
     GradientBoostingRegressor(), DecisionTreeRegressor(), XGBRegressor(n_estimators=30)],
    ids=lambda model: type(model).__name__,
)  # fmt: skip
def test_thresholds_of_trees_are_within_the_training_range(model, tmp_path):
    model.set_params(random_state=0)
    model.fit(X, Y if hasattr(model, "predict_proba") else X.sum(axis=1))
    fields, *others = (
        save_and_inspect(model, tmp_path / "m", how).signature.inputs for how in (4, 2, None)
    )
    assert others == [fields, fields]
    assert any(field.minimum is not None for field in fields)
    for field, low, high in zip(fields, X.min(axis=0), X.max(axis=0), strict=True):
        if field.minimum is not None:
            assert low <= field.minimum < field.example < field.maximum <= high
            assert field.maximum - field.minimum > (high - low) / 3


def test_few_thresholds_make_no_range(tmp_path):
    model = DecisionTreeRegressor(max_depth=1).fit(X[:, 2:3], Y)
    (field,) = save_and_inspect(model, tmp_path / "m", 4).signature.inputs
    assert (field.minimum, field.maximum) == (None, None)
    assert field.example == pytest.approx(model.tree_.threshold[0])


def test_trees_on_reordered_features_give_no_ranges(tmp_path):
    model = BaggingRegressor(DecisionTreeRegressor(), 3, max_features=0.5).fit(X, X.sum(axis=1))
    fields = save_and_inspect(model, tmp_path / "m", 4).signature.inputs
    assert {field.minimum for field in fields} == {None}


def test_input_ranges_before_a_scaler_stay_unknown(tmp_path):
    model = make_pipeline(PowerTransformer(), DecisionTreeRegressor()).fit(X + 100, X.sum(axis=1))
    fields = save_and_inspect(model, tmp_path / "m", 4).signature.inputs
    assert {field.minimum for field in fields} == {None}
    keeping = make_pipeline(PowerTransformer(), KNeighborsRegressor()).fit(X + 100, Y)
    fields = save_and_inspect(keeping, tmp_path / "m", 4).signature.inputs
    assert [field.example for field in fields] == [0.0] * 4


@pytest.mark.parametrize(
    "model",
    [DecisionTreeClassifier(), RandomForestClassifier(3), ExtraTreesClassifier(3),
     ExtraTreeClassifier(), GradientBoostingClassifier(n_estimators=2),
     RandomForestRegressor(3, criterion="absolute_error"),
     DecisionTreeRegressor(splitter="random"),
     HistGradientBoostingClassifier(max_iter=2), KNeighborsRegressor(), Ridge(),
     make_pipeline(PowerTransformer(), RandomForestClassifier(3))],
    ids=lambda model: type(model).__name__,
)  # fmt: skip
def test_missing_values_are_taken_where_the_model_takes_them(model, tmp_path):
    spec = save_and_inspect(model.fit(X, Y), tmp_path / "m", 4)
    try:
        model.predict(HOLES)
    except ValueError:
        takes = False
    else:
        takes = True
    assert {field.nullable for field in spec.signature.inputs} == {takes}


@pytest.mark.parametrize("how", [0, 2, 4, None, ("zlib", 3)])
def test_first_row_is_the_example_of_a_larger_sample(how, tmp_path):
    rows = np.random.default_rng(0).normal(size=(50_000, 5))
    model = KNeighborsRegressor().fit(rows, rows[:, 0])
    fields = save_and_inspect(model, tmp_path / "m", how).signature.inputs
    assert [field.example for field in fields] == pytest.approx(rows[0], rel=1e-5)


@pytest.mark.parametrize("dtype", ["bool", "object"])
def test_booleans_keep_the_dtype_of_an_encoder(dtype, tmp_path):
    """scikit-learn 0.24 cannot compare booleans of one of the two dtypes with the other."""
    frame = pd.DataFrame({"member": [True, False]}, dtype=dtype)
    (field,) = save_and_inspect(OrdinalEncoder().fit(frame), tmp_path / "m", 5).signature.inputs
    assert (field.type, field.dtype) == ("boolean", dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scaled", [False, True])
def test_coefficients_have_the_dtype_of_the_frame(dtype, scaled, tmp_path):
    frame = FLOWERS.astype(dtype)
    model = Ridge().fit(frame, Y)
    model = make_pipeline(StandardScaler(), model).fit(frame, Y) if scaled else model
    signature = save_and_inspect(model, tmp_path / "m", 5).signature
    dtypes = {field.dtype for field in signature.inputs}
    assert dtypes == {"float32" if dtype == "float32" else None}
    assert signature.layout == "array"


def test_a_step_for_dates_takes_dates():
    """The tests do not install feature-engine; `make frames` does."""
    name = Global("feature_engine.datetime.datetime:DatetimeFeatures", 0, "GLOBAL")
    columns = [Column("a"), Column("b")]
    assert describe(EstimatorNode(name, {"variables_": ["b"]}), columns) is None
    assert [column.type for column in columns] == ["any", "datetime"]
    assert columns[1].field("any").example == "2000-01-01T00:00:00"


@pytest.mark.parametrize("encoder", [OneHotEncoder, OrdinalEncoder])
def test_the_categories_of_an_encoder_can_be_dates(encoder, tmp_path):
    days = pd.DataFrame({"day": pd.to_datetime(["2024-02-29", "2024-03-01", "2024-02-29"])})
    columns = make_column_transformer((encoder(), ["day"]))
    model = make_pipeline(columns, Ridge()).fit(days, [1, 2, 1])
    (field,) = save_and_inspect(model, tmp_path / "m", 4).signature.inputs
    assert (field.name, field.type, field.categories) == ("day", "datetime", None)
    assert field.example == "2000-01-01T00:00:00"


def test_example_behind_a_scaler_is_an_integer_if_the_values_look_like_integers(tmp_path):
    """Its sum and the sum of its squares are integers. The column still takes any number."""
    random = np.random.default_rng(0)
    columns = {
        "class": random.choice([1, 2, 3], 713),
        "year": random.integers(1900, 2020, 713),
        "age": random.integers(1, 320, 713) / 4,
        "fare": random.lognormal(3, 1, 713).round(2),
        "ratio": random.random(713),
    }
    frame = pd.DataFrame(columns)
    labels = random.random(713) > 0.5
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, labels)
    inputs = save_and_inspect(model, tmp_path / "m", 4).signature.inputs
    examples = {field.name: field.example for field in inputs}
    assert examples["class"] == round(frame["class"].mean())
    assert examples["year"] == round(frame["year"].mean())
    for name in ("age", "fare", "ratio"):
        assert examples[name] == float(f"{frame[name].mean():.4g}")
        assert not float(examples[name]).is_integer()
    assert {field.type for field in inputs} == {"number"}
