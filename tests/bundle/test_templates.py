"""Hostile text stays text in each language that a bundle's files are written in."""

from __future__ import annotations

import ast
import json
import subprocess

import jinja2
import pytest
import yaml
from hostile_text import HOSTILE
from hypothesis import given
from hypothesis import strategies as st

from modelpack.bundle import templates

TEXT = st.text() | st.sampled_from(HOSTILE)


@given(text=TEXT, filter_=st.sampled_from(sorted(set(templates.FILTERS) - {"python"})))
def test_everything_is_one_visible_line(text, filter_):
    assert templates.FILTERS[filter_](text).isprintable()


@given(text=TEXT)
def test_a_python_literal_reads_back(text):
    assert ast.literal_eval(templates.python(text)) == text


@given(text=TEXT)
def test_a_docstring_stays_a_docstring(text):
    tree = ast.parse(f'"""{templates.docstring(text)}"""')
    assert len(tree.body) == 1
    assert ast.get_docstring(tree, clean=False) == templates.line(text)


@given(text=TEXT)
def test_json_reads_back(text):
    assert json.loads(templates.json(text)) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_a_shell_word_is_one_argument(text):
    script = f"printf %s {templates.sh(text)}"
    output = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert output.stdout == templates.line(text)


@given(text=TEXT)
def test_dockerfile_value_cannot_add_an_instruction(text):
    quoted = templates.dq(text)
    inside = quoted[1:-1].replace("\\\\", "").replace('\\"', "").replace("\\$", "")
    assert (quoted[0], quoted[-1]) == ('"', '"')
    assert not set(inside) & {'"', "$", "\\"}
    assert '\\\\"' not in quoted.replace("\\\\x5c", ""), (
        "hadolint takes the backslash for an escape"
    )


@given(text=TEXT | st.text(min_size=300))
def test_long_label_is_cut_to_the_beginning_of_its_text(text):
    quoted = templates.label(text)
    assert len(quoted) <= 6 * templates.LONGEST_LABEL
    assert quoted.isprintable()
    assert quoted.startswith(templates.dq(templates.line(text)[:200] + ".")[:-2])


@given(text=TEXT)
def test_code_span_fence_is_longer_than_its_backticks(text):
    span = templates.markdown(text)
    fence = span[: len(span) - len(span.lstrip("`"))]
    assert span.endswith(fence)
    assert fence not in span[len(fence) : -len(fence)]


@pytest.mark.parametrize(
    ("template", "lets_by"),
    [
        ("{{ value }}", False),
        ("{{ value or 'x' | line }}", False),
        ("{{ value ~ '' }}", False),
        ("{{ value | upper }}", False),
        ("{{ value | line }}", True),
        ("{{ (value ~ '') | dq }}", True),
    ],
)
def test_value_without_a_filter_is_an_error(template, lets_by):
    jinja = jinja2.Environment(finalize=templates.checked)
    jinja.filters.update(templates.FILTERS)
    if lets_by:
        jinja.from_string(template).render(value="a\nb")
    else:
        with pytest.raises(jinja2.TemplateRuntimeError, match="without a quoting filter"):
            jinja.from_string(template).render(value="a\nb")


@given(text=TEXT)
def test_yaml_reads_back_in_one_line_of_ascii(text):
    for filter_, expected in ((templates.yaml, text), (templates.compose, text.replace("$", "$$"))):
        quoted = filter_(text)
        assert quoted.isascii()
        assert yaml.safe_load(f"- key: {quoted} # comment\n- 2") == [{"key": expected}, 2]
