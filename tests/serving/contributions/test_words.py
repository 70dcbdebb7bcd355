"""The contributions of the words of a text."""

from __future__ import annotations

from typing import Any

import explained
import numpy as np
import pandas as pd
import pytest
from explained import build_service
from plan_records import to_record
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, MultinomialNB
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from sklearn.svm import SVC, LinearSVC

from modelpack.serving.contributions import Contributions, Explainer, UnavailableError
from modelpack.serving.contributions import words as words_module
from modelpack.serving.runtimes.estimator import CompiledModel
from modelpack.serving.runtimes.plans.runtime import installed_release

_rng = np.random.default_rng(3)
VOCABULARY = [
    "good", "great", "fun", "bad", "sad", "bore", "film", "plot", "actor", "not", "never", "very",
    "café", "the",
]  # fmt: skip
TEXTS = [" ".join(_rng.choice(VOCABULARY, 7)) for _ in range(80)]
COUNTS = np.array([t.count("good") + t.count("fun") - t.count("bad") for t in TEXTS]) + 0.25
YES = np.where(np.median(COUNTS) < COUNTS, "pos", "neg")
LEVEL = np.array(["a", "b", "c"])[np.digitize(COUNTS, np.quantile(COUNTS, [0.3, 0.7]))]
FRAME = pd.DataFrame({"text": pd.Series(TEXTS, dtype=object)})
LOGISTIC = LogisticRegression()

LINEAR: dict[str, Any] = {
    "logistic": make_pipeline(TfidfVectorizer(), LOGISTIC),
    "sequences": make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LOGISTIC),
    "multinomial": make_pipeline(CountVectorizer(), MultinomialNB()),
    "complement": make_pipeline(TfidfVectorizer(stop_words=["the"]), ComplementNB()),
    "bernoulli": make_pipeline(CountVectorizer(), BernoulliNB()),
    "hashing": make_pipeline(HashingVectorizer(n_features=2**18), SGDClassifier(random_state=0)),
    "svm": make_pipeline(TfidfVectorizer(), LinearSVC()),
    "kernel": make_pipeline(TfidfVectorizer(), SVC(kernel="linear")),
    "ridge": make_pipeline(TfidfVectorizer(), Ridge()),
    "selection": make_pipeline(
        CountVectorizer(), TfidfTransformer(), SelectKBest(k=5), MaxAbsScaler(), LOGISTIC
    ),
    "scaled": make_pipeline(CountVectorizer(), StandardScaler(with_mean=False), LOGISTIC),
    "union": make_pipeline(
        make_union(
            TfidfVectorizer(), make_pipeline(CountVectorizer(ngram_range=(2, 2)), SelectKBest(k=9))
        ),
        LOGISTIC,
    ),
    "split": make_pipeline(CountVectorizer(analyzer=str.split), LOGISTIC),
}
COLUMNS = make_pipeline(ColumnTransformer([("t", TfidfVectorizer(), "text")]), LOGISTIC)


def text_service(model: Any, target: Any = YES, layout: str = "text") -> Any:
    rows = TEXTS if layout == "text" else FRAME
    values = target if is_classifier(model) else COUNTS
    task = "regressor" if is_regressor(model) else ""
    return build_service(clone(model).fit(rows, values), FRAME, layout, task)


def explain(service: Any, text: Any) -> Contributions:
    return Explainer(service).explain(service.decode_rows([[text]]))


def values_by_word(result: Contributions) -> dict[str, float]:
    assert result.by_word is not None
    return dict(zip(result.by_word.texts, result.by_word.values, strict=True))


# --- exact ---


