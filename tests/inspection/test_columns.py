"""What is told of each column of a ColumnTransformer."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from modelpack.inspection import require_servable

from .saving import saved

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
    spec = saved(model, tmp_path / "m", how)
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
    columns, last = saved(model, tmp_path / "m", 4).steps
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
    columns = ColumnTransformer([("s", StandardScaler(), chosen)], remainder="passthrough")
    spec = saved(make_pipeline(columns, GaussianNB()).fit(FLOWERS, Y), tmp_path / "m", 4)
    require_servable(spec)
    fields = spec.signature.inputs
    assert [field.name for field in fields] == ["a", "b", "c", "d"]
    assert [field.minimum is not None for field in fields] == [True, True, False, False]
    assert fields[0].example == pytest.approx(X[:, 0].mean(), rel=1e-3)
    assert fields[0].maximum == pytest.approx(X[:, 0].mean() + 3 * X[:, 0].std(), rel=1e-3)


def test_categories_of_pandas_that_gradient_boosting_encodes_itself(tmp_path):
    frame = pd.DataFrame({"size": [1.0, 2.0] * 20, "kind": pd.Categorical(["u", "v"] * 20)})
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=2)
    size, kind = saved(model.fit(frame, [0, 1] * 20), tmp_path / "m", 4).signature.inputs
    assert (size.type, size.nullable) == ("number", True)
    assert (kind.type, kind.categories, kind.nullable) == ("string", ("u", "v"), True)
