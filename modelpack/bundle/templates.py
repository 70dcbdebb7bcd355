"""The Jinja environment and its quoting filters.

Each function is a Jinja filter of the same name. It quotes untrusted text as one line for one
syntax. `checked` ensures that every value passes a filter.
"""

from __future__ import annotations

import json as json_
import re
import shlex
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

import jinja2

LONGEST_LABEL = 256


def line(value: Any) -> str:
    """Return one line of printable characters, for comments and prose.

    Other characters (control characters, line ends, bidirectional marks) become escapes.
    """
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(value))


def docstring(value: Any) -> str:
    """Quote text for a Python docstring between three double quotes."""
    return line(value).replace("\\", "\\\\").replace('"', '\\"')


def python(value: Any) -> str:
    """Return a Python literal."""
    return repr(value)


def dq(value: Any) -> str:
    """Return a double-quoted value of LABEL or ENV in a Dockerfile, with `$` escaped.

    A backslash before a quote becomes an escape, as hadolint 2.15 misreads such a pair.
    """
    text = re.sub(r'\\(?=\\*("|$))', r"\\x5c", line(value))
    return '"' + re.sub(r'([\\"$])', r"\\\1", text) + '"'


def label(value: Any) -> str:
    """Shorten and quote a label: a line of a Dockerfile has at most 64 KB."""
    text = line(value)
    return dq(text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 3] + "...")


def markdown(value: Any) -> str:
    """Return a code span that is also valid in a table."""
    text = line(value).replace("|", "\\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " if "`" in text or not text.strip() else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def prose(value: Any) -> str:
    """Return one line of Markdown that is shown as this text, at the start of a line."""
    text = re.sub(r"([\\`*_\[\]<>#|~&])", r"\\\1", line(value).strip())
    return re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", text)


def json(value: Any) -> str:
    """Return JSON on one line, in ASCII."""
    return json_.dumps(value, ensure_ascii=True)


def sh(value: Any) -> str:
    """Return one word of a POSIX shell command."""
    return shlex.quote(line(value))


def yaml(value: Any) -> str:
    """Return a double-quoted scalar of YAML, in ASCII. YAML forbids surrogates: they become "?"."""
    text = re.sub("[\ud800-\udfff]", "?", str(value))
    return '"' + "".join(map(_yaml_character, text)) + '"'


def _yaml_character(char: str) -> str:
    if " " <= char <= "~":
        return f"\\{char}" if char in '"\\' else char
    code = ord(char)
    return (
        f"\\x{code:02x}" if code < 2**8 else f"\\u{code:04x}" if code < 2**16 else f"\\U{code:08x}"
    )


def compose(value: Any) -> str:
    """Return the same for Compose files, in which `$` starts a variable unless it is doubled."""
    return yaml(value).replace("$", "$$")


class Quoted(str):
    """Text that has passed a filter."""

    __slots__ = ()


def checked(value: Any) -> Any:
    """Return `value` if it may be inserted into a template (`finalize` of Jinja).

    Raises:
        jinja2.TemplateRuntimeError: The value needs a filter and has passed none.
    """
    if isinstance(value, Quoted) or PLAIN.fullmatch(str(value)):
        return value
    raise jinja2.TemplateRuntimeError(f"{value!r} is inserted without a quoting filter")


def _quoting(filter_: Callable[[Any], str]) -> Callable[[Any], Quoted]:
    return lambda value: Quoted(filter_(value))


PLAIN = re.compile(r"[A-Za-z0-9._:@/+ -]*")
FILTERS = {
    filter_.__name__: _quoting(filter_)
    for filter_ in (line, docstring, python, dq, label, markdown, prose, json, sh, yaml, compose)
}


TEMPLATES = (
    ("Dockerfile.j2", "Dockerfile"),
    ("dockerignore", ".dockerignore"),
    ("README.md.j2", "README.md"),
    ("app.py.j2", "app.py"),
    ("gunicorn.conf.py.j2", "gunicorn.conf.py"),
)


def preload() -> None:
    """Compile the templates of a bundle in the background, while a stage waits for a process."""
    load = _environment().get_template
    Thread(target=lambda: [load(source) for source, _ in TEMPLATES], daemon=True).start()


def render_template(name: str, /, **values: Any) -> str:
    """Render a file of `templates/`.

    Raises:
        jinja2.TemplateError: A value is missing, or is inserted without a filter.
    """
    return _environment().get_template(name).render(values)


@cache
def _environment() -> jinja2.Environment:
    package = Path(__file__).parents[1]
    installed = package / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(
            installed if installed.is_dir() else package.parent / "templates"
        ),
        undefined=jinja2.StrictUndefined,
        finalize=checked,
        autoescape=False,  # noqa: S701 - no HTML here; every value passes a filter of `FILTERS`
        keep_trailing_newline=True,
    )
    environment.filters.update(FILTERS)
    return environment
