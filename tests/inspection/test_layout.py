"""Which models are given a DataFrame, and which inputs are known."""

import sys
import types

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import Pipeline as SamplingPipeline
from saving import save_and_inspect
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import RFE
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.manifold import Isomap
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

RNG = np.random.default_rng(7)
COUNT = 120
FRAME = pd.DataFrame(
    {
        "rank": RNG.integers(1, 4, COUNT),
        "fare": RNG.lognormal(3, 1, COUNT).round(2),
        "alone": RNG.random(COUNT) < 0.5,
        "town": RNG.choice(["Bern", "Rome"], COUNT),
    }
).astype({"town": object})
NUMBERS = FRAME[["rank", "fare", "alone"]]
Y = (FRAME.fare > FRAME.fare.median()).astype(int).to_numpy()


def by_name():
    return make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["fare"]),
        (OneHotEncoder(), ["town"]),
        remainder="passthrough",
    )


def logistic():
    return make_pipeline(by_name(), LogisticRegression())


NESTED = {
    "pipeline": logistic(),
    "search": GridSearchCV(logistic(), {"logisticregression__C": [1, 2]}, cv=2),
    "calibrated": CalibratedClassifierCV(logistic(), cv=2),
    "voting": VotingClassifier([("a", logistic()), ("b", logistic())]),
    "stacking": StackingClassifier([("a", logistic())], RandomForestClassifier(3), cv=2),
    "target": TransformedTargetRegressor(make_pipeline(by_name(), Ridge())),
    "union": make_pipeline(FeatureUnion([("a", by_name())]), LogisticRegression()),
    "sampling": SamplingPipeline([("c", by_name()), ("o", RandomOverSampler()),
                                  ("m", LogisticRegression())]),
}  # fmt: skip


@pytest.mark.parametrize("name", NESTED)
def test_column_transformer_at_any_depth_gets_a_frame(name, tmp_path):
    spec = save_and_inspect(NESTED[name].fit(FRAME, Y), tmp_path / "m", 4)
    fields = {field.name: field for field in spec.signature.inputs}
    assert list(fields) == list(FRAME.columns)
    assert (spec.signature.layout, spec.signature.named) == ("frame", True)
    assert (fields["town"].type, fields["town"].categories) == ("string", ("Bern", "Rome"))
    assert fields["fare"].nullable, "what is missing is filled in"
    assert fields["fare"].example > 0
    assert {fields["rank"].type, fields["alone"].type} == {"number"}
    assert spec.requirements["pandas"] == ""


PLAIN = {
    "scaled": make_pipeline(StandardScaler(), LogisticRegression()),
    "forest": RandomForestClassifier(3),
    "bagging": BaggingClassifier(make_pipeline(SimpleImputer(), LogisticRegression()), 2),
    "several": RFE(RandomForestClassifier(3), n_features_to_select=2),
}


@pytest.mark.parametrize("name", PLAIN)
def test_numbers_for_library_code_alone_need_no_pandas(name, tmp_path):
    spec = save_and_inspect(PLAIN[name].fit(NUMBERS, Y), tmp_path / "m", 4)
    assert (spec.signature.layout, spec.signature.named) == ("array", True)
    assert {field.type for field in spec.signature.inputs} == {"number"}
    assert "pandas" not in spec.requirements


def test_members_that_impute_take_missing_values(tmp_path):
    holes = NUMBERS.assign(fare=NUMBERS.fare.where(NUMBERS["rank"] > 1))
    fields = save_and_inspect(PLAIN["bagging"].fit(holes, Y), tmp_path / "m", 4).signature.inputs
    assert all(field.nullable for field in fields)
    model = MultiOutputClassifier(make_pipeline(SimpleImputer(), LogisticRegression()))
    fields = save_and_inspect(model.fit(holes, np.c_[Y, 1 - Y]), tmp_path / "m", 4).signature.inputs
    assert all(field.nullable for field in fields)


