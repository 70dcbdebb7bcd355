"""Python 2 writes the bytes of an array, in protocol 0, as one line of text."""

import pytest

from modelpack.inspection import limits
from modelpack.inspection.inspector import inspect

COUNT = 20_000
ARRAY = (
    b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I%d\nt"
    b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'%s'\ntb"
)


def codes(tmp_path, *sizes):
    items = b"".join(ARRAY % (COUNT, b"\\x00" * size) + b"a" for size in sizes)
    (tmp_path / "m.pkl").write_bytes(b"(l" + items + b".")
    return [finding.code for finding in inspect(tmp_path / "m.pkl").safety.findings]


def test_long_lines_are_read(tmp_path):
    assert 8 * COUNT > limits.LINE_BYTES
    assert codes(tmp_path, 8 * COUNT) == ["not-a-model"]


@pytest.mark.parametrize("name", ["KEPT_TOTAL", "ARRAY_LINE_BYTES"])
def test_long_lines_have_a_limit(tmp_path, monkeypatch, name):
    line = 8 * COUNT * len("\\x00") + 2
    monkeypatch.setattr(limits, name, line)
    assert codes(tmp_path, 8 * COUNT) == ["not-a-model"]
    monkeypatch.setattr(limits, name, line - 1)
    assert codes(tmp_path, 8 * COUNT)[0:1] == ["limit"]


def test_all_long_lines_have_a_limit_together(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "KEPT_TOTAL", 8 * COUNT * len("\\x00") + 2)
    assert codes(tmp_path, 8 * COUNT, 8 * COUNT)[0:1] == ["limit"]
