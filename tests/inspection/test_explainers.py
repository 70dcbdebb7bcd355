"""Explainers of SHAP are named, with a way out. What could run next to them stays dangerous."""

import pickle
from pathlib import Path

import opcodes as op
import pytest

from modelpack.errors import ModelNotSupportedError, ModelRefusedError
from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect

DATA = Path(__file__).parents[1] / "data" / "explainers"
NAMED = {
    "tree-shap-0.35.0": "explainer of shap (TreeExplainer), which explains predictions and makes",
    "tree-shap-0.54.1": "explainer of shap (TreeExplainer), which explains predictions and makes",
    "linear-shap-0.39.0": "(Linear), which explains predictions and makes none; the model is its "
    "attribute model.",
    "kernel-shap-0.41.0": "the model is its attribute model.f.__self__.",
    "link-shap-0.44.1": "the model is its attribute model.inner_model.__self__.",
    "link-shap-0.54.1": "the model is its attribute model.inner_model.__self__.",
    "pair-shap-0.44.1": "an explainer of shap (KernelExplainer) next to the model.",
}
MODEL = op.new(op.SCALER, scale_=op.NONE)
TREE = "shap.explainers._tree:TreeExplainer"
REBUILD = "numba.core.serialize:custom_rebuild"
RESTORE = "numba.core.serialize:_unpickle__CustomPickled"


def read(tmp_path, body, **options):
    (tmp_path / "m.pkl").write_bytes(op.pickled(body))
    return inspect(tmp_path / "m.pkl", **options)


def refusal(spec):
    with pytest.raises(ModelRefusedError) as raised:
        require_servable(spec)
    return raised.value


@pytest.mark.parametrize("name", NAMED)
def test_explainers_are_named_and_not_called_dangerous(name):
    spec = inspect(DATA / f"{name}.pkl")
    assert [finding.code for finding in spec.safety.findings] == ["explainer"]
    with pytest.raises(ModelNotSupportedError) as raised:
        require_servable(spec)
    assert NAMED[name] in str(raised.value)
    assert raised.value.hint.startswith("Save the model itself")


def test_a_function_of_the_script_is_no_danger_in_an_explainer(tmp_path):
    body = op.new("shap.explainers._kernel:KernelExplainer", f=op.name("__main__:predict"))
    assert [f.code for f in read(tmp_path, body).safety.findings] == ["explainer"]


def test_byte_code_of_cloudpickle_is_refused_and_the_explainer_is_named():
    problem = refusal(inspect(DATA / "cloud-shap-0.44.1.pkl"))
    assert "byte code" in str(problem)
    assert "the file contains an explainer of shap (KernelExplainer)" in str(problem)


def test_what_an_explainer_saves_by_its_own_method_is_named():
    problem = refusal(inspect(DATA / "own-shap-0.44.1.pkl"))
    assert "the file contains an explainer of shap (PermutationExplainer)" in str(problem)


def test_the_model_next_to_an_explainer_is_the_way_out(tmp_path):
    body = op.table(model=MODEL, explainer=op.new(TREE))
    problem = refusal(read(tmp_path, body))
    assert problem.hint.startswith("Save the model itself, with joblib.dump")
    assert f"--trust {TREE}" in problem.hint


def test_link_function_of_other_byte_code_is_not_hidden(tmp_path):
    content = (DATA / "link-shap-0.44.1.pkl").read_bytes()
    code = b"t\0\xa0\1|\0d\1|\0\x18\0\x1b\0\xa1\1S\0"
    assert content.count(code) == 1
    (tmp_path / "m.pkl").write_bytes(content.replace(code, code[:-2] + b"d\0"))
    refusal(inspect(tmp_path / "m.pkl"))


def nested(content):
    return op.call(REBUILD, op.call(RESTORE, op.raw(content)))


# fmt: off
HARM = {
    "command": op.SYSTEM,
    "nested command": nested(op.pickled(op.SYSTEM)),
    "nested byte code": nested(pickle.dumps(["CodeType", b"\x97\0d\0S\0"])),
    "nested other names": nested(pickle.dumps([b"|\0S\0", "os", "system"])),
    "method of a name": op.call("builtins:getattr", op.name("mine:Model"), op.text("predict")),
    "nested extension": nested(pickle.dumps(b"|\0S\0")[:-1] + b"\x82\1."),
    "no nested pickle": nested(b"|\0S\0"),
    "rebuilt object": op.call(REBUILD, op.new("mine:Model")),
    "unknown function": op.call("mine:run", op.text("1")),
    "attribute of no model": op.call("builtins:getattr", op.new("mine:Model"), op.text("__init__")),
    "attribute of a module": op.call("builtins:getattr", op.name("mine:predict"), op.text("f")),
    "state of a method": op.call("builtins:getattr", op.new("mine:Model"), op.text("predict"))
    + op.table(a=op.NONE) + op.BUILD,
}
# fmt: on


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
@pytest.mark.parametrize("key", [TREE, "shap._explanation:Explanation"])
def test_calls_in_an_explainer_are_not_hidden(tmp_path, key, harm):
    refusal(read(tmp_path, op.new(key, inner=harm)))
    refusal(read(tmp_path, op.table(model=MODEL, explainer=op.new(key, inner=harm))))
