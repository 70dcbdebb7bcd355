"""Hostile files whose danger is outside of the pickle.

It is in the container, the file system, the size, and in text that a model passes on to images,
terminals and package installers.
"""

import json
import os
import pickle
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from file_containers import BENIGN, CONTAINERS, HOSTILE, X, Y, named_gzip
from hostile_text import HOSTILE as TEXTS
from opcodes import (
    APPEND,
    APPENDS,
    BUILD,
    EMPTY_LIST,
    EMPTY_TUPLE,
    MARK,
    MEMOIZE,
    NEWOBJ,
    STOP,
    call,
    name,
    new,
    pickled,
    raw,
    table,
    text,
)
from serving_models import BASE, ENVIRONMENT
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from modelpack.bundle import render
from modelpack.errors import ModelRefusedError
from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect
from modelpack.serving.runtimes.threads import use_one_thread


def codes(path):
    return {finding.code for finding in inspect(path).safety.findings}


# --- containers: row 98 --------------------------------------------------------------------------


# fmt: on


@pytest.mark.parametrize(("data", "code"), CONTAINERS.values(), ids=CONTAINERS)
def test_containers(tmp_path, data, code):
    path = tmp_path / "model.joblib"
    path.write_bytes(data)
    before = set(tmp_path.rglob("*"))
    assert inspect(path).safety.verdict == "refuse"
    assert code in codes(path)
    assert set(tmp_path.rglob("*")) == before


def test_name_inside_gzip_is_not_used(tmp_path):
    path = tmp_path / "model.gz"
    path.write_bytes(named_gzip(BENIGN, "../../etc/cron.d/x"))
    assert inspect(path).safety.verdict == "pass"
    assert [found.name for found in tmp_path.iterdir()] == ["model.gz"]


# --- the file system: row 99; FIFO, device, directory, loop and sparse file in test_files.py -----


def test_a_file_that_changes_after_inspection_is_not_packaged(tmp_path):
    """99: between the look and the copy the file becomes another."""
    path = tmp_path / "model.pkl"
    path.write_bytes(BENIGN)
    spec = inspect(path)
    assert spec.safety.verdict == "pass"
    path.write_bytes(HOSTILE)
    with pytest.raises(ModelRefusedError):
        render.render(spec, ENVIRONMENT, BASE, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_digest_is_that_of_the_bytes_read_from_a_changing_file(tmp_path, monkeypatch):
    """99: what is judged and what is hashed are the same bytes, read once."""
    path = tmp_path / "model.pkl"
    path.write_bytes(BENIGN)
    real = os.fstat

    def replaces(descriptor):
        other = tmp_path / "other"
        other.write_bytes(HOSTILE)
        other.replace(path)
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", replaces)
    spec = inspect(path)
    monkeypatch.undo()
    assert path.read_bytes() == HOSTILE
    with pytest.raises(ModelRefusedError):
        render.render(spec, ENVIRONMENT, BASE, tmp_path / "bundle")


# --- size and shape: row 100 ---------------------------------------------------------------------


def test_a_pipeline_of_300_steps_is_read(tmp_path):
    """100: wide is no danger."""
    model = make_pipeline(*[StandardScaler() for _ in range(299)], GaussianNB()).fit(X, Y)
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(model))
    spec = inspect(path)
    assert spec.safety.verdict == "pass"
    assert len(spec.steps) == 300


def nested_pipelines(depth):
    body = new("sklearn.naive_bayes:GaussianNB")
    for _ in range(depth):
        steps = EMPTY_LIST + MARK + (MARK + text("s") + body + b"t") + APPENDS
        body = new("sklearn.pipeline:Pipeline", steps=steps)
    return pickled(body)


def test_pipelines_300_deep_are_refused(tmp_path):
    """100: no recursion of Python is left to end the inspector."""
    path = tmp_path / "model.pkl"
    path.write_bytes(nested_pipelines(300))
    assert "limit" in codes(path)
    path.write_bytes(nested_pipelines(30))
    assert inspect(path).safety.verdict == "pass"


