"""Byte code that cloudpickle or dill saved: refused, with what it is and which Python wrote it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import cloudpickle
import pytest

from modelpack.engines import interpreters
from modelpack.errors import ModelNotSupportedError, ModelRefusedError
from modelpack.inspection import inspect, require_servable
from modelpack.inspection.nodes import Global
from modelpack.inspection.pickle import bytecode

DATA = Path(__file__).parents[1] / "data" / "byte_code"
THIS_PYTHON = "{}.{}".format(*sys.version_info[:2])
ARGUMENTS = """
import json
def code(x, table):
    for row in table:
        if row in (1, 2):
            try:
                print(row, [cell + x for cell in row])
            finally:
                x = 1
    return {"a": x}
short = (lambda x: x * 2).__code__
def told(c):
    lines = getattr(c, "co_linetable", None) or c.co_lnotab
    return [list(c.co_code), list(lines)]
print(json.dumps([told(code.__code__), told(short)]))
"""
COUNTS = {"3.7": 15, "3.8": 16, "3.9": 16, "3.10": 16, "3.11": 18, "3.12": 18, "3.13": 18}
TWINS = [{"3.8", "3.9"}, {"3.11", "3.12"}]  # whose short code may be the same


@pytest.mark.parametrize("python", COUNTS)
def test_python_version_is_read_from_bytecode(python: str) -> None:
    interpreter = interpreters.find(python)
    if interpreter is None:
        pytest.skip(f"there is no Python {python} here")
    done = subprocess.run([interpreter, "-c", ARGUMENTS], capture_output=True, check=True)
    long, short = (map(bytes, code) for code in json.loads(done.stdout))
    rest = COUNTS[python] - 2
    assert bytecode.pythons((*long, *[0] * rest)) == (python,)
    found = set(bytecode.pythons((*short, *[0] * rest)))
    assert found == {python} or (python in found and found in TWINS)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((b"\0\1\2",), ()),
        ((b"", *[0] * 17), ()),
        ((b"\xff\0", *[0] * 14), ()),
        ((b"\x64\0" * 500 + b"\x53", *[0] * 14), ()),
        ([0] * 16, ("3.8", "3.9", "3.10")),
    ],
)
def test_invalid_bytecode_has_no_python_version(arguments, expected) -> None:
    assert bytecode.pythons(arguments) == expected


def test_specifier_matches_exactly_the_python_versions() -> None:
    assert bytecode.specifier(["3.9"]) == "==3.9.*"
    assert bytecode.specifier(["3.8", "3.9"]) == ">=3.8,<3.10"
    assert bytecode.specifier([]) is None


def test_a_file_with_byte_code_pins_its_python_and_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(cloudpickle.dumps({"f": lambda x: x * 2}))
    spec = inspect(path, trust=["cloudpickle.cloudpickle:_make_function"])
    assert THIS_PYTHON in bytecode.pythons(_arguments(path))
    assert spec.python == bytecode.specifier(bytecode.pythons(_arguments(path)))
    with pytest.raises(ModelRefusedError, match=rf"byte code.*Python .*{THIS_PYTHON}") as refusal:
        require_servable(spec)
    assert "--code FILE.py" in refusal.value.hint


@pytest.mark.parametrize("release", ["0.3.4", "0.4.1"])
@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("function", r"the function half of save\.py \(line 19\)"),
        ("class", r"the function (Half\.)?fit of save\.py \(line 24\)"),
        ("lambda", r"a lambda of save\.py \(line 35\)"),
    ],
)
def test_byte_code_of_dill_is_named_with_its_place(kind: str, subject: str, release: str) -> None:
    spec = inspect(DATA / f"{kind}-dill-{release}.pkl")
    python = "3.8" if release == "0.3.4" else "3.11"
    with pytest.raises(ModelRefusedError) as refusal:
        require_servable(spec)
    text = (
        rf"dill saved {subject} in it as byte code, .*: Python {python}[\w. ]* \(at byte \d+\)\.$"
    )
    assert re.search(text, refusal.value.message)
    assert "--code FILE.py" in refusal.value.hint


@pytest.mark.parametrize("release", ["0.3.4", "0.4.1"])
def test_session_of_dill_is_not_supported(release: str) -> None:
    path = DATA / f"session-dill-{release}.pkl"
    spec = inspect(path)
    assert spec.safety.verdict == "refuse"
    with pytest.raises(ModelNotSupportedError, match="a session of dill") as refusal:
        require_servable(spec)
    assert f"dill.load_session('{path}')" in refusal.value.hint


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (
            ("/tmp/ipykernel_12/34.py", "f", "g.<locals>.f"),
            "the function g.<locals>.f of a notebook",
        ),
        (("<stdin>", "f"), "the function f (line 3)"),
        (("C:\\models\\my train.py", "f"), "the function f of my train.py (line 3)"),
        (("a.py", "f; rm"), "functions or classes"),
        (("a\nb", "<lambda>"), "a lambda (line 3)"),
        (("a.py",), "functions or classes"),
    ],
)
def test_only_plain_names_are_repeated(texts, expected) -> None:
    saver = Global("dill._dill:_create_code", 0, "STACK_GLOBAL")
    assert f"dill saved {expected} in it" in bytecode.description(saver, (1, b"", *texts, 3))


def _arguments(path: Path) -> list[object]:
    """Return the arguments of the code object in a file that this test has written."""
    code = cloudpickle.loads(path.read_bytes())["f"].__code__
    more = COUNTS.get(THIS_PYTHON, 18) - 2
    return [code.co_code, getattr(code, "co_linetable", code.co_name.encode()), *[0] * more]
