"""Files without a model: their description, and the errors that follow."""

import hashlib
import io
import json
import os
import pickle
import sys
import tracemalloc
import types
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from opcodes import new, pickled, table
from sklearn.cluster import DBSCAN
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline

from modelpack.errors import ModelNotSupportedError, ModelRefusedError, UsageError
from modelpack.inspection import require_servable, with_trusted
from modelpack.inspection.inspector import inspect
from modelpack.types import Code

X = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])
FRAME = pd.DataFrame(X, columns=["a", "b"])


def zipped(*names):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name in names:
            archive.writestr(name, b"x" * 100_000)
    return memory.getvalue()


# fmt: off
FORMATS = {
    "text": (b"hello, this is\nno model\n", "text"),
    "csv": (b"city,name\nBern,Ada\n", "csv"),
    "json": (b'{"a": [1, 2]}', "json"),
    "web page": (b"<!DOCTYPE html><html><body>404</body></html>", "html"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "git-lfs"),
    "torch": (zipped("archive/data.pkl", "archive/data/0"), "torch"),
    "zip": (zipped("a.txt"), "zip"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "hdf5"),
    "xgboost in base64": (b"bs64\tAAAAPwQAAAAKAAAA", "xgboost-text"),
    "R": (b"X\n\0\0\0\x03\0\x04\x02\x01\0\x03\x05\0", "r"),
    "pdf": (b"%PDF-1.7\n", "pdf"),
    "safetensors": (b'\x02\1\0\0\0\0\0\0{"__metadata__":{}}' + bytes(300), "safetensors"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4" + bytes(30), "7z"),
    "npy": (b"\x93NUMPY\x01\0", "numpy"),
    "npz": (zipped("a.npy"), "npz"),
    "excel": (zipped("[Content_Types].xml", "xl/workbook.xml"), "excel"),
    "feather": (b"ARROW1\0\0" + bytes(50), "arrow"),
    "orc": (b"ORC" + bytes(50), "orc"),
    "avro": (b"Obj\x01" + bytes(50), "avro"),
    "sqlite": (b"SQLite format 3\0" + bytes(90), "sqlite"),
    "matlab": (b"MATLAB 5.0 MAT-file" + b" " * 100, "matlab"),
    "gguf": (b"GGUF\x03\0\0\0" + bytes(50), "gguf"),
    "word": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(50), "office"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(50), "zstd"),
    "csv in UTF-16": ("a,b\n1,2\n".encode("utf-16"), "text"),
}
# fmt: on


@pytest.mark.parametrize(("data", "format_"), FORMATS.values(), ids=FORMATS)
def test_other_formats_are_named(tmp_path, data, format_):
    path = tmp_path / "model.pkl"
    path.write_bytes(data)
    spec = inspect(path)
    assert spec.format == format_
    assert spec.safety.verdict == "refuse"
    assert [finding.code for finding in spec.safety.findings] == ["unsupported-format"]
    assert spec.file.sha256 == hashlib.sha256(data).hexdigest()
    with pytest.raises(
        ModelNotSupportedError, match=r"modelpack reads .*joblib.*LightGBM.*CatBoost.*ONNX"
    ) as error:
        require_servable(spec)
    assert error.value.hint


# fmt: off
BROKEN = {
    "onnx": (b"\x08\x0a\x12\x08skl2onnx\x1a\x061.17.0" + bytes(50), "onnx"),
    "lightgbm": (b"tree\nversion=v4\nnum_class=3\n", "lightgbm"),
    "xgboost json": (b'{"learner":{"attributes":{}}}', "xgboost"),
    "xgboost ubj": (b"{L\0\0\0\0\0\0\0\x07learner{", "xgboost"),
    "xgboost binary": (b"binf" + bytes(100), "xgboost"),
    "catboost": (b"CBM1" + bytes(100), "catboost"),
}
# fmt: on


@pytest.mark.parametrize(("data", "format_"), BROKEN.values(), ids=BROKEN)
def test_malformed_files_of_other_libraries_are_refused(tmp_path, data, format_):
    path = tmp_path / "model.pkl"
    path.write_bytes(data)
    spec = inspect(path)
    assert (spec.format, spec.safety.verdict) == (format_, "refuse")
    with pytest.raises(ModelRefusedError) as error:
        require_servable(spec)
    assert error.value.hint