@pytest.mark.parametrize("target", [YES, LEVEL], ids=["two", "three"])
@pytest.mark.parametrize("name", LINEAR)
def test_contributions_of_words_add_up_to_the_output(name, target):
    if name == "kernel" and target is LEVEL:
        return  # its scores are those of pairs of classes
    service = text_service(LINEAR[name], target)
    for text in [*TEXTS[:3], "Good GOOD film, unknown words!", "the café"]:
        result = explain(service, text)
        assert result.method == "coefficients"
        model = service.runner.model
        expected = explained.model_output(model, [text], result) if hasattr(
            model, "decision_function") or name == "ridge" else None  # fmt: skip
        total = result.base + sum(values_by_word(result).values())
        assert result.by_word.others == 0
        assert total == pytest.approx(result.total, rel=1e-9, abs=1e-12)
        assert result.values == [pytest.approx(result.total - result.base)]
        if expected is not None:
            assert total == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_contribution_of_a_word_is_coefficient_times_value():
    service = text_service(LINEAR["sequences"])
    vectorizer, predictor = service.runner.model[0], service.runner.model[1]
    text = "Not good, not a good FILM"
    row = vectorizer.transform([text]).toarray()[0]
    names = vectorizer.get_feature_names_out()
    sign = 1 if predictor.predict(row.reshape(1, -1))[0] == "pos" else -1
    expected = {
        names[index]: sign * predictor.coef_[0, index] * row[index] for index in np.flatnonzero(row)
    }
    result = explain(service, text)
    assert "not good" in expected
    assert values_by_word(result) == pytest.approx(expected, rel=1e-9)
    assert list(map(abs, result.by_word.values)) == sorted(
        map(abs, result.by_word.values), reverse=True
    )
    assert result.base == pytest.approx(sign * predictor.intercept_[0], rel=1e-9)


def test_words_of_a_union_belong_to_their_columns():
    service = text_service(LINEAR["union"])
    union, predictor = service.runner.model
    names = union.get_feature_names_out()
    pairs = [name.partition("__")[2] for name in names if name.startswith("pipeline__")]
    row = union.transform([" ".join(pairs)]).toarray()[0]
    sign = 1 if predictor.predict([row])[0] == "pos" else -1
    expected = {
        names[index].partition("__")[2]: sign * predictor.coef_[0, index] * row[index]
        for index in np.flatnonzero(row)
    }
    assert set(pairs) <= set(expected)
    assert values_by_word(explain(service, " ".join(pairs))) == pytest.approx(expected, rel=1e-9)


def test_odds_of_naive_bayes_are_those_of_words():
    """The odds are the prior odds times the ratio of the frequencies of each word."""
    service = text_service(LINEAR["multinomial"])
    bayes, names = service.runner.model[1], service.runner.model[0].vocabulary_
    result = explain(service, "good good")
    ratio = bayes.feature_log_prob_[1] - bayes.feature_log_prob_[0]
    assert (result.output, result.label) == ("log_odds", "pos")
    assert values_by_word(result) == pytest.approx({"good": 2 * ratio[names["good"]]}, rel=1e-9)
    prior = bayes.class_log_prior_
    assert result.base == pytest.approx(prior[1] - prior[0], rel=1e-9)


def test_words_that_share_a_column_are_shown_together():
    model = make_pipeline(HashingVectorizer(n_features=2), LOGISTIC)
    result = explain(text_service(model), " ".join(VOCABULARY))
    assert len(result.by_word.texts) == 2
    assert sorted(", ".join(result.by_word.texts).split(", ")) == sorted(VOCABULARY)


def test_text_in_a_column_of_a_frame():
    result = explain(text_service(COLUMNS, layout="frame"), "good fun")
    assert result.method == "coefficients"
    assert set(values_by_word(result)) == {"good", "fun"}


def test_compiled_model_has_the_same_words():
    for name in ("sequences", "multinomial", "hashing", "union"):
        service = text_service(LINEAR[name])
        model = service.runner.model
        record = CompiledModel(to_record(model), installed_release())
        options = {"classes": list(model.classes_), "probabilities": name != "hashing"}
        compiled = build_service(record, FRAME, "text", **options)
        one, other = (explain(each, TEXTS[0]) for each in (compiled, service))
        assert (one.method, one.output) == ("coefficients", other.output)
        assert values_by_word(one) == pytest.approx(values_by_word(other), abs=1e-12)


def test_text_next_to_other_inputs_is_one_input():
    frame = FRAME.assign(stars=np.arange(80) % 5)
    columns = [("t", TfidfVectorizer(), "text"), ("n", StandardScaler(), ["stars"])]
    model = make_pipeline(ColumnTransformer(columns), LOGISTIC).fit(frame, YES)
    result = explained.explained(build_service(model, frame, "frame"), frame)
    for each, row in zip(result, frame.index, strict=False):
        expected = explained.model_output(model, frame.iloc[[row]], each)
        assert each.base + sum(each.values) == pytest.approx(expected, rel=1e-9)
        assert each.by_word is None
    assert any(all(each.values) for each in result)


# --- one word left out at a time ---

