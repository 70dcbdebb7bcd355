"""Formulas that statsmodels has patsy evaluate: only terms of columns pass.

Hostile files are put together from opcodes and only inspected.
"""

import ast
import pickle
import random
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import opcodes as op
import pandas as pd
import patsy
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from saving import save_and_inspect
from statsmodels.base.data import ModelData

from modelpack.errors import ModelNotSupportedError
from modelpack.inspection.formulas import NotAFormula, parse
from modelpack.inspection.formulas.grammar import RESERVED
from modelpack.inspection.inspector import inspect
from modelpack.inspection.verdicts import require_servable
from modelpack.serving.runtimes import LOADERS
from modelpack.serving.runtimes.estimator import EstimatorRuntime

FORMULAS = {
    "y ~ x": ["x"],
    "y ~ 0 + x + z - 1": ["x", "z"],
    "y ~ x*z + x:z + (x + z + k)**2 - x:k + x/k": ["x", "z", "k"],
    "np.log(y + 1) ~ np.sqrt(x) + np.log1p(z) + np.power(x, 2) + np.maximum(x, z)": ["x", "z"],
    "y ~ I(x**2) + I(-x / (z + 1.5e-3)) + I(x > 3) + I(x // 2 % 3) + I(x ** -1)": ["x", "z"],
    "y ~ C(k) + C(k, Treatment('b')) + C(k, Treatment(reference=\"b\")) + C(k, Sum)": ["k"],
    "y ~ C(k, Poly) + C(k, levels=['a', 'b', 'c', 'd'])": ["k"],
    "y ~ C(k, contrast=Treatment('c')) + I(k == 'a') + C(x > 2)": ["k", "x"],
    "y ~ bs(x, df=4, degree=3, include_intercept=False) + cr(z, df=3) + cc(x, df=3)": ["x", "z"],
    "y ~ bs(x, knots=(2, 5.5), lower_bound=0, upper_bound=10)": ["x"],
    "y ~ cr(z, df=3, constraints='center')": ["z"],
    "y ~ te(cr(x, df=3), cr(z, df=3), constraints='center')": ["x", "z"],
    "y ~ center(x) + standardize(z, ddof=1) + scale(x, center=True, rescale=False)": ["x", "z"],
    "y ~\n  x\n  + Q(\"the place\") + Q('x')": ["x", "the place"],
    "y ~ standardize(np.log(x))": ["x"],
}  # fmt: skip

NOT_FORMULAS = [
    "", "y", "~ x", "y ~", "y ~ x ~ z", "y ~ (x", "y ~ x)", "y ~ x z", "y ~ x +",
    "y ~ __import__('os').system('true')", "y ~ eval('1')", "y ~ log(x)", "y ~ numpy.log(x)",
    "y ~ x.values", "y ~ np", "y ~ np.load('f')", "y ~ np.lib", "y ~ np.log", "y ~ np.log.at(x)",
    "y ~ np.log(x).tofile('f')", "y ~ np.log(x, x)", "y ~ np.log(x)(x)", "y ~ x[0]", "y ~ {x}",
    "y ~ 'text'", "y ~ I('text')", "y ~ np.exp('text')", "y ~ C", "y ~ I", "y ~ Q", "y ~ Q(x)",
    "y ~ Q('a' + 'b')", "y ~ Q(f'{x}')", "y ~ Q('a\\x41')", "y ~ C(k, Treatment(x))",
    "y ~ C(k, x)", "y ~ C(k, eval)", "y ~ C(k, levels=x)", "y ~ bs(x, df=z)", "y ~ bs(x, **z)",
    "y ~ bs(x, df=1000000)", "y ~ bs(x, degree=20)", "y ~ I(lambda: x)", "y ~ lambda", "y ~ None",
    "y ~ I(x if x else x)", "y ~ I([x for x in y])", "y ~ I(x := 1)", "y ~ I(x, x)", "y ~ 2",
    "y ~ 2x",
    "y ~ x # z", "y ~ x; z", "y ~ x \\\n + z", "y ~ `x`", "y ~ x @ z", "y ~ x | z", "y ~ x & z",
    "y ~ I(9 ** 9)", "y ~ I((9 ** 9) ** 9)", "y ~ I(x ** 99)", "y ~ I(x ** z)", "y ~ x ** 99",
    "y ~ (a+b+c+d+e+f+g+h) ** 16", "y ~ " + "*".join(f"v{i}" for i in range(20)), "y ~ 1.5",
    "y ~ \uff4e\uff50.log(x)", "y ~ \uff45val", "y ~ __builtins__", "y ~ I(1 .real)",
    "y ~ I(1.real)",
    "y ~ I(0x10)", "y ~ I(1_0)", "y ~ I(1j)", "y ~ te(x)", "y ~ te(cr(x), eval)",
    "y ~ I(x < z < y)",
    "y ~ " + "(" * 50 + "x" + ")" * 50, "y ~ " + "x + " * 60_000 + "x", "y ~ I(x for x in z)",
    "y ~ I(*x)", "y ~ x\x00", "y ~ x\u2028z", "y ~ x\x0cz", "y ~ C(k, Treatment('a'",
    "y ~ 1e999 + x",
    "y ~ I(" + "9" * 5000 + ")",
]  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_terms_of_columns_are_a_formula(text):
    assert parse(text).inputs == FORMULAS[text]
    assert parse(text).response == ["y"]
    patsy.ModelDesc.from_formula(text)


