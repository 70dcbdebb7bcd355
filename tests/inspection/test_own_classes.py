"""Objects of libraries inside classes that modelpack does not know: trust does not cover them."""

import numpy as np
import opcodes as op
import pandas as pd
import pytest
from altered_models import (
    axes,
    block,
    block_manager,
    findings,
    frame,
    in_format,
    inner_node,
    model,
    numbers,
    tree_nodes,
)

from modelpack.inspection.inspector import inspect

BROKEN = "broken-invariant"
HOLDER = f"{__name__}:Holder"


class Holder:
    """An own class with a state."""

    def __init__(self, value):
        self.value = value


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


class ClassWithArguments:
    """A user class whose constructor takes arguments."""

    def __init__(self, value):
        self.value = value

    def __reduce__(self):
        return ClassWithArguments, (self.value,)


class Items(dict):
    """An own class with items."""


class ListSubclass(list):
    """An own class to which values are appended."""


def objects(value):
    altered = np.empty(1, object)
    altered[0] = value
    return altered


HOLDERS = {
    "state": Holder,
    "slots": Slotted,
    "arguments": ClassWithArguments,
    "items": lambda value: Items(a=value),
    "appended": lambda value: ListSubclass([value]),
    "nested": lambda value: Holder({"a": [ClassWithArguments((value,))]}),
    "array of objects": lambda value: Holder(objects(value)),
}


def tree():
    altered = model("tree")
    nodes = tree_nodes(altered.tree_)
    nodes["left_child"][inner_node(nodes, "first")] = 10**6
    return altered


def matrix():
    altered = in_format("csr")
    altered.indices[-1] = 10**6
    return altered


def index():
    altered = pd.Categorical(["a", "b"])
    altered._ndarray[-1] = 9
    return altered


FAULTS = {
    "tree": tree,
    "sparse matrix": matrix,
    "frame": lambda: frame(block_manager([block(numbers(3), np.array([0, 1, 9]))], axes(3))),
    "codes": index,
}


@pytest.mark.parametrize("how", [2, 5, "raw"])
@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("fault", FAULTS)
def test_content_of_a_user_class_is_checked(fault, holder, how, tmp_path):
    found = findings(HOLDERS[holder](FAULTS[fault]()), tmp_path, how)
    own = {each.global_ for each in found if each.code == "unknown-global"}
    assert any(key.startswith(__name__) for key in own)
    assert {each.code for each in found} == {"unknown-global", BROKEN}
    trusted = inspect(tmp_path / "model", trust=own).safety
    assert trusted.verdict == "refuse"
    assert BROKEN in {each.code for each in trusted.findings}


@pytest.mark.parametrize("holder", HOLDERS)
def test_valid_content_of_a_user_class_is_trusted(holder, tmp_path):
    found = findings(HOLDERS[holder](model("tree")), tmp_path, 5)
    own = {each.global_ for each in found}
    assert {each.code for each in found} == {"unknown-global"}
    assert inspect(tmp_path / "model", trust=own).safety.verdict == "pass"


ARRAY = op.call(
    "numpy._core.multiarray:_reconstruct",
    op.name("numpy:ndarray"),
    op.number(0) + op.TUPLE1,
    op.raw(b"b"),
)


@pytest.mark.parametrize(("values", "verdict"), [(8, "pass"), (0, "refuse"), (4, "refuse")])
def test_an_array_in_an_own_class_has_the_values_of_its_shape(values, verdict, tmp_path):
    shape = op.number(1) + op.TUPLE1
    state = op.many(op.number(1), shape, op.dtype("f8"), op.FALSE, op.raw(bytes(values)))
    (tmp_path / "m").write_bytes(op.pickled(op.new(HOLDER, value=ARRAY + state + op.BUILD)))
    assert inspect(tmp_path / "m", trust={HOLDER}).safety.verdict == verdict


def test_a_method_of_a_known_class_is_not_replaced_inside_an_own_class(tmp_path):
    inside = op.new(op.SCALER, transform=op.NONE)
    (tmp_path / "m").write_bytes(op.pickled(op.new(HOLDER, value=inside)))
    found = inspect(tmp_path / "m", trust={HOLDER}).safety
    assert [each.code for each in found.findings if each.code != "not-a-model"] == [
        "replaced-method"
    ]
