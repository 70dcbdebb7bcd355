"""Models that cannot predict rows are named, with a way out, and are not called dangerous."""

import argparse
import decimal
import logging
import operator
import pickle
import random
import re
import uuid

import opcodes as op
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import StandardScaler

from modelpack.errors import ModelNotSupportedError, ModelRefusedError
from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect

FORMULA = op.new("formulaic.model_spec:ModelSpec")
PARTIAL = op.call("functools:partial", op.name("formulaic.transforms.scale:scale"))
METHOD = op.call("functools:partial", op.call(
    "builtins:getattr", op.new("lifelines.utils:Model"), op.text("_log_likelihood")))  # fmt: skip
REASONS = {
    "lifelines.fitters.coxph_fitter:CoxPHFitter": "by methods of its own",
    "lifelines.fitters.weibull_aft_fitter:WeibullAFTFitter": "by methods of its own",
    "pmdarima.arima.arima:ARIMA": "predicts periods of a time series",
    "sktime.forecasting.naive._naive:NaiveForecaster": "predicts periods of a time series",
}


def read(tmp_path, body, **options):
    (tmp_path / "m.pkl").write_bytes(op.pickled(body))
    return inspect(tmp_path / "m.pkl", **options)


@pytest.mark.parametrize(
    "inner", [op.NONE, FORMULA, PARTIAL, METHOD], ids=["", "formula", "partial", "method"]
)
@pytest.mark.parametrize("key", REASONS)
def test_models_of_other_methods_are_not_supported(tmp_path, key, inner):
    spec = read(tmp_path, op.new(key, inner=inner))
    with pytest.raises(ModelNotSupportedError, match=REASONS[key]) as raised:
        require_servable(spec)
    assert "--code FILE.py" in raised.value.hint
    assert "do not load" not in raised.value.hint


@pytest.mark.parametrize("inner", [FORMULA, PARTIAL], ids=["formula", "partial"])
def test_a_formula_is_refused_with_its_reason_even_if_trusted(tmp_path, inner):
    names = ["mine:Wrapper", "formulaic.model_spec:ModelSpec", "formulaic.transforms.scale:scale"]
    spec = read(tmp_path, op.new("mine:Wrapper", inner=inner), trust=names)
    assert spec.safety.verdict == "refuse"
    with pytest.raises(ModelRefusedError, match="a formula of formulaic") as raised:
        require_servable(spec)
    assert raised.value.hint == "Train without a formula, on columns that contain its terms."


@pytest.mark.parametrize("harm", [
    op.call("posix:system", op.text("true")),
    op.call("formulaic.utils.stateful_transforms:stateful_eval", op.text("1")),
    op.new("patsy.eval:EvalFactor"),
    op.call("functools:partial", op.name("posix:system")),
])  # fmt: skip
@pytest.mark.parametrize("key", ["mine:Wrapper", *REASONS])
def test_harmful_names_next_to_a_formula_are_dangerous(tmp_path, key, harm):
    spec = read(tmp_path, op.new(key, inner=FORMULA, more=harm))
    assert spec.safety.verdict == "refuse"
    with pytest.raises(ModelRefusedError) as raised:
        require_servable(spec)
    assert "do not load this file" in raised.value.hint


# fmt: off
CALLS = {
    "loads a file": op.call("statsmodels.iolib.smpickle:load_pickle", op.text("x")),
    "evaluates a text": op.call("formulaic.utils.stateful_transforms:stateful_eval", op.text("1")),
    "function of the library": op.call("sktime.base:load", op.text("x")),
    "unknown function": op.call("numexpr:evaluate", op.text("1")),
    "method of another object": op.call("functools:partial", op.call(
        "builtins:getattr", op.call("collections:OrderedDict"), op.text("update"))),
    "result of a call": op.call("functools:partial", op.call("mine:Model", op.text("run"))),
    "state of what getattr returns": op.call(
        "builtins:getattr", op.name("lifelines.utils:Model"), op.text("predict")) + op.table(
        a=op.NONE) + op.BUILD,
}
# fmt: on


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("key", [*REASONS, "sklearn_crfsuite.estimator:CRF"])
def test_calls_in_a_model_of_other_methods_are_not_hidden(tmp_path, key, call):
    spec = read(tmp_path, op.new(key, inner=call))
    with pytest.raises(ModelRefusedError):
        require_servable(spec)