HOLDS_ITSELF = {
    "100 list": EMPTY_LIST + MEMOIZE + MARK + b"h\0" + APPENDS,
    "100 tuple in a list": EMPTY_LIST + MEMOIZE + MARK + b"h\0\x85" + APPENDS,
    "100 estimator": name("sklearn.svm._classes:SVC")
    + EMPTY_TUPLE + NEWOBJ + MEMOIZE + b"}(" + text("kernel") + b"h\0u" + BUILD,
}  # fmt: skip


@pytest.mark.parametrize("body", HOLDS_ITSELF.values(), ids=HOLDS_ITSELF)
def test_inspection_of_self_referencing_objects_ends(tmp_path, body):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickled(body))
    assert inspect(path).safety.verdict == "pass"


@pytest.mark.parametrize("opcode", [bytes([b]) for b in range(256)])
def test_files_that_end_at_an_opcode_end(tmp_path, opcode):
    """90: whatever the opcode waits for."""
    path = tmp_path / "model.pkl"
    for before in (b"", b"\x80\4", b"(K\1K\1", b"cm\nn\n)"):
        path.write_bytes(before + opcode)
        assert opcode == STOP or inspect(path).safety.verdict == "refuse"


def test_a_million_names_cost_little(tmp_path):
    """100: the first 5,000 are enough to refuse."""
    path = tmp_path / "model.pkl"
    names = b"".join(b"cm\nn%d\n" % i for i in range(1_000_000))
    path.write_bytes(EMPTY_LIST + MARK + names + APPENDS + STOP)
    start = time.process_time()
    assert "limit" in codes(path)
    assert time.process_time() - start < 2


def test_name_of_a_megabyte_is_refused_with_a_short_message(tmp_path):
    """100"""
    path = tmp_path / "model.pkl"
    path.write_bytes(pickled(b"X" + (2**20).to_bytes(4, "little") + b"a" * 2**20 + b"\x8c\1b\x93"))
    (finding,) = inspect(path).safety.findings
    assert finding.code == "bad-name"
    assert len(finding.message) < 200


# --- text of the model: rows 101 and 102 ---------------------------------------------------------


def hostile_model(folder):
    """A real model whose feature names and classes are hostile text."""
    labels = np.array(TEXTS)[np.arange(len(X)) % len(TEXTS)]
    frame = pd.DataFrame(np.resize(X, (len(X), len(TEXTS))), columns=TEXTS)
    path = folder / "model.pkl"
    path.write_bytes(pickle.dumps(GaussianNB().fit(frame, labels)))
    return path


def test_text_of_a_model_is_inert_in_a_bundle(tmp_path):
    """101: Dockerfile with its labels, app.py, documents."""
    spec = inspect(hostile_model(tmp_path))
    assert [field.name for field in spec.signature.inputs] == TEXTS
    assert set(spec.signature.classes) == {t.rstrip("\0") for t in TEXTS}
    folder = render.render(spec, ENVIRONMENT, BASE, tmp_path / "bundle").directory
    for path in folder.glob("*"):
        if path.is_file() and path.name != "modelpack.json":
            written = path.read_text()
            assert written.replace("\n", "").isprintable(), path.name
            assert not re.search(r"^\s*RUN touch", written, re.MULTILINE), path.name
    assert json.loads((folder / "modelpack.json").read_text())


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_text_of_a_model_is_inert_on_a_terminal(tmp_path, options):
    """101: nothing that moves a cursor, colours, or turns the direction of writing."""
    command = [sys.executable, "-m", "modelpack", "inspect", hostile_model(tmp_path), *options]
    environment = {**os.environ, "COLUMNS": "100", "FORCE_COLOR": "", "TERM": "dumb"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.replace("\n", "").isprintable()
    assert "[31mred" in done.stdout


VERSIONS = [
    "1.9.1 --index-url http://evil",
    "1.9.1\n--index-url http://evil",
    "1.9.1; python_version > '3'",
    "1.9.1 @ http://evil/x.whl",
    "*",
    ">=0",
    "1.9.1,<2",
    "\u0661.\u0662",
    "1." + "0" * 5_000,
    "-r requirements.txt",
    "$(touch /tmp/x)",
]


@pytest.mark.parametrize("version", VERSIONS)
def test_invalid_version_adds_no_requirement(tmp_path, version):
    """102: the recorded version goes to a package installer."""
    path = tmp_path / "model.pkl"
    path.write_bytes(pickled(new("sklearn.naive_bayes:GaussianNB", _sklearn_version=text(version))))
    spec = inspect(path)
    assert spec.framework_version is None
    assert set(spec.requirements.values()) <= {"", ">=2", "<2"}


# --- parameters: rows 103 and 104 ----------------------------------------------------------------


def test_costly_and_writing_parameters_are_harmless(tmp_path):
    """103: a folder for a cache, all CPUs, and words on the screen."""
    cache = tmp_path / "cache"
    model = Pipeline(
        [("scale", StandardScaler()), ("knn", KNeighborsClassifier())], memory=None, verbose=False
    ).fit(X, Y)
    model.memory, model.verbose, model[-1].n_jobs = str(cache), True, 10**6
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(model))
    require_servable(inspect(path))
    loaded = pickle.loads(path.read_bytes())
    use_one_thread(loaded)
    assert loaded[-1].n_jobs == 1
    assert loaded.predict(X).tolist() == model.set_params(knn__n_jobs=1).predict(X).tolist()
    assert not cache.exists()


