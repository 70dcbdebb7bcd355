"""Files of other formats are named before anything in them is judged, with a way out."""

import gzip
import io
import pickle
import re
import string
import subprocess
import sys
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path

import pytest
from opcodes import SYSTEM, call, pickled, text
from sklearn.linear_model import LogisticRegression

from modelpack.bundle.render import MODEL_FILES
from modelpack.errors import ModelNotSupportedError, ModelRefusedError
from modelpack.inspection import known_formats, require_servable
from modelpack.inspection.formats import READERS
from modelpack.inspection.inspector import inspect
from modelpack.serving.runtimes import LOADERS
from modelpack.serving.runtimes.native_chain import NATIVE

DATA = Path(__file__).parents[1] / "data" / "formats"
MODEL = pickle.dumps(LogisticRegression().fit([[0.0], [1.0]], [0, 1]))

# fmt: off
FILES = {
    "MLmodel": "mlmodel", "annoy.ann": "unknown", "arrow-stream.arrows": "arrow",
    "avro.avro": "avro", "catboost.json.gz": "catboost-json", "compiled-python.bin": "pyc",
    "coreml-desc.mlmodel": "coreml", "coreml-nn.mlmodel": "coreml", "crf.crfsuite.gz": "crfsuite",
    "csv-bom.csv": "csv", "csv-latin1.csv": "csv", "csv.csv": "csv", "csv.gz": "csv",
    "external.joblib": "joblib-files", "faiss.index": "faiss",
    "feather.feather": "arrow", "first-letter-of-an-opcode.csv": "csv",
    "flax.msgpack": "msgpack", "gguf.gguf": "gguf", "graph.pb": "tensorflow",
    "h5py.h5.gz": "hdf5", "keras-weights.weights.h5.gz": "keras-weights",
    "keras.json": "keras-json", "liblinear.model": "libsvm",
    "libsvm.model": "libsvm", "lightgbm-dump.json": "lightgbm-dump", "lightgbm-rows.bin": "dataset",
    "mat.mat": "matlab", "matrix-npy.npy": "numpy", "model.tflite.gz": "tflite",
    "names-and-model.pkl": "pickles", "notebook.ipynb": "notebook", "npy.npy": "numpy",
    "npz.npz": "npz", "nyoka.pmml": "pmml", "onnx-text.onnxtxt": "onnx-text", "orc.orc": "orc",
    "pandas.h5.gz": "hdf5", "parquet.parquet": "parquet", "pickle.7z": "7z",
    "pickle.snappy": "snappy", "r.RData": "r", "r.rds": "r", "safetensors.safetensors":
    "safetensors", "sas.xpt": "sas", "saved_model.pb.gz": "savedmodel", "several.joblib":
    "joblibs", "several.pkl": "pickles", "spss.sav": "spss", "sqlite.db.gz": "sqlite",
    "stata.dta": "stata", "tar-of-pickle.tar.gz": "tar", "torch-legacy-p4.pt": "torch-weights",
    "torch-legacy.pt": "torch-weights", "torch-state.pt.gz": "torch-weights",
    "treelite.tl": "treelite", "tsv.tsv": "tsv", "variables.index": "checkpoint",
    "vw.model": "vowpal", "word2vec.bin": "word2vec", "word2vec.txt": "word2vec",
    "xgboost-dump.json": "xgboost-dump", "xgboost-dump.txt": "xgboost-dump",
    "xgboost-rows.buffer": "dataset", "xlsx.xlsx.gz": "excel", "zf.joblib": "joblib-zf",
    "zst.pkl.zst": "zstd",
}


def zipped(*names):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name in names:
            archive.writestr(name, b"data")
    return memory.getvalue()


