"""The decoder of YAML reads what PyYAML writes, and rejects what makes YAML dangerous or large."""

import time
from contextlib import suppress

import pytest

from modelpack.inspection.encodings import yaml
from modelpack.inspection.nodes import Malformed

WRITTEN = r"""
flavors:
  python_function:
    env: {}
    "a\tkey": 'it''s: quoted'
    code: null
    empty: ''
    list: []
    python_version: 3.10  # a text, not a number
  sklearn:
    trusted:
    - a.B
    - - nested
      - 'x, y'
    - key: value
      other: null
    -
      deep: 1
signature:
  inputs: '[{"type": "double", "name": "age", "required": true}, {"type": "long",
    "name": "it''s"}]'
  escaped: "tab\tquote\" \xE9\u2028\U0001F600 and a long text that is folded \
    \ here"
  plain: a text that is
    folded, too

    and has a paragraph
  literal: |-
    two
      lines
time: '2026-12-01 02:47:53.599236'
"""


def test_mappings_lists_and_texts_of_each_style():
    assert yaml.decode(WRITTEN.encode()) == {
        "flavors": {
            "python_function": {
                "env": {}, "a\tkey": "it's: quoted", "code": None, "empty": "", "list": [],
                "python_version": "3.10",
            },
            "sklearn": {
                "trusted": [
                    "a.B", ["nested", "x, y"], {"key": "value", "other": None}, {"deep": "1"},
                ],
            },
        },
        "signature": {
            "inputs": '[{"type": "double", "name": "age", "required": true}, {"type": "long", '
            '"name": "it\'s"}]',
            "escaped": 'tab\tquote" \xe9\u2028\U0001f600 and a long text that is folded  here',
            "plain": "a text that is folded, too\nand has a paragraph",
            "literal": "two\n  lines",
        },
        "time": "2026-12-01 02:47:53.599236",
    }  # fmt: skip
    assert yaml.decode(WRITTEN.replace("\n", "\r\n").encode()) == yaml.decode(WRITTEN.encode())
    assert yaml.decode(b"") is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: &x 1\nb: *x", "line 1 of it contains an anchor"),
        ("a: *x", "contains an alias"),
        ("a: !!python/object/apply:os.system ['id']", "contains a tag"),
        ("!!python/object:x {}", "contains a tag"),
        ("%YAML 1.2\n---\na: 1", "contains a directive"),
        ("? a\n: b", "contains a complex key"),
        ("a: {b: 1}", "contains a flow mapping"),
        ("a:\n- [1, 2]", "contains a flow list"),
        ("a: 1\na: 2", "line 2 of it repeats a key"),
        ("a: 'open", "ends within a quoted text"),
        ("a: 'b' c", "continues behind a quoted text"),
        ('a: "\\q"', "contains an unknown escape"),
        ('a: "\\UFFFFFFFF"', "contains an unknown escape"),
        ("a: 1\n   b: 2\n c", "is not indented as the lines before it"),
        ("a:\n  b: 1\n  {}", "contains a flow mapping"),
        ("a: b: c", "contains a colon"),
        ("a:\n b: 1\n  c: 2", "is not indented"),
        ("a: \x85", "line breaks"),
        ("- " * 50 + "a", "is nested too deeply"),
        ("".join(" " * n + "a:\n" for n in range(50)), "is nested too deeply"),
    ],
)
def test_what_safe_dump_does_not_write_is_malformed(text, problem):
    with pytest.raises(Malformed, match=problem):
        yaml.decode(text.encode())


def test_bytes_that_are_no_text_are_malformed():
    with pytest.raises(Malformed, match="UTF-8"):
        yaml.decode(b"a: \xff")


@pytest.mark.parametrize(
    "text",
    ["a: '" + "x\n  " * 100_000 + "'", "- - - - x\n" * 10_000, "a: " + "b " * 200_000,
     "'" * 300_000, "k" * 300_000, "a " * 150_000 + ":", "a: |\n" + " b\n" * 100_000,
     "\n" * 300_000 + "a: b"],
)  # fmt: skip
def test_time_grows_with_the_size(text):
    started = time.process_time()
    with suppress(Malformed):
        yaml.decode(text.encode())
    assert time.process_time() - started < 1


def test_plain_scalars_have_the_types_of_safe_load():
    text = """
a: 1
b: -2.5
c: 1.0e-05
d: true
e: 'true'
f: '1'
g: null
h:
- 0
- text
- 10 apples
i: {}
j: 1.2.3
"""
    assert yaml.typed(yaml.decode(text.encode())) == {
        "a": 1, "b": -2.5, "c": 1e-5, "d": True, "e": "true", "f": "1", "g": None,
        "h": [0, "text", "10 apples"], "i": {}, "j": "1.2.3",
    }  # fmt: skip


@pytest.mark.parametrize("value", ["2026-12-01", ".inf", "-.INF", ".nan", "0x1f", "yes", "1:30"])
def test_values_that_json_does_not_have_are_rejected(value):
    with pytest.raises(Malformed, match="which is not of JSON"):
        yaml.typed(yaml.decode(f"a: {value}".encode()))
    with pytest.raises(Malformed, match="a key that is not a text"):
        yaml.typed(yaml.decode(b"a:\n  1: b"))