WITHOUT_ROWS = {
    "prophet.forecaster:Prophet": "predicts a frame of dates by the column ds",
    "fbprophet.forecaster:Prophet": "predicts a frame of dates by the column ds",
    "optuna.study.study:Study": "is a search for parameters, and no model",
    "spacy.lang.en:English": "takes a text and returns a document",
}


@pytest.mark.parametrize("key", WITHOUT_ROWS)
def test_libraries_without_rows_are_named(tmp_path, key):
    search = op.call("builtins:getattr", op.call("re:_compile", op.text("a"), op.number(0)),
                     op.text("search"))  # fmt: skip
    spec = read(tmp_path, op.new(key, backend=op.new("cmdstanpy.model:CmdStanModel"), re=search))
    with pytest.raises(ModelNotSupportedError, match=WITHOUT_ROWS[key]) as raised:
        require_servable(spec)
    assert "docs/formats.md" in raised.value.hint
    for harm in (op.SYSTEM, search + op.table(a=op.NONE) + op.BUILD):
        with pytest.raises(ModelRefusedError):
            require_servable(read(tmp_path, op.new(key, more=harm)))


def test_a_command_in_a_labeller_of_sequences_is_dangerous(tmp_path):
    key = "sklearn_crfsuite.estimator:CRF"
    spec = read(tmp_path, op.new(key, inner=op.call("posix:system", op.text("true"))))
    with pytest.raises(ModelRefusedError) as raised:
        require_servable(spec)
    assert "do not load this file" in raised.value.hint


def test_a_format_that_is_not_read_does_not_hide_another_hostile_file(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "m.pkl").write_bytes(op.pickled(op.SYSTEM))
    with pytest.raises(ModelRefusedError) as raised:
        require_servable(inspect(tmp_path / "a.csv", tmp_path / "m.pkl"))
    assert "do not load this file" in raised.value.hint


class Tokens:
    """A class of the user."""


UNREAD = {
    "argparse.Namespace": (argparse.Namespace(rate=1), "vars(args)"),
    "decimal.Decimal": (decimal.Decimal("1.5"), "vars(args)"),
    "random.Random": (random.Random(0), "vars(args)"),
    "uuid.UUID": (uuid.UUID(int=3), "vars(args)"),
    "operator.itemgetter": (operator.itemgetter("a"), "--code FILE.py"),
}


@pytest.mark.parametrize("name", UNREAD)
@pytest.mark.parametrize("protocol", [2, 4])
def test_harmless_objects_of_the_standard_library_are_named(tmp_path, name, protocol):
    model = Tokens()
    model.value, way_out = UNREAD[name]
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(model, protocol))
    with pytest.raises(
        ModelNotSupportedError, match=rf"{name}, which modelpack does not"
    ) as raised:
        require_servable(inspect(tmp_path / "m.pkl"))
    assert way_out in raised.value.hint
    harmful = op.many(op.call("decimal:Decimal", op.text("1")), op.SYSTEM)
    with pytest.raises(ModelRefusedError):
        require_servable(read(tmp_path, harmful))


def test_an_own_class_may_keep_its_logger(tmp_path):
    model = Tokens()
    model.loggers = [logging.getLogger("tokens"), logging.getLogger()]
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(model))
    found = inspect(tmp_path / "m.pkl").safety.findings
    assert {finding.code for finding in found} <= {"unknown-global", "not-a-model"}
    spec = read(tmp_path, op.call("logging:getLogger", op.text("a"), op.text("b")))
    assert spec.safety.verdict == "refuse"


LAYER = {"_modules": op.EMPTY_DICT, "_parameters": op.EMPTY_DICT, "_buffers": op.EMPTY_DICT}
NETWORKS = {
    "skorch": (op.new("skorch.classifier:NeuralNetClassifier", __params__=op.NONE), "of skorch"),
    "print": (op.new("skorch.classifier:NeuralNetClassifier", sink=op.name("builtins:print")), ""),
    "last step": (op.many(op.new(op.SCALER), op.new("skorch.net:NeuralNet")), "of skorch"),
    "PyTorch": (op.new("mine:Net", **LAYER), "of PyTorch"),
}