def test_a_result_in_a_cache_of_joblib_is_refused(tmp_path):
    """103: `memory` may also be an object that opens files when it is loaded or called."""
    path = tmp_path / "model.pkl"
    for name_ in ("MemorizedFunc", "MemorizedResult"):
        held = new(f"joblib.memory:{name_}")
        path.write_bytes(pickled(new("sklearn.pipeline:Pipeline", memory=held)))
        assert "banned-global" in codes(path)


POSITIONS = {
    "104 func": ("sklearn.preprocessing._function_transformer:FunctionTransformer", "func"),
    "104 inverse_func": (
        "sklearn.preprocessing._function_transformer:FunctionTransformer", "inverse_func"),
    "104 metric": ("sklearn.neighbors._classification:KNeighborsClassifier", "metric"),
    "104 weights": ("sklearn.neighbors._regression:KNeighborsRegressor", "weights"),
    "104 kernel": ("sklearn.svm._classes:SVC", "kernel"),
    "104 analyzer": ("sklearn.feature_extraction.text:TfidfVectorizer", "analyzer"),
    "104 tokenizer": ("sklearn.feature_extraction.text:CountVectorizer", "tokenizer"),
    "104 preprocessor": ("sklearn.feature_extraction.text:HashingVectorizer", "preprocessor"),
    "104 feature_name_combiner": (
        "sklearn.preprocessing._encoders:OneHotEncoder", "feature_name_combiner"),
    "104 score_func": ("sklearn.feature_selection._univariate_selection:SelectKBest",
                       "score_func"),
}  # fmt: skip
ARGUMENTS = {
    "posix:system": "refuse",
    "builtins:eval": "refuse",
    "builtins:getattr": "refuse",
    "numpy:load": "refuse",
    "numpy:save": "refuse",
    "numpy:fromfile": "refuse",
    "numpy:savetxt": "refuse",
    "joblib:load": "refuse",
    "numpy:memmap": "refuse",
    "pandas.io.parsers.readers:read_csv": "refuse",
    "sklearn.datasets._base:load_files": "refuse",
    "xgboost.core:Booster": "refuse",
    "lightgbm.basic:Booster": "refuse",
    "numpy.random._pickle:__generator_ctor": "refuse",
    "somebody.functions:clean": "trust",
    "__main__:clean": "trust",
}
ROW_FUNCTION, PAIR_FUNCTION = "numpy:log1p", "sklearn.metrics.pairwise:rbf_kernel"
FITTING = {
    **dict.fromkeys(("func", "inverse_func", "weights"), (ROW_FUNCTION, PAIR_FUNCTION)),
    **dict.fromkeys(("metric", "kernel", "score_func"), (PAIR_FUNCTION,)),
}


@pytest.mark.parametrize(("cls", "attribute"), POSITIONS.values(), ids=POSITIONS)
@pytest.mark.parametrize(("function", "verdict"), ARGUMENTS.items())
def test_functions_that_predictions_would_call(tmp_path, cls, attribute, function, verdict):
    """104: each place of a callable takes none of these without trust."""
    path = tmp_path / "model.pkl"
    path.write_bytes(pickled(new(cls, **{attribute: name(function)})))
    assert inspect(path).safety.verdict == verdict


