"""Files of which the end is missing: the only finding is that, unless the rest is an attack."""

import gzip
import io
import json
import pickle
import zipfile

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from lightgbm import LGBMClassifier
from opcodes import SYSTEM, pickled
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBClassifier

from modelpack.errors import ModelRefusedError
from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)
FRAME = pd.DataFrame(X, columns=["a", "b", "c"]).assign(kind=np.where(Y, "u", "v"))
HINT = "Save or copy the model again: its size differs from that of the original."


def _joblib(model, **options):
    file = io.BytesIO()
    joblib.dump(model, file, **options)
    return file.getvalue()


def _npz():
    file = io.BytesIO()
    np.savez(file, X=X, y=Y)
    return file.getvalue()


def _pipeline():
    columns = make_column_transformer((StandardScaler(), ["a"]), (OneHotEncoder(), ["kind"]))
    return make_pipeline(columns, RandomForestClassifier(3)).fit(FRAME, Y)


FOREST, LINEAR = RandomForestClassifier(3).fit(X, Y), LogisticRegression().fit(X, Y)
BOOSTER = XGBClassifier(n_estimators=3).fit(X, Y).get_booster()
FILES = {
    "pickle": pickle.dumps(LINEAR),
    "protocol 0": pickle.dumps(LINEAR, 0),
    "protocol 2": pickle.dumps(LINEAR, 2),
    "pipeline": pickle.dumps(_pipeline()),
    "generator": pickle.dumps(HistGradientBoostingClassifier(max_iter=3).fit(X, Y)),
    "frame": pickle.dumps({"model": LINEAR, "data": FRAME}),
    "joblib": _joblib(FOREST),
    "joblib, zlib": _joblib(FOREST, compress=3),
    "skops": skops.io.dumps(FOREST),
    "npz": _npz(),
    "xgboost json": bytes(BOOSTER.save_raw("json")),
    "xgboost ubjson": bytes(BOOSTER.save_raw("ubj")),
}


def refusal(tmp_path, data):
    path = tmp_path / "model.bin"
    path.write_bytes(data)
    with pytest.raises(ModelRefusedError) as caught:
        require_servable(inspect(path))
    return caught.value


def is_reported_as_cut(error):
    words = ("truncated", "ends too early")
    clauses = error.message.partition("not executed: ")[2]
    return error.hint == HINT and ";" not in clauses and any(word in clauses for word in words)


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_a_cut_file_is_only_reported_as_cut(tmp_path, data):
    ends = [len(data) * n // 20 for n in range(1, 20)]
    errors = {end: refusal(tmp_path, data[:end]) for end in ends}
    assert not {end: e.message for end, e in errors.items() if not is_reported_as_cut(e)}


def test_a_cut_text_of_lightgbm_is_reported_as_cut(tmp_path):
    text = LGBMClassifier(n_estimators=3, verbose=-1).fit(X, Y).booster_.model_to_string()
    trees, parameters = text.index("end of trees"), text.index("end of parameters")
    for end in (*range(60, trees, 97), trees + 5, *range(parameters - 400, parameters, 37)):
        assert is_reported_as_cut(refusal(tmp_path, text[:end].encode())), text[:end][-60:]


def test_json_that_is_wrong_before_its_end_is_not_reported_as_cut(tmp_path):
    wrong = json.dumps(json.loads(FILES["xgboost json"])).replace(": {", " {", 3)
    assert "is invalid" in refusal(tmp_path, wrong.encode()).message


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_an_attack_in_a_cut_file_keeps_its_reason(tmp_path, compress):
    error = refusal(tmp_path, compress(pickled(SYSTEM)[:-1] + b"X\xff\xff\0\0"))
    assert "the file is truncated" in error.message
    assert "loading the file would reach" in error.message
    assert "do not load this file" in error.hint


@pytest.mark.parametrize("end", [b"X\xff\xff\0\0", b"."])
def test_arguments_of_a_call_are_checked_where_the_file_is_cut(tmp_path, end):
    call = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncbuiltins\nobject\nK\x00\x85C\x01b\x87R"
    assert "do not load this file" in refusal(tmp_path, call + end).hint


def test_a_zip_archive_with_its_end_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("a.npy", b"")
    assert inspect(tmp_path / "model.zip").format == "npz"