@pytest.mark.parametrize("text", NOT_FORMULAS, ids=lambda text: ascii(text)[:40])
def test_other_text_is_no_formula(text):
    with pytest.raises(NotAFormula):
        parse(text)


_NODES = (
    ast.Expression, ast.Name, ast.Load, ast.Call, ast.Attribute, ast.BinOp, ast.UnaryOp,
    ast.Compare, ast.Constant, ast.keyword, ast.List, ast.Tuple, ast.operator, ast.unaryop,
    ast.cmpop,
)  # fmt: skip
_CALLED = {
    "C", "Diff", "Helmert", "I", "Poly", "Q", "Sum", "Treatment", "bs", "cc", "center", "cr",
    "scale", "standardize", "te",
}  # fmt: skip


def _is_closed(code):
    """Return whether a Python expression only calls functions of formulas, by their names."""
    calls = set()
    for node in ast.walk(ast.parse(code, mode="eval")):
        if not isinstance(node, _NODES):
            return False
        if isinstance(node, ast.Attribute):
            called = isinstance(node.value, ast.Name) and node.value.id == "np"
            if not called or not isinstance(getattr(np, node.attr), np.ufunc | type(np.round)):
                return False
        if isinstance(node, ast.Call):
            calls.add(id(node.func))
            if isinstance(node.func, ast.Name) and node.func.id not in _CALLED:
                return False
            if not isinstance(node.func, ast.Name | ast.Attribute):
                return False
    attributes = {
        id(n) for n in ast.walk(ast.parse(code, mode="eval")) if isinstance(n, ast.Attribute)
    }
    return len(attributes) <= len(calls)


def test_accepted_formulas_contain_no_code_for_patsy():
    """Formulas are changed at random; of those that pass, patsy's own pieces are read as Python."""
    chance = random.Random(0)
    pieces = [
        *"()[]{},.:+-*/%~='\"\\#`;@|&^! \n", "**", "//", "==", "np", "eval", "lambda", "x", "y",
        "1", "1.", ".5", "e5", "Q", "I", "C", "'a'", "if", "for", " in ", "Treatment", "df=",
        ".log", "(x)",
    ]  # fmt: skip
    passed = 0
    for _ in range(40_000):
        text = chance.choice(list(FORMULAS))
        for _ in range(chance.randint(1, 3)):
            position = chance.randrange(len(text) + 1)
            cut = position + chance.choice((0, 0, 1, 2, 5))
            text = text[:position] + chance.choice(pieces) + text[cut:]
        try:
            parse(text)
        except NotAFormula:
            continue
        passed += 1
        try:
            found = patsy.ModelDesc.from_formula(text)
        except patsy.PatsyError:
            continue
        for term in (*found.lhs_termlist, *found.rhs_termlist):
            for factor in term.factors:
                assert _is_closed(factor.code), text
    assert passed > 1_500