# fmt: off
NO_MODELS = {
    "dict": (
        {"a": X, "b": X, "n": 3}, "a dict with 3 keys (a, b, n) holding 2 numpy arrays and number"),
    "list": ([X] * 3, "a list of 3 numpy arrays"),
    "empty list": ([], "an empty list"),
    "array": (X, "a numpy array of 3 x 2 (f8)"),
    "frame": (FRAME, "a pandas DataFrame of 3 rows and 2 columns (a, b)"),
    "part of a frame": (FRAME[::-2], "a pandas DataFrame of 2 rows and 2 columns (a, b)"),
    "series": (FRAME["a"], "a pandas Series"),
    "dict of numbers": (
        dict(enumerate("abcdefg")), "a dict with 7 keys (0, 1, 2, 3, 4, 5, ...) holding 7 strings"),
    "names that are not told": ({"\x1b[31m": 1}, "a dict with 1 key holding number"),
    "long names": ({"a" * 200: 1}, "a dict with 1 key holding number"),
    "string": ("model", "a string"),
    "number": (3, "a number"),
    "None": (None, "None"),
    "set": ({1, 2}, "a set"),
    "numpy number": (np.float64(3), "a number"),
}
# fmt: on


@pytest.mark.parametrize(("value", "description"), NO_MODELS.values(), ids=NO_MODELS)
@pytest.mark.parametrize("protocol", [2, 5])
def test_content_that_is_not_a_model_is_described(tmp_path, value, description, protocol):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    spec = inspect(path)
    assert spec.safety.verdict == "pass"
    assert spec.estimator is None
    with pytest.raises(ModelNotSupportedError) as error:
        require_servable(spec)
    assert f"contains {description}, but no estimator" in error.value.message


def test_explainer_is_not_a_model_even_if_trusted(tmp_path, monkeypatch):
    module = types.ModuleType("shap")
    module.Explainer = type("Explainer", (), {"__module__": "shap"})
    monkeypatch.setitem(sys.modules, "shap", module)
    explainer = module.Explainer()
    explainer.model = GaussianNB()
    (tmp_path / "m").write_bytes(pickle.dumps(explainer))
    message = r"contains an object of shap \(Explainer\), .*; the model is its attribute model"
    for trust in ([], ["shap:Explainer"]):
        with pytest.raises(ModelNotSupportedError, match=message):
            require_servable(inspect(tmp_path / "m", trust=trust))


def named(model, *names):
    """A model as scikit-learn before 1.9 fits it to a DataFrame with columns of these names."""
    model.feature_names_in_ = np.array(names, object)
    return model


@pytest.mark.parametrize(
    ("model", "code"),
    [
        (LogisticRegression(), "not-fitted"),
        (DBSCAN().fit(X), "no-prediction"),
        (LocalOutlierFactor(2).fit(X), "no-prediction"),
        (named(GaussianNB().fit(X, [0, 1, 1]), "age", "age"), "repeated-name"),
    ],
)
def test_models_that_cannot_predict_are_not_supported(tmp_path, model, code):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(model))
    spec = inspect(path)
    assert [finding.code for finding in spec.safety.findings] == [code]
    with pytest.raises(ModelNotSupportedError) as error:
        require_servable(spec)
    assert error.value.hint


def test_a_model_of_texts_that_would_open_files_is_not_served(tmp_path):
    vectorizer = CountVectorizer(input="content").fit(["a text", "another text"])
    vectorizer.input = "filename"
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(vectorizer))
    with pytest.raises(ModelRefusedError, match="as a file name"):
        require_servable(inspect(path))
    # At any position of the vectorizer, not only if it is the first step.
    path.write_bytes(pickle.dumps([make_pipeline("passthrough", vectorizer)]))
    assert inspect(path).safety.verdict == "refuse"


def test_too_large_file_is_not_read(tmp_path):
    path = tmp_path / "model.pkl"
    with path.open("wb") as file:
        file.truncate(2**40)  # sparse: takes no space
    spec = inspect(path)
    assert [finding.code for finding in spec.safety.findings] == ["too-large"]
    with pytest.raises(ModelRefusedError, match="16 GiB"):
        require_servable(spec)


def test_lz4_that_is_not_installed(tmp_path, monkeypatch):
    path = tmp_path / "model.joblib"
    joblib.dump(GaussianNB().fit(X, [0, 1, 1]), path, compress=("lz4", 3))
    monkeypatch.setitem(sys.modules, "lz4.frame", None)
    with pytest.raises(ModelNotSupportedError, match="needs `pip install") as error:
        require_servable(inspect(path))
    assert error.value.hint == "Run: pip install 'modelpack[lz4]'"


