"""Hostile files, by the ways that are publicly known to get past scanners of pickles.

Each is put together from opcodes with inert arguments and only inspected, never loaded.
"""

import pickle

import pytest
from hostile_files import REFUSED, UNKNOWN
from opcodes import (
    NONE,
    POP,
    SCALER,
    STACK_GLOBAL,
    SYSTEM,
    TUPLE1,
    TUPLE2,
    new,
    number,
    pickled,
    wrapper,
)

from modelpack.errors import ModelNotSupportedError, ModelRefusedError
from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect

# fmt: on


@pytest.mark.parametrize(("data", "code"), REFUSED.values(), ids=REFUSED)
def test_refused(tmp_path, data, code):
    path = tmp_path / "model.pkl"
    path.write_bytes(data)
    spec = inspect(path)
    assert spec.safety.verdict == "refuse"
    assert code in {finding.code for finding in spec.safety.findings}
    # Whatever is trusted: nothing turns these into a model.
    trusting = inspect(path, trust=spec.globals)
    assert trusting.safety.verdict == "refuse"
    with pytest.raises((ModelRefusedError, ModelNotSupportedError)):
        require_servable(trusting)


# fmt: on


@pytest.mark.parametrize(("body", "names"), UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_code_has_to_be_trusted_by_name(tmp_path, body, names):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickled(new(SCALER, mean_=NONE, n_features_in_=number(1), given=body)))
    spec = inspect(path)
    assert spec.safety.verdict == "trust"
    assert {f.global_ for f in spec.safety.findings if f.code == "unknown-global"} == names
    with pytest.raises(ModelRefusedError) as refusal:
        require_servable(spec)
    assert all(f"--trust {key}" in refusal.value.hint for key in names)
    assert inspect(path, trust=names).safety.verdict == "pass"
    assert inspect(path, trust=["other:thing"]).safety.verdict == "trust"


def test_bytes_of_an_array_may_look_like_opcodes(tmp_path):
    path = tmp_path / "model.joblib"
    payload = b"cposix\nsystem\n(tR."
    path.write_bytes(pickled(wrapper("i1", number(len(payload)) + TUPLE1) + payload))
    spec = inspect(path)
    assert spec.safety.verdict == "pass"
    assert "posix:system" not in spec.globals


def test_finding_contains_the_position(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickled(number(1) + SYSTEM + TUPLE2))
    finding = inspect(path).safety.findings[0]
    assert (finding.global_, finding.opcode) == ("posix:system", "STACK_GLOBAL")
    assert path.read_bytes()[finding.offset : finding.offset + 1] == STACK_GLOBAL
    assert "posix.system" in finding.message


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".joblib", ""])
def test_the_name_of_the_file_does_not_matter(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(pickled(SYSTEM))
    assert inspect(path).safety.verdict == "refuse"


def test_a_foreign_call_anywhere_is_found(tmp_path):
    """At each boundary of opcodes of a real file, a call is put in and taken off again."""
    import pickletools  # noqa: PLC0415

    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    data = pickle.dumps(StandardScaler().fit([[1.0], [2.0]]), 2)
    path = tmp_path / "model.pkl"
    positions = [position for _, _, position in pickletools.genops(data)][1:]
    assert len(positions) > 50
    for offset in positions:
        path.write_bytes(data[:offset] + SYSTEM + POP + data[offset:])
        assert inspect(path).safety.verdict == "refuse"