DATA_FOLDER = Path(__file__).parents[1] / "data" / "statsmodels"
CODE = "~ __import__('os').system('true')"
RESULTS = "statsmodels.regression.linear_model:RegressionResults"
DATA = "statsmodels.base.data:PandasData"
FRAME = pd.DataFrame(
    {"y": [1.0, 2.0, 4.0], "x": [1.0, 2.0, 3.0], "note": list("abc")}, dtype=object
)


def frame(**columns):
    """The opcodes of a DataFrame."""
    return pickle.dumps(FRAME.assign(**columns).astype(object), 4)[11:-1]


def codes(tmp_path, body):
    (tmp_path / "m.pkl").write_bytes(op.pickled(body))
    found = inspect(tmp_path / "m.pkl").safety
    return found.verdict, {finding.code for finding in found.findings}


def _model(**state):
    return op.new(RESULTS, model=op.new("statsmodels.regression.linear_model:OLS", **state))


SERIES = pickle.dumps(pd.Series({"design_info": CODE, "model_spec": CODE}, dtype=object), 4)[11:-1]
FOREIGN = {
    "data that is a Series": _model(formula=op.text("y ~ x"), data=SERIES),
    "a model that is a Series": op.new(RESULTS, model=SERIES),
    "a model of another library": op.new(
        RESULTS, model=op.new("lightgbm.basic:Booster"), params=op.text("/dev/null")
    ),
    "a model that is results": op.new(
        RESULTS, model=op.new(RESULTS), params=op.table(C=op.name("numpy:log1p"))
    ),
    "a model that is a wrapper of results": op.new(RESULTS, model=op.new(f"{RESULTS}Wrapper")),
    "results of another library": op.new(
        f"{RESULTS}Wrapper", _results=op.new("sklearn.linear_model._base:LinearRegression")
    ),
    "a family that is text": op.new(
        "statsmodels.genmod.generalized_linear_model:GLM", family=op.text("x")
    ),
    "a link that is a function": op.new(
        "statsmodels.genmod.families.family:Poisson", _link=op.name("numpy:log1p")
    ),
    "data that is a table": op.new(
        "statsmodels.regression.linear_model:OLS", data=op.table(design_info=op.text(CODE))
    ),
}


@pytest.mark.parametrize("body", FOREIGN.values(), ids=FOREIGN)
def test_parts_of_results_are_objects_of_statsmodels(tmp_path, body):
    """A Series answers the attribute `design_info` by the text that it has under this label."""
    verdict, found = codes(tmp_path, body)
    assert verdict == "refuse"
    assert "bad-member" in found