OTHERS = {
    "forest": make_pipeline(TfidfVectorizer(), RandomForestClassifier(9, random_state=0)),
    "regressor": make_pipeline(TfidfVectorizer(), RandomForestRegressor(9, random_state=0)),
    "characters": make_pipeline(TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3)), LOGISTIC),
    "components": make_pipeline(TfidfVectorizer(), TruncatedSVD(3, random_state=0), LOGISTIC),
    "kernel": make_pipeline(TfidfVectorizer(), SVC()),
}


@pytest.mark.parametrize("name", OTHERS)
def test_words_are_left_out_one_at_a_time(name):
    service = text_service(OTHERS[name])
    text = "Good film, good actor: never BAD"
    result = explain(service, text)
    assert (result.method, result.base, result.values) == ("left_out", None, [])
    assert result.reason

    def output(changed: str) -> float:
        return explained.model_output(service.runner.model, [changed], result)

    words = values_by_word(result)
    assert set(words) == {"good", "film", "actor", "never", "bad"}
    assert result.total == pytest.approx(output(text))
    assert words["good"] == pytest.approx(output(text) - output(" film,  actor: never BAD"))
    assert words["bad"] == pytest.approx(output(text) - output("Good film, good actor: never "))
    assert result.by_word.others == 0


def test_reason_of_words_that_are_left_out():
    reasons = {
        "forest": "The model is not linear.",
        "characters": "The vectorizer splits texts into characters, not into words.",
        "components": "The step TruncatedSVD combines words, or is not known.",
    }
    for name, text in reasons.items():
        assert explain(text_service(OTHERS[name]), "good").reason == text


def test_wrong_coefficients_are_not_returned():
    service = text_service(LINEAR["logistic"])
    explainer = Explainer(service)
    rows = service.decode_rows([["good"]])
    explainer.explain(rows)
    linear = explainer._model._linear
    linear._scores = linear._scores._replace(coefficients=linear._scores.coefficients * 1.001)
    result = explainer.explain(rows)
    assert result.method == "left_out"
    assert result.reason == "The contributions do not add up to the prediction."


def test_models_without_numbers_have_a_reason():
    model = make_pipeline(TfidfVectorizer(), KMeans(2, n_init=1, random_state=0)).fit(TEXTS)
    with pytest.raises(UnavailableError, match="no number and no class"):
        explain(build_service(model, FRAME, "text"), "good")


# --- bounds ---


def test_response_has_a_limited_number_of_short_words():
    names = [f"w{index}" for index in range(words_module.MAX_WORDS + 20)]
    long = "x" * 500
    model = make_pipeline(CountVectorizer(), Ridge()).fit([" ".join([*names, long]), ""], [1, 0])
    frame = FRAME.head(2)
    for text in (" ".join(names), f"{long} {long} {long}"):
        result = explain(build_service(model, frame, "text"), text)
        words = result.by_word
        assert len(words.texts) <= words_module.MAX_WORDS
        assert max(map(len, words.texts)) <= words_module.MAX_LENGTH
        assert sum(words.values) + words.rest == pytest.approx(result.total - result.base)
    result = explain(build_service(model, frame, "text"), " ".join(names))
    assert result.by_word.others == 20
    assert result.by_word.rest


def test_number_of_coefficients_is_limited(monkeypatch):
    monkeypatch.setattr(words_module, "MAX_VALUES", 1)
    result = explain(text_service(LINEAR["logistic"]), "good fun")
    assert (result.method, result.reason) == (
        "left_out", "The words have more than 1 coefficients.",
    )  # fmt: skip


def test_limited_number_of_words_is_left_out():
    text = " ".join(f"w{index}" for index in range(300))
    result = explain(text_service(OTHERS["forest"]), text)
    assert len(result.by_word.texts) == words_module.MAX_WORDS
    assert (result.by_word.others, result.by_word.rest) == (200, None)


def test_words_are_left_out_in_limited_time(monkeypatch):
    monkeypatch.setattr(words_module, "MAX_SECONDS", -1)
    result = explain(text_service(OTHERS["forest"]), "good fun")
    assert (result.by_word.texts, result.by_word.others) == ([], 2)


@pytest.mark.parametrize("text", ["", "   ", "<b>good</b>\u202e\x00", "\U0001f600 😀", "٣ नमस्ते 好"])
@pytest.mark.parametrize("name", ["logistic", "forest"])
def test_other_texts_than_words(name, text):
    result = explain(text_service({**LINEAR, **OTHERS}[name]), text)
    assert result.by_word is not None