def test_large_values_are_not_kept(tmp_path):
    path = tmp_path / "model.joblib"
    joblib.dump({"a": np.zeros(8_000_000), "b": b"x" * 20_000_000}, path)
    tracemalloc.start()
    inspect(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 80_000_000
    assert peak < 4_000_000


def test_text_of_python_2(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(b"(S'caf\\xe9 \\q'\nU\x02\xe9xT\x01\x00\x00\x00ylp0\n.")
    with pytest.raises(ModelNotSupportedError, match="a list of 3 strings"):
        require_servable(inspect(path))


def test_file_name_that_is_not_utf_8(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/m\xff.pkl")
    Path(path).write_bytes(b"")
    assert json.dumps(inspect(path).file.path, ensure_ascii=False).encode()


@pytest.mark.parametrize("cut", [0, 1, 3, 100, -1])
def test_empty_and_cut(tmp_path, cut):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(GaussianNB().fit(X, [0, 1, 1]))[:cut])
    spec = inspect(path)
    assert spec.safety.verdict == "refuse"
    assert spec.safety.findings[0].code == ("truncated" if cut else "empty-file")
    with pytest.raises(ModelRefusedError if cut else ModelNotSupportedError) as error:
        require_servable(spec)
    assert "again" in error.value.hint


class TestPaths:
    def test_missing(self, tmp_path):
        with pytest.raises(UsageError, match="no such file") as error:
            inspect(tmp_path / "none.pkl")
        assert error.value.hint

    def test_fifo(self, tmp_path):
        os.mkfifo(tmp_path / "fifo")
        with pytest.raises(UsageError, match="is not a regular file, but a model is a single file"):
            inspect(tmp_path / "fifo")

    def test_device(self):
        with pytest.raises(UsageError, match="is not a regular file, but a model is a single file"):
            inspect("/dev/zero")

    def test_loop_of_links(self, tmp_path):
        (tmp_path / "a").symlink_to(tmp_path / "b")
        (tmp_path / "b").symlink_to(tmp_path / "a")
        with pytest.raises(UsageError, match="cannot be read"):
            inspect(tmp_path / "a")

    def test_link_to_a_model(self, tmp_path):
        (tmp_path / "model.pkl").write_bytes(pickle.dumps(GaussianNB().fit(X, [0, 1, 1])))
        (tmp_path / "link").symlink_to(tmp_path / "model.pkl")
        assert inspect(tmp_path / "link").safety.verdict == "pass"

    def test_unreadable(self, tmp_path, monkeypatch):
        def denied(*args):
            raise PermissionError(13, "Permission denied")

        (tmp_path / "m").write_bytes(b"")
        monkeypatch.setattr(os, "open", denied)  # file modes do not stop root
        with pytest.raises(UsageError, match="permission denied"):
            inspect(tmp_path / "m")

    def test_disk_that_fails(self, tmp_path, monkeypatch):
        def fails(*args):
            raise OSError(5, "Input/output error")

        (tmp_path / "m").write_bytes(b"N.")
        monkeypatch.setattr("modelpack.inspection.stream.HashingFile.read", fails)
        with pytest.raises(UsageError, match="input/output error"):
            inspect(tmp_path / "m")

    def test_name_with_a_zero(self):
        with pytest.raises(UsageError, match="zero byte"):
            inspect("a\0b")

    def test_nothing_stays_open(self, tmp_path):
        path = tmp_path / "model.pkl"
        before = len(list(Path("/proc/self/fd").iterdir()))
        for data in (b"", b"junk", pickle.dumps([1])):
            path.write_bytes(data)
            inspect(path)
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_trusting_names_later_equals_inspecting_with_trust(tmp_path):
    """Names can be trusted later, and so the file is read only once."""
    path = tmp_path / "m.pkl"
    both = table(a=new("shop:Model", x=b"K\x01"), b=new("__main__:Other", x=b"K\x01"))
    path.write_bytes(pickled(both))
    untrusted = inspect(path)
    assert untrusted.safety.verdict == "trust"
    names = ["shop:Model", "__main__:Other"]
    for trusted in (names, names[:1], ["shop:Another"], []):
        assert with_trusted(untrusted, Code(defined=tuple(trusted))) == inspect(path, trust=trusted)
    assert with_trusted(untrusted, Code(defined=tuple(names))).safety.verdict == "pass"
