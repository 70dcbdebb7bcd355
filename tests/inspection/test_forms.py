"""Forms of harmless files: protocols, picklers, containers, levels, and values next to models.

Numbers are those of the benign plan.
"""

import pickle
import struct
import subprocess
import sys

import families
import joblib
import numpy as np
import pandas as pd
import pytest
from families import MODELS, NAMES, X, Y, dumped_by_joblib, models, pickled_by_python, value_by_name
from opcodes import TUPLE1, dtype, name, new, number, pickled, text
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from modelpack.errors import ModelRefusedError
from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect

PICKLERS = {"c": pickle.dumps, "python": pickled_by_python, "joblib": dumped_by_joblib}


def inspected(tmp_path, data):
    path = tmp_path / "m"
    path.write_bytes(data)
    return inspect(path)


@pytest.mark.parametrize("pickler", PICKLERS)
@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name_", NAMES)
def test_protocols_and_picklers(tmp_path, name_, protocol, pickler):
    """B2, B28 to B33"""
    dumps = PICKLERS[pickler]
    data = dumps(value_by_name(name_), protocol=protocol)
    spec = inspected(tmp_path, data)
    assert spec.safety.verdict == "pass", spec.safety.findings
    assert spec.file.protocol == protocol
    if name_ in MODELS:
        reference = inspected(tmp_path, pickle.dumps(value_by_name(name_), 4))
        assert (spec.estimator, spec.steps) == (reference.estimator, reference.steps)
        assert spec.signature == reference.signature


LEVELS = {
    "zlib": range(1, 10), "gzip": range(1, 10), "bz2": range(1, 10), "lz4": (1, 5, 9),
    "xz": (1, 6, 9), "lzma": (1, 6, 9),
}  # fmt: skip


@pytest.mark.parametrize(
    ("container", "level"), [(c, level) for c, levels in LEVELS.items() for level in levels]
)
def test_containers_at_each_level(tmp_path, container, level):
    """B45"""
    data = dumped_by_joblib(models()["scaled logistic"], (container, level))
    spec = inspected(tmp_path, data)
    assert (spec.file.container, spec.safety.findings) == (container, ())


ARRAYS = {
    "rows first": np.arange(6.0).reshape(2, 3),
    "columns first": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "objects": np.array(["a", None, 1.5], object),
    "fields": np.zeros(2, [("a", "i4"), ("b", "f8")]),
    "no dimension": np.array(2.5),
    "empty": np.zeros((0, 4)),
    "big-endian": np.arange(3, dtype=">i8"),
    "text": np.array(["a", "\u00e9\U0001f600"]),
    "dates": np.array(["2024-01-01"], "M8[D]"),
    "booleans": np.array([True, False]),
    "strided": np.arange(10.0)[::2],
    "more than a buffer": np.zeros(2**17 + 3, "i1"),
}


@pytest.mark.parametrize("key", ARRAYS)
@pytest.mark.parametrize("compress", [0, 3])
def test_arrays_of_joblib(tmp_path, key, compress):
    """B46 to B48: the rest of the file is found behind each array."""
    data = dumped_by_joblib({"a": ARRAYS[key], "b": ARRAYS[key], "model": 1}, compress)
    spec = inspected(tmp_path, data)
    assert spec.safety.verdict == "pass", spec.safety.findings
    assert spec.format == "joblib"


@pytest.mark.parametrize("key", ["rows first", "columns first", "big-endian", "text"])
def test_arrays_without_padding_as_joblib_before_1_2_wrote_them(tmp_path, monkeypatch, key):
    """B49"""
    wrapper = joblib.numpy_pickle.NumpyArrayWrapper
    init = wrapper.__init__

    def without(self, *args, **kwargs):
        init(self, *args, **kwargs)
        del self.numpy_array_alignment_bytes

    monkeypatch.setattr(wrapper, "__init__", without)
    data = dumped_by_joblib([ARRAYS[key], GaussianNB().fit(X, Y)])
    assert b"numpy_array_alignment_bytes" not in data
    spec = inspected(tmp_path, data)
    assert spec.safety.verdict == "pass"
    assert spec.requirements["joblib"] == ""


@pytest.mark.slow
def test_bytes_beyond_4_gigabytes(tmp_path):
    """B49: BINBYTES8, in a sparse file that takes no space: what is behind them is found."""
    size = 2**32 + 5
    path = tmp_path / "m.pkl"
    with path.open("wb") as file:
        file.write(b"\x80\x04(\x8e" + struct.pack("<Q", size))
        file.seek(size, 1)
        file.write(name("posix:system") + b"t.")
    finding = inspect(path).safety.findings[0]
    assert (finding.code, finding.global_) == ("banned-global", "posix:system")
    assert finding.offset > size