HEADERS = {
    "fastai": b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
    b"\x80\x02cfastai.basic_train\nLearner\n)\x81.",
    "archive": b"!<arch>\ndebian-binary", "caffe-text": b'name: "LeNet"\nlayer {\n',
    "error-message": b'{"message": "Not Found"}', "tensorflow-text": b'node {\n  name: "x"\n',
    "triton": b'name: "m"\nplatform: "onnxruntime_onnx"\n',
    "xgboost-config": b'{"learner":{"generic_param":{"device":"cpu"}}}',
    "arff": b"% Iris\n@RELATION iris\n", "darknet": b"[net]\nbatch=1\n",
    "dockerfile": b"# syntax=docker/dockerfile:1\nFROM python:3.13\n", "h2o": b"\x1c\xed\0\x08",
    "jar": zipped("META-INF/MANIFEST.MF", "Model.class"), "media": b"RIFF\0\0\0\0WAVEfmt ",
    "mxnet-json": b'{\n  "nodes": [\n    {\n      "op": "null"', "ncnn": b"7767517\n75 83\n",
    "opencv": b"%YAML:1.0\n---\nopencv_ml_rtrees:\n",
    "pfa": b'{"name": "m", "input": "double", "output": "double", "action": ["input"]}',
    "prophet-json": b'{"growth": "linear", "n_changepoints": 25}',
    "rows": b'[{"a": 1}]', "settings": b'# project\n[tool.poetry]\nname = "m"\n',
    "sktime": zipped("_metadata", "_obj"), "source-code": b"/* * */\n#include <vector>\n",
    "stable-baselines": zipped("data", "policy.pth", "_stable_baselines3_version"),
    "svmlight": b"SVM-light Version V6.02\n", "tabnet": zipped("model_params.json", "network.pt"),
    "tensorboard": bytes(12) + b"\x09" + bytes(8) + b"\x1a\x0dbrain.Event:2",
    "tensorflow-js": b'{"format": "layers-model"}', "tensorrt": b"ftrt\0\0\0\0",
    "tokenizer": b'{\n  "version": "1.0",\n  "truncation": null\n}',
    "torchserve": zipped("m.py", "MAR-INF/MANIFEST.json"),
    "transformers": b'{"architectures": ["BertModel"], "model_type": "bert"}',
    "unix-compressed": b"LZIP\x01\x0c", "yaml": b"# run\nmodel:\n  - a: 1\n",
    "7z": b"7z\xbc\xaf\x27\x1c\0\4", "caffe": b"\n\x05LeNet\x12\x04data", "compressed":
    gzip.compress(zlib.compress(b"x")), "dbm": b"\xce\x9a\x57\x13" + bytes(9),
    "dvc": b"outs:\n- md5: 00\n  size: 3\n  path: m.pkl\n", "encrypted": b"Salted__" + bytes(8),
    "executable": b"\x7fELF\2\1\1", "fasttext": b"\xba\x16\x4f\x2f\x0c\0\0\0",
    "git-lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
    "html": b"<!DOCTYPE html><html></html>", "image": b"\x89PNG\r\n\x1a\n", "java":
    b"\xac\xed\0\x05sr\0\x1eweka.classifiers.trees.J48", "json": b'{"a": 1}',
    "mlnet": zipped("TransformerChain/Model.key"), "mojo": zipped("model.ini", "domains/d.txt"),
    "modelpack": zipped('model.json{"arrays":[]'),
    "mxnet": b"\x12\x01" + bytes(14), "office": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "openvino": b'<?xml version="1.0"?>\n<net name="m" version="11">\n</net>',
    "ort": b"\x20\0\0\0ORTM", "paddle": b"\n\x10\x08\0\x10" + b"\xff" * 9 + b"\x01\x1a\0",
    "pdf": b"%PDF-1.7\n", "python": b"# training\nimport joblib\n", "rar": b"Rar!\x1a\x07\x01\0",
    "sentencepiece": b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02", "text": b"no model\n",
    "torch": zipped("net/data.pkl", "net/data/0"),
    "torch-export-old": zipped("serialized_exported_program.json", "version"),
    "torch-package": zipped("net/.data/extern_modules", "net/model/model.pkl"),
    "wheel": zipped("m.py", "m-1.dist-info/METADATA"), "xgboost-text": b"bs64\tAAAAPw",
    "xml": b'<?xml version="1.0"?>\n<a/>', "zip": zipped("model.pkl"),
}
# fmt: on