@pytest.mark.parametrize("network", NETWORKS)
def test_neural_networks_are_named(tmp_path, network):
    body, words = NETWORKS[network]
    with pytest.raises(ModelNotSupportedError, match=f"a neural network {words}") as raised:
        require_servable(read(tmp_path, body))
    assert "torch.onnx.export" in raised.value.hint
    with pytest.raises(ModelRefusedError):
        require_servable(read(tmp_path, op.many(body, op.SYSTEM)))


def test_an_own_class_may_contain_a_network(tmp_path):
    spec = read(tmp_path, op.new("mine:Classifier", network=op.new("mine:Net", **LAYER)))
    assert spec.safety.verdict == "trust"


def test_a_class_of_a_library_that_was_saved_by_mistake_is_not_dangerous(tmp_path):
    with pytest.raises(ModelNotSupportedError, match="a reference to sklearn"):
        require_servable(read(tmp_path, op.name("sklearn.naive_bayes:GaussianNB")))


@pytest.mark.parametrize("method", ["findall", "split", "sub"])
def test_a_vectorizer_may_use_a_compiled_pattern(tmp_path, method):
    vectorizer = CountVectorizer(tokenizer=getattr(re.compile(r"\w+"), method), token_pattern=None)
    vectorizer.vocabulary_ = {"a": 0}
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(vectorizer))
    verdict = inspect(tmp_path / "m.pkl").safety.verdict
    assert verdict == ("refuse" if method == "sub" else "pass")
    scaler = StandardScaler()
    scaler.scale_ = re.compile("a").findall
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(scaler))
    assert inspect(tmp_path / "m.pkl").safety.verdict == "refuse"


LIBRARIES = {
    "gensim.models.word2vec:Word2Vec": "predicts no rows of a table",
    "nltk.classify.naivebayes:NaiveBayesClassifier": "by the method classify",
    "river.compose.pipeline:Pipeline": "by the method predict_one",
}


@pytest.mark.parametrize("key", LIBRARIES)
def test_models_of_words_and_of_single_rows_are_named(tmp_path, key):
    inner = op.call("river.utils.vectordict:__pyx_unpickle_VectorDict", op.number(1))
    model = op.new(key, hashfxn=op.name("builtins:hash"), state=inner)
    with pytest.raises(ModelNotSupportedError, match=LIBRARIES[key]) as raised:
        require_servable(read(tmp_path, model))
    assert "--code FILE.py" in raised.value.hint
    spec = read(tmp_path, op.new("mine:Wrapper", model=model))
    assert spec.safety.verdict == "trust"
    assert "river.utils.vectordict:__pyx_unpickle_VectorDict" in {
        finding.global_ for finding in spec.safety.findings
    }


def test_a_tokenizer_of_nltk_needs_only_trust(tmp_path):
    flags = op.call("re:RegexFlag", op.call("regex._regex_core:RegexFlag", op.number(56)))
    timed = op.new("nltk.redos:TimedPattern", _timeout=op.new("builtins:object"))
    for arguments in (flags, op.call("re:RegexFlag", op.number(56))):
        tokenizer = op.new("nltk.tokenize.regexp:RegexpTokenizer", _flags=arguments, _regexp=timed)
        assert read(tmp_path, tokenizer).safety.verdict == "trust"
    wrong = op.new("mine:Tokenizer", flags=op.call("re:RegexFlag", op.text("x")))
    assert read(tmp_path, wrong).safety.verdict == "refuse"


@pytest.mark.parametrize("name", ["builtins:hash", "builtins:object"])
@pytest.mark.parametrize("position", ["func", "dtype"])
def test_such_names_are_no_functions_of_rows(tmp_path, name, position):
    key = "sklearn.preprocessing._function_transformer:FunctionTransformer"
    spec = read(tmp_path, op.new(key, **{position: op.name(name)}))
    assert spec.safety.verdict == ("pass" if (name, position) == OBJECT_DTYPE else "refuse")


OBJECT_DTYPE = ("builtins:object", "dtype")