@pytest.mark.parametrize(("cls", "attribute"), POSITIONS.values(), ids=POSITIONS)
@pytest.mark.parametrize("function", [ROW_FUNCTION, PAIR_FUNCTION])
def test_functions_of_libraries_that_predictions_would_call(tmp_path, cls, attribute, function):
    """104: each place of a callable takes what is called with as many arrays."""
    path = tmp_path / "model.pkl"
    path.write_bytes(pickled(new(cls, **{attribute: name(function)})))
    expected = "pass" if function in FITTING.get(attribute, ()) else "refuse"
    assert inspect(path).safety.verdict == expected


@pytest.mark.parametrize("function", [*ARGUMENTS, ROW_FUNCTION, PAIR_FUNCTION])
def test_function_in_place_of_a_method(tmp_path, function):
    """104: a method that is found by its name cannot be replaced, whatever replaces it."""
    path = tmp_path / "model.pkl"
    state = {"transform": name(function)}
    path.write_bytes(pickled(new("sklearn.preprocessing._data:StandardScaler", **state)))
    assert inspect(path).safety.verdict == "refuse"
    assert "replaced-method" in codes(path)


def test_functions_in_the_keywords_of_functions(tmp_path):
    """104: what is given along is judged alike."""
    path = tmp_path / "model.pkl"
    transformer = "sklearn.preprocessing._function_transformer:FunctionTransformer"
    path.write_bytes(
        pickled(new(transformer, func=name("numpy:log1p"), kw_args=table(out=name("os:remove"))))
    )
    assert "banned-global" in codes(path)


# --- what people make: rows 34, 53 of the benign plan --------------------------------------------


def test_code_written_by_cloudpickle_is_refused(tmp_path):
    """34: a lambda travels as byte code; trusting its maker would trust any code."""
    cloudpickle = pytest.importorskip("cloudpickle")
    model = make_pipeline(FunctionTransformer(lambda x: x * 2), GaussianNB()).fit(X, Y)
    path = tmp_path / "model.pkl"
    path.write_bytes(cloudpickle.dumps(model))
    spec = inspect(path)
    assert spec.safety.verdict == "refuse"
    assert {f.global_ for f in spec.safety.findings} >= {"cloudpickle.cloudpickle:_make_function"}
    assert inspect(path, trust=spec.globals).safety.verdict == "refuse"
    with pytest.raises(ModelRefusedError, match=r"cloudpickle saved a lambda"):
        require_servable(spec)


def test_code_written_by_dill_is_refused(tmp_path):
    """34"""
    path = tmp_path / "model.pkl"
    path.write_bytes(pickled(call("dill._dill:_create_function", raw(b"code"))))
    assert "banned-global" in codes(path)


@pytest.mark.parametrize("helper", ["_create_code", "_import_module"])
def test_commands_in_files_of_dill_are_called_dangerous(tmp_path, helper):
    """34: byte code and sessions of dill are honest, and explain no command before them."""
    path = tmp_path / "model.pkl"
    both = name("os:system"), call(f"dill._dill:{helper}", text("__main__"))
    path.write_bytes(pickled(EMPTY_LIST + b"".join(each + APPEND for each in both)))
    with pytest.raises(ModelRefusedError, match=r"os\.system") as refusal:
        require_servable(inspect(path))
    assert "do not load this file" in refusal.value.hint


# --- other formats under the name of a pickle: row 105, and 77, 79 -------------------------------


def test_old_torch_files_are_named(tmp_path):
    """105: several pickles in a row, of which the first is a number; zip, HDF5 and ONNX are in
    test_files.py.
    """
    path = tmp_path / "model.pkl"
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
    path.write_bytes(magic + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2))
    spec = inspect(path)
    assert spec.format == "torch"
    assert spec.safety.verdict == "refuse"


def test_spec_of_a_hostile_file_is_honest_about_its_path(tmp_path):
    """101: the path is text of the user, shown as it is and never run."""
    path = tmp_path / "$(touch x)\n.pkl"
    path.write_bytes(BENIGN)
    spec = inspect(path)
    assert Path(spec.file.path) == path
    packed = replace(spec, file=replace(spec.file, path=str(path)))
    folder = render.render(packed, ENVIRONMENT, BASE, tmp_path / "bundle").directory
    assert not any("touch" in p.read_text() for p in folder.glob("*") if p.is_file())