def encrypted(data):
    return data[:6] + bytes([data[6] | 1]) + data[7:]


# fmt: off
VARIANTS = [
    ("encrypted", encrypted(zipped("model.pkl"))), ("encrypted", b"$ANSIBLE_VAULT;1.1;AES256\n"),
    ("encrypted", b"\x8c\x0d\x04\x09\x03\x02\xd3"), ("encrypted", b"\x85\x01\x0c\x03\x8e"),
    ("office", zipped("word/document.xml")), ("image", b"RIFF\0\0\0\0WEBPVP8 "),
    ("word2vec", b"the" + b" 0.418 -0.2e-05" * 25), ("rows", b'{"instances": [[1, 2]]}'),
    ("rows", b'{"a": 1, "b": 2}\n{"a": 3, "b": 4}\n'), ("rows", b"+1 1:0.5 3:0.25\n"),
    ("rows", b"2 qid:1 1:0.5\n"), ("darknet", b"\0\0\0\0\2\0\0\0\0\0\0\0"),
    ("opencv", b'<?xml version="1.0"?>\n<opencv_storage>\n'),
    ("tensorflow-js", b'{"modelTopology":'),
    ("transformers", b'{"metadata": {"total_size": 1}, "weight_map": {}}'),
    ("python", b'"""Train a model.\n\nMore.\n"""\n\nfrom x import y\n'),
    ("python", b"### Model data\nclass catboost_model(object):\n"),
    ("source-code", b"/*\n  Licensed under the Apache License\n*/\nimport java.util.Map;\n"),
    ("source-code", b"double score(double * input) {\n"), ("error-message", b"404: Not Found"),
    ("error-message", b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code>'),
    ("text", b"-----BEGIN CERTIFICATE-----\nMII\n"), ("caffe-text", b'input: "data"\n'),
    ("yaml", b"---\nname: x\n"), ("csv", b"a: 1,b\n2,3\n"), ("text", b"Dear reader: hello.\nBye\n"),
    ("text", b"numpy==2.0\nscikit-learn==1.7.2\n"), ("json", b'["a", "b"]\n'), ("wheel", zipped(
        "EGG-INFO/PKG-INFO")),
]
# fmt: on


@pytest.mark.parametrize(("name", "data"), VARIANTS)
def test_variants_of_formats_are_named(tmp_path, name, data):
    check(saved(tmp_path, data), name)


def refusal(path):
    spec = inspect(path)
    with pytest.raises((ModelNotSupportedError, ModelRefusedError)) as error:
        require_servable(spec)
    return spec, error.value


def content(name):
    data = (DATA / name).read_bytes()
    return gzip.decompress(data) if name.endswith(".gz") and name.count(".") > 1 else data


def saved(tmp_path, data, name="model.pkl"):
    (tmp_path / name).write_bytes(data)
    return tmp_path / name


@pytest.mark.parametrize("name", FILES)
def test_files_are_named(tmp_path, name):
    check(saved(tmp_path, content(name)), FILES[name])


@pytest.mark.parametrize("name", HEADERS)
def test_headers_are_named(tmp_path, name):
    check(saved(tmp_path, HEADERS[name]), name)


def check(path, name):
    spec, error = refusal(path)
    assert spec.format == name
    assert [finding.code for finding in spec.safety.findings] == ["unsupported-format"]
    assert error.exit_code == 4
    assert error.hint
    assert not re.search(r"\{[a-z_]*\}", error.hint)  # a placeholder that was not filled in
    assert "do not load" not in error.hint


def test_each_format_has_a_file():
    known = {form.name for form in known_formats.ALL if form.reader is None} - {"skops"}
    assert known == {*FILES.values(), *HEADERS}
    assert {path.name for path in DATA.iterdir()} - {"README.md"} - READ == FILES.keys()


def test_each_format_with_a_reader_is_packaged_and_served():
    """A new format needs a line in each of these tables."""
    read = [form for form in known_formats.ALL if form.reader]
    names = {form.name for form in read}
    assert {form.reader for form in read} == READERS.keys()
    assert names == NATIVE
    assert names <= LOADERS.keys()
    assert names <= MODEL_FILES.keys()
    assert LOADERS.keys() == MODEL_FILES.keys()


READ = {
    "exported.pt2.gz", "keras.h5.gz", "keras.keras.gz", "onnx-doc.onnx", "onnx-long-producer.onnx",
    "torchscript.pt.gz",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(name for name in READ if name.endswith(".onnx")))
def test_onnx_with_texts_before_its_graph_is_read(name):
    require_servable(inspect(DATA / name))


@pytest.mark.parametrize("letter", [*string.ascii_letters, *string.digits, *"().]}#'\"_ -"])
@pytest.mark.parametrize("rows", ["ame,age\n1,2\n", "ame\nBern\nRome\n", "7\n", "\n\n"])
def test_text_that_begins_with_any_opcode_is_not_dangerous(tmp_path, letter, rows):
    spec, error = refusal(saved(tmp_path, (letter + rows).encode()))
    assert spec.format in {"csv", "text"}
    assert error.exit_code == 4


def test_the_file_is_named_in_the_way_out(tmp_path):
    path = saved(tmp_path, content("zf.joblib"), "an old one.pkl")
    assert f"joblib.load('{path}')" in refusal(path)[1].hint
    path = saved(tmp_path, content("zf.joblib"), "$(id)'); print(1).pkl")
    assert "joblib.load('FILE')" in refusal(path)[1].hint
    path = saved(tmp_path, content("model.tflite.gz"), "a net.tflite")
    assert f"--tflite '{path}' --output" in refusal(path)[1].hint


def test_hint_of_several_pickles_saves_one_list(tmp_path):
    _, error = refusal(saved(tmp_path, pickle.dumps([1]) + MODEL))
    code = error.hint.partition('python -c "')[2].rpartition('"')[0]
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, check=True)
    require_servable(inspect(tmp_path / "model.joblib"))