def test_selected_features_keep_their_own_thresholds(tmp_path):
    """RFE's forest knows two of the three columns."""
    model = RFE(RandomForestClassifier(9, random_state=0), n_features_to_select=2).fit(NUMBERS, Y)
    assert model.support_.tolist() == [False, True, True]
    rank, fare, is_single = save_and_inspect(model, tmp_path / "m", 4).signature.inputs
    assert fare.maximum > 10
    assert is_single.maximum is None
    assert (rank.example, rank.maximum) == (0.0, None)


@pytest.mark.parametrize("how", ["texts", "set_output", "function", "dtype"])
def test_steps_that_can_distinguish_frames_from_arrays_get_frames(how, tmp_path):
    model = {
        "texts": make_pipeline(OneHotEncoder(), LogisticRegression()),
        "set_output": make_pipeline(
            StandardScaler().set_output(transform="pandas"), LogisticRegression()
        ),
        "function": make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()),
        "dtype": Isomap(n_neighbors=len(NUMBERS) - 1),
    }[how]
    spec = save_and_inspect(
        model.fit(FRAME[["town"]] if how == "texts" else NUMBERS, Y), tmp_path / "m", 4
    )
    assert (spec.signature.layout, spec.signature.named) == ("frame", True)
    assert "pandas" in spec.requirements


class Tidy(TransformerMixin, BaseEstimator):
    """Adds a column, and records nothing."""

    def fit(self, frame, targets=None):
        return self

    def transform(self, frame):
        return frame.assign(log_fare=np.log1p(frame["fare"]))


class NamedTidy(Tidy):
    """Adds a column, and records what it was given."""

    def fit(self, frame, targets=None):
        self.feature_names_in_ = np.asarray(frame.columns, object)
        self.n_features_in_ = frame.shape[1]
        return self


class PMMLPipeline(Pipeline):
    """The pipeline class of sklearn2pmml."""

    def fit(self, frame, targets=None):
        self.active_fields = np.asarray(frame.columns.values, object)
        return super().fit(frame, targets)


def test_names_behind_a_step_of_the_author_are_not_those_that_go_in(tmp_path):
    model = make_pipeline(Tidy(), StandardScaler(), LogisticRegression()).fit(NUMBERS, Y)
    spec = save_and_inspect(model, tmp_path / "m", 4)
    assert (spec.signature.inputs, spec.signature.layout) == ((), "frame")
    assert "pandas" in spec.requirements


def test_step_of_the_author_that_records_names_has_them(tmp_path):
    model = make_pipeline(NamedTidy(), StandardScaler(), LogisticRegression()).fit(NUMBERS, Y)
    signature = save_and_inspect(model, tmp_path / "m", 4).signature
    assert [field.name for field in signature.inputs] == list(NUMBERS.columns)
    assert (signature.layout, signature.named) == ("frame", True)
    assert {field.type for field in signature.inputs} == {"any"}, "code may take anything"


class Wrapper(BaseEstimator):
    """An author's wrapper of a model that takes fewer columns."""

    def fit(self, frame, targets):
        self.estimator_ = RandomForestClassifier(3).fit(frame[["fare"]], targets)
        return self

    def predict(self, frame):
        return self.estimator_.predict(frame[["fare"]])


def test_inputs_of_members_of_a_user_class_are_not_those_of_the_class(tmp_path):
    signature = save_and_inspect(Wrapper().fit(NUMBERS, Y), tmp_path / "m", 4).signature
    assert signature.inputs == ()
    assert signature.layout == "frame"


@pytest.fixture
def library(monkeypatch):
    """A module of a library that is not installed here."""
    module = types.ModuleType("sklearn2pmml.pipeline")
    module.PMMLPipeline = PMMLPipeline
    monkeypatch.setitem(sys.modules, "sklearn2pmml", types.ModuleType("sklearn2pmml"))
    monkeypatch.setitem(sys.modules, "sklearn2pmml.pipeline", module)
    monkeypatch.setattr(PMMLPipeline, "__module__", "sklearn2pmml.pipeline")
    return PMMLPipeline


def test_subclasses_of_pipeline_are_looked_into(library, tmp_path):
    model = library([("columns", by_name()), ("model", LogisticRegression())]).fit(FRAME, Y)
    spec = save_and_inspect(model, tmp_path / "m", 4)
    assert spec.task == "classifier"
    assert [step.name for step in spec.steps] == ["columns", "model"]
    assert [field.name for field in spec.signature.inputs] == list(FRAME.columns)
    assert spec.signature.inputs[3].categories == ("Bern", "Rome")
    assert spec.signature.classes == (0, 1)


