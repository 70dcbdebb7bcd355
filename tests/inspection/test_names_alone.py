"""Pickles of a name and nothing else: a function or class of the author, or of another module."""

import subprocess
import sys

import pytest
from opcodes import EMPTY_TUPLE, REDUCE, name, pickled

from modelpack.errors import ModelNotSupportedError, ModelRefusedError
from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect

SCRIPT = """
import pickle
def predict_fn(rows):
    return rows
pickle.dump(predict_fn, open("model.pkl", "wb"), protocol={})
"""


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_function_of_a_script_is_no_model(tmp_path, protocol):
    command = [sys.executable, "-c", SCRIPT.format(protocol)]
    subprocess.run(command, cwd=tmp_path, check=True)
    message = r"a function \(predict_fn of the script that saved it\), not a model"
    with pytest.raises(ModelNotSupportedError, match=message) as caught:
        require_servable(inspect(tmp_path / "model.pkl"))
    assert "--code FILE.py" in caught.value.hint
    assert "Save the fitted model" in caught.value.hint


def test_a_class_of_a_module_is_no_model(tmp_path):
    (tmp_path / "m").write_bytes(pickled(name("scoring.rules:Model")))
    message = r"a class \(Model of the module scoring.rules\), not a model"
    with pytest.raises(ModelNotSupportedError, match=message):
        require_servable(inspect(tmp_path / "m", trust=["scoring.rules:Model"]))


# fmt: off
REFUSED = {
    "os": name("os:system"),
    "builtins": name("builtins:eval"),
    "a library": name("numpy:ndarray.tofile"),
    "a special name": name("scoring:__builtins__"),
    "a module of a module": name("scoring:os.system"),
    "a call": name("scoring:predict") + EMPTY_TUPLE + REDUCE,
    "a call with its name as the whole": name("scoring:predict") + EMPTY_TUPLE + REDUCE + b"0"
    + name("scoring:predict"),
}
# fmt: on


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_other_names_and_calls_are_refused(tmp_path, body):
    (tmp_path / "m").write_bytes(pickled(body))
    with pytest.raises(ModelRefusedError):
        require_servable(inspect(tmp_path / "m"))


@pytest.mark.parametrize("key", ["builtins:float", "builtins:getattr", "numpy:ndarray"])
def test_harmless_names_of_libraries_alone_are_no_models(tmp_path, key):
    (tmp_path / "m").write_bytes(pickled(name(key)))
    with pytest.raises(ModelNotSupportedError, match=key.replace(":", ".")):
        require_servable(inspect(tmp_path / "m"))


@pytest.mark.parametrize("key", ["os:system", "builtins:eval"])
def test_names_of_libraries_alone_are_reported_as_dangerous(tmp_path, key):
    (tmp_path / "m").write_bytes(pickled(name(key)))
    with pytest.raises(ModelRefusedError) as caught:
        require_servable(inspect(tmp_path / "m"))
    assert "do not load this file" in caught.value.hint
