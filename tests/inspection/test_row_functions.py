"""Functions of numpy and scipy that a FunctionTransformer calls with rows, of each release."""

import opcodes as op
import pytest

from modelpack.inspection.callables.names import roles_of
from modelpack.inspection.inspector import inspect

KEY = "sklearn.preprocessing._function_transformer:FunctionTransformer"
ROWS = """
angle array asanyarray asarray asarray_chkfinite ascontiguousarray asfarray atleast_2d copy fix i0
imag iscomplex isneginf isposinf isreal real real_if_close sinc unwrap
"""
BEFORE_1_17 = {
    "numpy.core.multiarray": "array",
    "numpy.core.numeric": "asanyarray asarray ascontiguousarray",
    "numpy.core.shape_base": "atleast_2d",
    "numpy.core.umath": "arccos arctan degrees fabs isnan logical_not signbit spacing",
    "numpy.lib.function_base": "angle asarray_chkfinite copy i0 sinc unwrap",
    "numpy.lib.type_check": "asfarray imag iscomplex isreal real real_if_close",
    "numpy.lib.ufunclike": "fix isneginf isposinf",
}
OTHERS = {
    "scipy.special._basic": "erfcinv erfinv softplus zeta",
    "scipy.special.basic": "ellipk ellipkm1 erfcinv erfinv gamma gammaln ndtri zeta",
    "scipy.stats._multivariate": "psi",
}
KEYS = [f"numpy:{name}" for name in ROWS.split()]
KEYS += [f"{module}:{name}" for found in (BEFORE_1_17, OTHERS) for module, names in found.items()
         for name in names.split()]  # fmt: skip


def codes(tmp_path, **state):
    (tmp_path / "m").write_bytes(op.pickled(op.new(KEY, **state)))
    return {finding.code for finding in inspect(tmp_path / "m").safety.findings}


@pytest.mark.parametrize("key", KEYS)
def test_functions_of_rows_pass_as_functions_of_rows_only(tmp_path, key):
    assert roles_of(key) == {"function of rows"}
    assert not codes(tmp_path, func=op.name(key))
    for position in ("metric", "scoring", "tokenizer"):
        assert codes(tmp_path, func=op.NONE, **{position: op.name(key)}) == {"bad-callable"}


@pytest.mark.parametrize("key", KEYS)
def test_functions_of_rows_are_never_called_by_unpickling(tmp_path, key):
    assert "unexpected-role" in codes(tmp_path, func=op.NONE, other=op.call(key, op.text("a")))


@pytest.mark.parametrize("keyword", ["out", "where"])
def test_functions_of_rows_write_nowhere(tmp_path, keyword):
    state = {"func": op.name("numpy:fix"), "kw_args": op.table(**{keyword: op.NONE})}
    assert "bad-callable" in codes(tmp_path, **state)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_needs_an_axis_as_its_values_depend_on_all_rows(tmp_path, name):
    function = op.name(f"scipy.special._logsumexp:{name}")
    assert codes(tmp_path, func=function, kw_args=op.table(axis=op.number(0))) == {"bad-callable"}
    assert codes(tmp_path, func=function) == {"bad-callable"}
    assert not codes(tmp_path, func=function, kw_args=op.table(axis=op.number(1)))


@pytest.mark.parametrize("name", ["empty_like", "fromfile", "frombuffer", "load", "vectorize"])
def test_other_functions_of_arrays_stay_refused(tmp_path, name):
    for module in ("numpy", "numpy.core.multiarray", "numpy.core.numeric"):
        assert codes(tmp_path, func=op.name(f"{module}:{name}")) & {"banned-global", "bad-callable"}
