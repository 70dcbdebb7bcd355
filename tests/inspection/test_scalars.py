"""The loop over runs of scalars does what the handlers do, one opcode after the other."""

from __future__ import annotations

import io
import pickle
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from modelpack.inspection.nodes import Malformed
from modelpack.inspection.pickle import interpreter, scalars
from modelpack.inspection.pickle.machine import Trace
from modelpack.inspection.stream import Reader

TEXTS = st.text(st.characters(), max_size=300)  # lone surrogates included
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**33), 2**33)
    | st.integers(0, 70_000)
    | st.floats()
    | TEXTS
    | st.binary(max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.integers(0, 300) | TEXTS, inner)
        | st.lists(st.floats(), min_size=20, max_size=60)
    ),
    max_leaves=40,
)
CHANGES = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=3)


def read(data: bytes, chunk: int) -> tuple[object, ...]:
    """Return the state of the machine after it has read the data."""
    trace = Trace()
    reader = Reader(data[i : i + chunk] for i in range(0, len(data), chunk))
    try:
        return repr(interpreter.run(reader, trace)), trace.protocol, trace.opcodes, reader.offset
    except Malformed as problem:
        return problem.code, problem.message, problem.offset, problem.opcode, trace.opcodes


def read_by_handlers(data: bytes, chunk: int) -> tuple[object, ...]:
    with patch.object(scalars, "OPCODES", frozenset()):
        return read(data, chunk)


def pickled(value: object, protocol: int, in_python: bool) -> bytes:
    if not in_python:
        return pickle.dumps(value, protocol)
    file = io.BytesIO()
    pickle._Pickler(file, protocol).dump(value)  # type: ignore[attr-defined]
    return file.getvalue()


@settings(max_examples=100, deadline=None)
@given(VALUES, st.integers(0, 5), st.booleans(), st.integers(17, 600))
def test_values_of_picklers_are_read(
    value: object, protocol: int, in_python: bool, chunk: int
) -> None:
    data = pickled(value, protocol, in_python)
    found = read(data, chunk)
    assert found == read_by_handlers(data, chunk)
    assert found[-1] == len(data)


@settings(max_examples=200, deadline=None)
@given(VALUES, st.integers(2, 5), CHANGES, st.integers(17, 600), st.integers(0, 40))
def test_values_that_no_pickler_writes_are_refused(
    value: object, protocol: int, changes: list[tuple[int, int]], chunk: int, cut: int
) -> None:
    data = bytearray(pickle.dumps(value, protocol))
    for position, byte in changes:
        data[position % len(data)] = byte
    data = data[: len(data) - cut]
    assert read(bytes(data), chunk) == read_by_handlers(bytes(data), chunk)


def test_runs_are_read_by_the_loop() -> None:
    """Without the loop, the tests above would compare the handlers with themselves."""
    data = pickle.dumps([{f"term {i}": i for i in range(1000)}, [0.5] * 1000], 4)
    with patch.object(scalars, "run", wraps=scalars.run) as run:
        _, _, opcodes, _ = read(data, 10**6)
    assert opcodes > 4000
    assert run.call_count < 20