EVALUATED = {
    "specification of a model": _model(formula=op.text("y ~ x"), model_spec=op.text(CODE)),
    "specification of data": _model(
        formula=op.text("y ~ x"), data=op.new(DATA, design_info=op.text(CODE))
    ),
    "specification of data that is none": _model(
        formula=op.NONE,
        data=op.new("sklearn.preprocessing._data:StandardScaler", model_spec=op.text(CODE)),
    ),
    "specification in a class of the author": _model(
        formula=op.NONE, data=op.new("mine:Data", design_info=op.text(CODE))
    ),
    "specification of the scale": op.new(
        "mine:Data", scale_model_spec=op.new("sklearn.preprocessing._data:StandardScaler")
    ),
    "specification in slots": op.name("mine:Data") + op.EMPTY_TUPLE + op.NEWOBJ + op.NONE
    + op.table(model_spec=op.text(CODE)) + op.TUPLE2 + op.BUILD,
    "formula of a model": _model(formula=op.text("y ~ " + CODE[2:])),
    "formula of results": op.new(RESULTS, formula=op.text("y ~ x.values")),
    "formula that is bytes": _model(formula=op.raw(b"y ~ x")),
    "data of the author's": op.new(
        "mine:Data", restore_model_spec=op.TRUE, formula=op.text("y ~ x"), frame=frame()
    ),
    "no frame": op.new(DATA, restore_model_spec=op.TRUE, formula=op.text("y ~ x")),
    "no formula": op.new(DATA, restore_model_spec=op.TRUE),
    "a dict for a frame": op.new(
        DATA, restore_model_spec=op.TRUE, formula=op.text("y ~ x"),
        frame=op.table(y=op.NONE, x=op.NONE),
    ),
    "a frame of another class": op.new(
        DATA, restore_model_spec=op.TRUE, formula=op.text("y ~ x"),
        frame=frame().replace(op.text("DataFrame"), op.text("Series"), 1),
    ),
    "code": op.new(
        DATA, restore_design_info=op.TRUE, formula=op.text("y ~ eval('x')"), frame=frame()
    ),
    "a name that is no column": op.new(
        DATA, restore_model_spec=op.NONE, formula=op.text("y ~ x + os"), frame=frame()
    ),
    "a quoted name that is no column": op.new(
        DATA, restore_model_spec=op.TRUE, formula=op.text("y ~ Q('sys')"), frame=frame()
    ),
    "a column that hides numpy": op.new(
        DATA, restore_model_spec=op.TRUE, formula=op.text("y ~ np.log(x)"), frame=frame(np=1.0)
    ),
    "a column that hides a function": op.new(
        DATA, restore_model_spec=op.TRUE, formula=op.text("y ~ x"), frame=frame(C=1.0)
    ),
    "an object in a column": op.new(
        DATA, restore_model_spec=op.TRUE, formula=op.text("y ~ np.log(x)"),
        frame=frame(note=[sm.families.Poisson()] * 3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("body", EVALUATED.values(), ids=EVALUATED)
def test_code_in_formulas_is_refused(tmp_path, body):
    verdict, found = codes(tmp_path, body)
    assert verdict == "refuse"
    assert "formula" in found


@pytest.mark.parametrize("flag", ["restore_design_info", "restore_model_spec"])
def test_formula_with_its_frame_passes(tmp_path, flag):
    body = op.new(DATA, **{flag: op.TRUE}, formula=op.text("y ~ np.log(x)"), frame=frame())
    assert codes(tmp_path, body) == ("pass", {"no-prediction"})


BANNED = [
    "patsy.eval:EvalFactor", "patsy.design_info:DesignInfo", "formulaic.model_spec:ModelSpec",
    "statsmodels.iolib.smpickle:load_pickle", "statsmodels.iolib.api:load_pickle",
    "statsmodels.api:load", "statsmodels.formula.api:ols",
    "statsmodels.datasets.utils:get_rdataset",
]  # fmt: skip


@pytest.mark.parametrize("key", BANNED)
def test_evaluating_and_loading_functions_cannot_be_trusted(tmp_path, key):
    (tmp_path / "m.pkl").write_bytes(op.pickled(op.new("mine:Wrapper", inner=op.new(key))))
    assert inspect(tmp_path / "m.pkl", trust=[key, "mine:Wrapper"]).safety.verdict == "refuse"


def test_shared_formulas_are_read_once(tmp_path):
    """A file with many objects of one long formula costs as much as its bytes."""
    text = "y ~ " + " + ".join(["x"] * 8_000)
    shared = op.text(text) + op.MEMOIZE
    altered = op.name("statsmodels.regression.linear_model:OLS") + op.EMPTY_TUPLE + op.NEWOBJ
    state = op.EMPTY_DICT + op.text("formula") + b"h\x00" + op.SETITEM + op.BUILD
    body = op.EMPTY_LIST + op.MARK + shared + (altered + state) * 3_000
    start = time.process_time()
    codes(tmp_path, body + op.APPENDS)
    assert time.process_time() - start < 5


ROWS = np.random.default_rng(0)
TABLE = pd.DataFrame({
    "y": ROWS.normal(size=40) + 5, "n": ROWS.poisson(3, 40) + 0.0, "b": ROWS.integers(0, 2, 40),
    "x": ROWS.uniform(1, 9, 40), "z": ROWS.uniform(1, 9, 40), "the place": ROWS.uniform(1, 9, 40),
    "k": pd.Series(list("abcd") * 10, dtype=object),
})  # fmt: skip
GROUPS = np.arange(40) % 8
MODELS = {
    "ols": lambda formula: smf.ols(f"y ~ {formula}", TABLE),
    "wls": lambda formula: smf.wls(f"y ~ {formula}", TABLE, weights=TABLE["z"]),
    "glm": lambda formula: smf.glm(f"n ~ {formula}", TABLE, family=sm.families.Poisson()),
    "logit": lambda formula: smf.logit(f"b ~ {formula}", TABLE),
    "poisson": lambda formula: smf.poisson(f"n ~ {formula}", TABLE),
    "quantreg": lambda formula: smf.quantreg(f"y ~ {formula}", TABLE),
    "mixedlm": lambda formula: smf.mixedlm(f"y ~ {formula}", TABLE, groups=GROUPS),
    "gee": lambda formula: smf.gee(f"y ~ {formula}", GROUPS, TABLE),
    "mnlogit": lambda formula: smf.mnlogit(f"b ~ {formula}", TABLE),
    "negativebinomial": lambda formula: smf.negativebinomial(f"n ~ {formula}", TABLE),
    "probit": lambda formula: smf.probit(f"b ~ {formula}", TABLE),
}
TERMS = "x + np.log(z) + C(k, Treatment('b')) + I(x ** 2)"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", [0, 2, 4, 5])
@pytest.mark.parametrize("kind", MODELS)
def test_models_of_formulas_pass_and_predict_the_same(tmp_path, kind, how):
    results = MODELS[kind](TERMS).fit()
    spec = save_and_inspect(results, tmp_path / "m", how)
    assert spec.safety.findings == ()
    with (tmp_path / "m").open("rb") as stream:
        back = LOADERS[spec.format](stream, frozenset(spec.globals))
    np.testing.assert_array_equal(back.predict(TABLE), results.predict(TABLE))
    assert [field.name for field in spec.signature.inputs] == ["x", "z", "k"]
    assert spec.signature.layout == "frame"
    answers = np.asarray(back.predict(TABLE))
    assert spec.signature.outputs[0].shape == answers.shape[1:]
    assert spec.requirements["statsmodels"] == ">=0.15"


def test_a_category_that_training_never_met_is_an_error_of_the_rows():
    runner = object.__new__(EstimatorRuntime)
    runner.model, runner.arrange = smf.ols("y ~ C(k)", TABLE).fit(), lambda rows: rows
    with pytest.raises(ValueError, match="observation with value 'e'"):
        runner.call("predict", TABLE.assign(k="e"))


@pytest.mark.filterwarnings("ignore")
def test_input_types_come_from_the_frame(tmp_path):
    table = TABLE.assign(
        s=TABLE["k"].astype("str"), c=TABLE["k"].astype("category"), f=TABLE["b"] > 0
    )
    results = smf.ols("y ~ x + C(b) + s + c + f + k:x + Q('the place')", table).fit()
    fields = {f.name: f for f in save_and_inspect(results, tmp_path / "m", 4).signature.inputs}
    assert list(fields) == ["x", "b", "s", "c", "f", "k", "the place"]
    assert [fields[name].type for name in "xbscfk"] == [
        "number", "integer", "string", "string", "boolean", "string",
    ]  # fmt: skip
    assert fields["b"].categories == (0, 1)
    assert {fields[name].categories for name in "sck"} == {("a", "b", "c", "d")}
    assert TABLE["x"].min() <= fields["x"].example <= TABLE["x"].max()


@pytest.mark.parametrize(
    "release",
    ["0.9.0", "0.9.0-protocol-1", "0.12.2", "0.12.2-protocol-1", "0.13.5", "0.14.4"],
)
def test_formulas_of_older_releases_pass(release):
    spec = inspect(DATA_FOLDER / f"ols-{release}.pkl")
    assert spec.safety.findings == ()
    assert [(f.name, f.type, f.categories) for f in spec.signature.inputs] == [
        ("size", "number", None), ("colour", "string", ("a", "b", "c")),
    ]  # fmt: skip
    assert spec.requirements["statsmodels"] == "<0.15"


CACHE = "statsmodels.tools.decorators:ResettableCache"


@pytest.mark.parametrize(
    "cache",
    [
        op.new(CACHE, _resetdict=op.table(x=op.EMPTY_LIST)),
        op.new(CACHE, _resetdict=op.new("statsmodels.genmod.families.family:Poisson")),
        op.new(CACHE, _resetdict=op.EMPTY_DICT, other=op.NONE),
        op.call(CACHE, op.EMPTY_DICT),
    ],
)
def test_caches_that_reset_values_are_refused(tmp_path, cache):
    verdict, found = codes(tmp_path, op.new(RESULTS, _cache=cache))
    assert verdict == "refuse"
    assert found & {"bad-arguments", "unexpected-role"}


def test_frames_of_early_protocols_need_early_pandas():
    specs = [inspect(DATA_FOLDER / f"ols-0.12.2{end}.pkl") for end in ("", "-protocol-1")]
    assert [spec.requirements["pandas"] for spec in specs] == ["<2", "<1.3"]


def test_statsmodels_model_without_results_is_reported(tmp_path):
    spec = save_and_inspect(smf.ols("y ~ x", TABLE), tmp_path / "m", 4)
    assert [finding.code for finding in spec.safety.findings] == ["no-prediction"]


TIME_SERIES = {
    "arima": lambda: sm.tsa.ARIMA(TABLE["y"].to_numpy(), order=(1, 0, 0)),
    "sarimax": lambda: sm.tsa.SARIMAX(TABLE["y"].to_numpy(), order=(1, 0, 0)),
    "autoreg": lambda: sm.tsa.AutoReg(TABLE["y"].to_numpy(), 1),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", ["save", "pickle"])
@pytest.mark.parametrize("kind", TIME_SERIES)
def test_time_series_models_are_not_supported_but_not_dangerous(tmp_path, kind, how):
    results = TIME_SERIES[kind]().fit()
    results.save(str(tmp_path / "m")) if how == "save" else save_and_inspect(
        results, tmp_path / "m", 4
    )
    spec = inspect(tmp_path / "m")
    assert [finding.code for finding in spec.safety.findings] == ["unserved-model"]
    with pytest.raises(ModelNotSupportedError, match="predicts periods of a time series") as raised:
        require_servable(spec)
    assert "do not load" not in str(raised.value.hint)


def test_hostile_time_series_file_is_refused_as_dangerous(tmp_path):
    key = "statsmodels.tsa.arima.model:ARIMAResultsWrapper"
    for inner in (op.call("posix:system", op.text("true")), op.new("patsy.eval:EvalFactor")):
        verdict, found = codes(tmp_path, op.new(key, _results=inner))
        assert verdict == "refuse"
        assert "banned-global" in found
        assert "unserved-model" not in found


@pytest.mark.parametrize("how", [0, 4, 5, "joblib"])
def test_service_binds_no_name_that_formulas_use(tmp_path, monkeypatch, how):
    """Names of formulas are looked up in the frames of the code that loads a file, and then in
    patsy: a variable `C` there would take the place of patsy's.
    """
    results = smf.ols("y ~ x", TABLE).fit()
    if how == "joblib":
        joblib.dump(results, tmp_path / "m")
    else:
        save_and_inspect(results, tmp_path / "m", how)
    restore, seen = ModelData.__setstate__, {}

    def recording(data, state):
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename != __file__:
            seen[frame.f_code.co_filename] = {**frame.f_globals, **frame.f_locals}
            frame = frame.f_back
        restore(data, state)

    monkeypatch.setattr(ModelData, "__setstate__", recording)
    spec = inspect(tmp_path / "m")
    with (tmp_path / "m").open("rb") as stream:
        LOADERS[spec.format](stream, frozenset(spec.globals))
    assert any("modelpack/serving" in path for path in seen)
    bound = [(path, name) for path, names in seen.items() for name in names.keys() & RESERVED]
    assert [entry for entry in bound if seen[entry[0]][entry[1]] is not np] == []