def test_code_of_the_author_in_a_column_transformer_may_take_anything(tmp_path):
    columns = make_column_transformer((Lengths(), ["town"]), ("passthrough", ["fare"]))
    model = make_pipeline(columns, LogisticRegression()).fit(FRAME, Y)
    fields = {f.name: f for f in save_and_inspect(model, tmp_path / "m", 4).signature.inputs}
    assert fields["town"].type == "any"
    assert fields["fare"].type == "number"


class Lengths(Tidy):
    def transform(self, frame):
        return frame.map(len).to_numpy()


def test_columns_that_pass_through_are_known_by_later_steps(tmp_path):
    model = make_pipeline(by_name(), RandomForestClassifier(20, random_state=0)).fit(FRAME, Y)
    fields = {f.name: f for f in save_and_inspect(model, tmp_path / "m", 4).signature.inputs}
    assert fields["rank"].example in (1.0, 2.0)
    assert fields["alone"].example in (0.0, 1.0)
    assert fields["fare"].example == pytest.approx(FRAME.fare.mean(), rel=1e-3)


def test_column_that_one_branch_drops_and_another_keeps_is_no_blank(tmp_path):
    left_out = make_column_transformer((StandardScaler(), ["fare"]))
    model = make_pipeline(
        FeatureUnion([("a", by_name()), ("b", left_out)]), LogisticRegression()
    ).fit(FRAME, Y)
    rank = save_and_inspect(model, tmp_path / "m", 4).signature.inputs[0]
    assert (rank.type, rank.nullable) == ("number", False)
    rank = save_and_inspect(
        make_pipeline(left_out, LogisticRegression()).fit(FRAME, Y), tmp_path / "m", 4
    )
    assert (rank.signature.inputs[0].type, rank.signature.inputs[0].nullable) == ("any", True)


def test_columns_are_followed_by_name_through_frames(tmp_path):
    """The second transformer chooses by the names that the first gives its results."""
    first = make_column_transformer(
        (SimpleImputer(), ["fare"]), remainder="passthrough"
    ).set_output(transform="pandas")
    second = make_column_transformer((OneHotEncoder(), ["remainder__town"]), remainder="drop")
    model = make_pipeline(first, second, LogisticRegression()).fit(FRAME, Y)
    fields = {f.name: f for f in save_and_inspect(model, tmp_path / "m", 4).signature.inputs}
    assert (fields["town"].type, fields["town"].categories) == ("string", ("Bern", "Rome"))


def test_histograms_are_known_for_columns_next_to_categories(tmp_path):
    frame = FRAME.astype({"town": "category", "rank": "category"})
    model = HistGradientBoostingClassifier(max_iter=3, categorical_features="from_dtype")
    spec = save_and_inspect(model.fit(frame, Y), tmp_path / "m", 4)
    fields = {f.name: f for f in spec.signature.inputs}
    assert spec.signature.layout == "frame"
    assert (fields["rank"].dtype, fields["rank"].type) == ("category", "integer")
    assert fields["rank"].categories == (1, 2, 3)
    assert (fields["town"].dtype, fields["town"].categories) == ("category", ("Bern", "Rome"))
    assert (fields["fare"].type, fields["fare"].dtype) == ("number", None)
    assert FRAME.fare.min() <= fields["fare"].minimum < fields["fare"].maximum <= FRAME.fare.max()


def test_integers_and_booleans_have_no_fractions_as_examples(tmp_path):
    fields = save_and_inspect(
        RandomForestClassifier(30).fit(NUMBERS, Y), tmp_path / "m", 4
    ).signature.inputs
    rank, _, is_single = fields
    assert rank.example in (1.0, 2.0)
    assert is_single.example == 0.0
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(NUMBERS, Y)
    is_single = save_and_inspect(model, tmp_path / "m", 4).signature.inputs[2]
    assert is_single.example in (0.0, 1.0)
    assert is_single.minimum is is_single.maximum is None
