"""Byte code that cloudpickle saved: refused, with the Pythons that may have written it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cloudpickle
import pytest

from modelpack.engines import interpreters
from modelpack.errors import ModelRefusedError
from modelpack.inspection import inspect, require_servable
from modelpack.inspection.pickle import machine

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
    assert machine.pythons((*long, *[0] * rest)) == (python,)
    found = set(machine.pythons((*short, *[0] * rest)))
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
    assert machine.pythons(arguments) == expected


def test_specifier_matches_exactly_the_python_versions() -> None:
    assert machine.specifier(["3.9"]) == "==3.9.*"
    assert machine.specifier(["3.8", "3.9"]) == ">=3.8,<3.10"
    assert machine.specifier([]) is None


def test_a_file_with_byte_code_pins_its_python_and_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(cloudpickle.dumps({"f": lambda x: x * 2}))
    spec = inspect(path, trust=["cloudpickle.cloudpickle:_make_function"])
    assert THIS_PYTHON in machine.pythons(_arguments(path))
    assert spec.python == machine.specifier(machine.pythons(_arguments(path)))
    with pytest.raises(ModelRefusedError, match=rf"byte code.*Python .*{THIS_PYTHON}") as refusal:
        require_servable(spec)
    assert "--code FILE.py" in refusal.value.hint


def _arguments(path: Path) -> list[object]:
    """Return the arguments of the code object in a file that this test has written."""
    code = cloudpickle.loads(path.read_bytes())["f"].__code__
    more = COUNTS.get(THIS_PYTHON, 18) - 2
    return [code.co_code, getattr(code, "co_linetable", code.co_name.encode()), *[0] * more]