# fmt: off
HOSTILE = {
    "second pickle": (MODEL + pickled(SYSTEM), "trailing-data"),
    "third pickle": (MODEL + MODEL + pickled(SYSTEM), "trailing-data"),
    "second pickle of Python 2": (MODEL + b"cposix\nsystem\n(S'true'\ntR.", "trailing-data"),
    "command, and an array in another file": (
        pickled(SYSTEM)[:-1] + content("external.joblib")[2:], "banned-global"),
    "command in a text": (b"cposix\nsystem\n(S'true'\ntR.", "banned-global"),
    "name in a text": (b"cposix\nsystem\n", "banned-global"),
    "command behind a word": (b"S'a'\n0cposix\nsystem\n(S'true'\ntR.", "dropped-value"),
    "unknown function in the second pickle": (
        MODEL + pickled(call("numexpr:evaluate", text("1"))), "unknown-global"),
}
# fmt: on


@pytest.mark.parametrize(("data", "code"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_not_taken_for_other_formats(tmp_path, data, code):
    spec, error = refusal(saved(tmp_path, data))
    assert code in {finding.code for finding in spec.safety.findings}
    assert error.exit_code == 3


# fmt: off
COMMAND = b"cposix\nsystem\n(S'true'\ntR."
DISGUISES = {
    "ort": b"\x80\x02C\x04ORTM", "tflite": b"\x80\x02C\x04TFL3", "gguf": b"GGUF\3" + bytes(4),
    "safetensors": b'C\x08abc\0\0\0{"', "image": b"GIF89a" + bytes(3), "r": b"X\n\0\0\0\2\0" +
    b"\1" * 8, "pyc": b"C\x0d\r\n" + bytes(11), "executable": b"MZ\x90C\x3d" + bytes(61),
    "tar": b"B\x2c\1\0\0" + bytes(252) + b"ustar" + bytes(43), "catboost": b"CBM1" + bytes(64),
    "xgboost": b"C\xff" + bytes(134) + b"\x0f" + bytes(7) + b"binary:logistic\x06" + bytes(7) +
    b"gbtree" + bytes(84), "text, a memo index twice": b"I1\np0\nI1\np0\n",
    "text, a hexadecimal number": b"I0x10\n", "text, a number with underscores": b"L1_0L\n",
    "numbers, a memo index twice": b"K\1q\0K\1q\0",
}
HIDDEN = {
    **{name: start + COMMAND for name, start in DISGUISES.items()},
    "mlmodel": COMMAND + b"\nflavors:\n",
    "checkpoint": COMMAND + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb",
    "text, the list of a call": b"cnumexpr\nevaluate\n(S'1'\nlR.",
    "text, a list of a library": b"cmine\nREGISTRY\nS'1'\na.",
    "text, a class that is called": b"I0x1\n(S'true'\niposix\nsystem\n.",
}
# fmt: on


class NameLookup(Exception):
    """An unpickler looks up a name."""


class Searching(pickle._Unpickler):
    def find_class(self, module, name):
        raise NameLookup(f"{module}:{name}")


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["", "gzip"])
@pytest.mark.parametrize("data", HIDDEN.values(), ids=HIDDEN)
def test_pickles_disguised_as_other_formats_are_dangerous(tmp_path, data, compress):
    with pytest.raises(NameLookup):
        Searching(io.BytesIO(data)).load()
    spec, error = refusal(saved(tmp_path, compress(data)))
    assert spec.safety.verdict == "refuse"
    assert error.exit_code == 3
    assert "do not load this file" in error.hint


def test_a_disguise_larger_than_the_head_of_a_file(tmp_path):
    start = b"I0x1\nV" + b"a" * 300_000 + b"\n"
    assert refusal(saved(tmp_path, start + COMMAND))[1].exit_code == 3
    assert refusal(saved(tmp_path, start + b"a word\n"))[1].exit_code == 4


def test_no_file_becomes_an_option_of_a_command(tmp_path, monkeypatch):
    saved(tmp_path, content("zst.pkl.zst"), "--rm")
    monkeypatch.chdir(tmp_path)
    spec = inspect("--rm")
    with pytest.raises(ModelNotSupportedError) as error:
        require_servable(spec)
    assert "zstd -d ./--rm" in error.value.hint


def torch_file(data):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr("net/data.pkl", data)
        archive.writestr("net/data/0", bytes(8))
    return memory.getvalue()


LAYERS = b"ctorch.nn.modules.container\nSequential\n)\x81"
TORCH = {
    "a checkpoint": (b"\x80\x02}q\0(X\5\0\0\0epochq\1K\3X\5\0\0\0state"
                     b"ccollections\nOrderedDict\n)Ru.", "torch-weights"),
    "weights, protocol 5": (pickle.dumps(OrderedDict(w=1), 5), "torch-weights"),
    "layers": (b"\x80\x02" + LAYERS + b".", "torch"),
    "fastai": (b"\x80\x02cfastai.learner\nLearner\nq\0)\x81X\5\0\0\0model" + LAYERS + b"s.",
               "fastai"),
    "a class of a script": (b"\x80\x02c__main__\nNet\n)\x81}b.", "torch"),
    "layers in a dict": (b"\x80\x02}X\5\0\0\0model" + LAYERS + b"s.", "torch"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "name"), TORCH.values(), ids=TORCH)
def test_weights_of_pytorch_are_distinguished_from_models(tmp_path, data, name):
    spec, error = refusal(saved(tmp_path, torch_file(data)))
    assert (spec.format, error.exit_code) == (name, 4)
    assert ("load_state_dict(" in error.hint) == (name == "torch-weights")
    assert ("weights_only=False" in error.hint) == (name == "torch")
    assert "torch.export.save(torch.export.export(model.eval()" in error.hint


LOADING = {
    "dbm", "joblib-files", "joblib-zf", "joblibs", "pickles", "torch", "torch-export-old",
    "torch-package",
}  # fmt: skip


def test_files_that_may_run_code_are_loaded_only_if_their_author_is_trusted():
    hints = {form.name: form.hint for form in known_formats.ALL}
    assert all(hints[name].startswith("If you trust its author, ") for name in LOADING)
    python = {
        name for name, hint in hints.items() if re.search(r"(pickle|joblib|keras)\S*load", hint)
    }
    assert python <= LOADING