def test_raw_bytes_that_look_like_opcodes(tmp_path):
    """B50"""
    evil = np.frombuffer(b"cposix\nsystem\n(S'true'\ntR." * 4, "i1")
    model = Ridge().fit(X, Y)
    model.evil_ = evil
    for data in (dumped_by_joblib(model), pickle.dumps(model, 4)):
        spec = inspected(tmp_path, data)
        assert spec.safety.verdict == "pass"
        assert "posix:system" not in spec.globals


@pytest.mark.parametrize("names", [["\u00e9t\u00e9", "\U0001f600", "\u6f22\u5b57", "a b"]])
@pytest.mark.parametrize("protocol", range(6))
def test_names_of_any_script(tmp_path, names, protocol):
    """B51"""
    model = GaussianNB().fit(pd.DataFrame(X, columns=names), np.array(names)[Y])
    spec = inspected(tmp_path, pickle.dumps(model, protocol))
    assert [field.name for field in spec.signature.inputs] == names
    assert set(spec.signature.classes) == set(np.array(names)[Y].tolist())


def test_a_vocabulary_of_300_000_terms(tmp_path):
    """B52"""
    model = make_pipeline(TfidfVectorizer(), Ridge())
    terms = (f"w{i}" for i in range(300_000))
    model.fit([" ".join(terms), "other text"], [0, 1])
    spec = inspected(tmp_path, pickle.dumps(model, 5))
    require_servable(spec)
    assert spec.signature.layout == "text"


class TestOwnCode:
    """B53: code of the author has to be trusted by its name."""

    SCRIPT = """
import pickle, sys
from sklearn.base import BaseEstimator
class Halves(BaseEstimator):
    def predict(self, X): return X / 2
model = Halves()
model.n_features_in_ = 2
pickle.dump(model, open(sys.argv[1], "wb"))
"""

    def test_class_of_a_script(self, tmp_path):
        path = tmp_path / "m.pkl"
        subprocess.run([sys.executable, "-c", self.SCRIPT, path], check=True)
        assert inspect(path).safety.verdict == "trust"
        with pytest.raises(ModelRefusedError) as refusal:
            require_servable(inspect(path))
        assert "--trust __main__:Halves" in refusal.value.hint
        assert inspect(path, trust=["__main__:Halves"]).safety.verdict == "pass"

    UNION = """
import pickle, sys
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion
class Lengths(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None): return self
    def transform(self, X): return [[len(x)] for x in X]
union = FeatureUnion([("lengths", Lengths()), ("words", TfidfVectorizer())])
pickle.dump(union.fit(["one two", "three"]), open(sys.argv[1], "wb"))
"""

    def test_texts_reach_a_vectorizer_next_to_a_class_of_a_script(self, tmp_path):
        path = tmp_path / "m.pkl"
        subprocess.run([sys.executable, "-c", self.UNION, path], check=True)
        spec = inspect(path, trust=["__main__:Lengths"])
        assert (spec.signature.layout, [f.name for f in spec.signature.inputs]) == (
            "text",
            ["text"],
        )

    def test_class_of_a_package(self, tmp_path, monkeypatch):
        (tmp_path / "own_package").mkdir()
        (tmp_path / "own_package" / "__init__.py").write_text("class Model:\n    pass\n")
        path = tmp_path / "m.pkl"
        script = "import own_package, pickle, sys; m = own_package.Model(); m.x = 1;"
        script += "pickle.dump(m, open(sys.argv[1], 'wb'))"
        subprocess.run([sys.executable, "-c", script, path], check=True, cwd=tmp_path)
        spec = inspect(path)
        assert spec.safety.verdict == "trust"
        assert spec.local_modules == ("own_package",)

    def test_function_of_a_package(self, tmp_path):
        model = make_pipeline(FunctionTransformer(families.pickled_by_python), Ridge())
        spec = inspected(tmp_path, pickle.dumps(model))
        key = f"{families.__name__}:pickled_by_python"
        assert [f.global_ for f in spec.safety.findings if f.global_] == [key]
        assert spec.safety.verdict == "trust"


def test_files_for_memory_maps(tmp_path):
    """B46: what joblib maps into memory is written as any other file, and is read as one."""
    path = tmp_path / "m.joblib"
    joblib.dump(LogisticRegression().fit(X[:, :2], Y), path)
    assert isinstance(joblib.load(path, mmap_mode="r").coef_, np.memmap)
    assert inspect(path).safety.verdict == "pass"


def test_wrapper_without_content_is_truncated(tmp_path):
    data = pickled(new("joblib.numpy_pickle:NumpyArrayWrapper", subclass=name("numpy:ndarray"),
                       shape=number(3) + TUPLE1, order=text("C"), dtype=dtype("f8")))  # fmt: skip
    assert inspected(tmp_path, data).safety.verdict == "refuse"
