"""Console blocks of the documents show the actual output, and links are valid.

`MODELPACK_UPDATE_DOCS=1 pytest tests/test_docs.py` writes the output again.

In a ```console block a line that starts with "$ " is run, as a user would type it at the project's
root, and the lines below it are its output. Seconds, sizes and digests may differ; words, counts,
versions and predictions may not. A command exits with status 0, or with that in its comment:
`$ modelpack scan IMAGE  # exit status 3`.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import Field, fields
from pathlib import Path

import click
import pytest
from doc_blocks import NO_BASE, check, commands, console_blocks, normalised, run

from modelpack.cli.commands import main
from modelpack.serving.settings import VARIABLES, Limits

ROOT = Path(__file__).parents[1]
FOLDERS = ("", "docs/**/", "sample_models/")
DOCUMENTS = sorted({path for folder in FOLDERS for path in ROOT.glob(f"{folder}*.md")})
WALKTHROUGHS = (ROOT / "docs" / "tutorial.md", ROOT / "docs" / "howto" / "replace.md")
"""`tests/test_tutorial.py` runs all blocks of these, in a folder."""
BLOCKS = [
    pytest.param(path, block, id=f"{path.relative_to(ROOT)}:{number}")
    for path in DOCUMENTS
    for number, block in enumerate(console_blocks(path.read_text()), 1)
    if path not in WALKTHROUGHS
]


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.parametrize(("document", "block"), BLOCKS)
def test_console_block_shows_the_actual_output(document: Path, block: str) -> None:
    for command, expected in commands(block):
        done = run(command, ROOT)
        if any(words in done.stdout for words in NO_BASE) and not os.environ.get("CI"):
            pytest.skip(done.stdout)
        check(document, command, expected, done)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("exit 10", "exit 0"),
        ("7 of 7 checks passed  3.3 s", "1 of 9 checks passed  3.3 s"),
        ("python:3.11-slim", "python:3.12-slim"),
        ('{"predictions":[0.5]}', '{"predictions":[0.25]}'),
    ],
)
def test_other_numbers_are_other_output(shown: str, printed: str) -> None:
    assert normalised(shown) != normalised(printed)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", path.read_text())
    broken = [file for file, _ in links if file and not (path.parent / file).exists()]
    targets = [(path.parent / file if file else path, anchor) for file, anchor in links if anchor]
    broken += [f"{file}#{anchor}" for file, anchor in targets if anchor not in anchors(file)]
    assert broken == []


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and GitLab form them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_code_that_is_named_exists(path: Path) -> None:
    """Files by their path or a pattern, test functions by `FILE::FUNCTION`."""
    named = re.findall(r"`((?:modelpack|scripts|tests)/[\w./*]+)(?:::(\w+))?", path.read_text())
    for file, function in named:
        assert any(ROOT.glob(file)), file
        assert not function or f"def {function}(" in (ROOT / file).read_text(), function


def options_by_command(group: click.Group, name: str = "") -> Iterator[tuple[str, set[str]]]:
    context = click.Context(group, **main.context_settings)
    for command in group.commands.values():
        own = {each for parameter in command.params for each in parameter.opts}
        yield f"{name}{command.name}", own | {*context.help_option_names}
        if isinstance(command, click.Group):
            yield from options_by_command(command, f"{command.name} ")


OPTIONS = dict(options_by_command(main))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_that_are_not_run_exist_with_their_options(path: Path) -> None:
    text = path.read_text()
    for block in console_blocks(text):
        text = text.replace(block, "")
    text = text.replace("\\\n", " ")
    for line, quoted in re.findall(r"^ {4}(modelpack .*)$|`(modelpack [^`]*)`", text, re.MULTILINE):
        words = shlex.split(line or quoted, comments=True)[1:]
        name = " ".join(words[:2]) if " ".join(words[:2]) in OPTIONS else words[0]
        if name not in OPTIONS:
            assert name in {"model.pkl", "--version", "--help"}, line or quoted
            continue
        used = [word.partition("=")[0] for word in words if re.match(r"--?[a-z][a-z-]*(=|$)", word)]
        assert set(used) <= OPTIONS[name], line or quoted


def test_the_readme_shows_a_command_and_its_output_by_line_20() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()[:20]
    typed = next(i for i, line in enumerate(lines) if line.startswith("$ modelpack package"))
    assert any(line.startswith("\u2713 ") for line in lines[typed:])


def test_each_setting_of_the_service_is_documented() -> None:
    sources = ROOT.glob("modelpack/serving/**/*.py")
    used = {name for path in sources for name in re.findall(r"MODELPACK_[A-Z_]+", path.read_text())}
    table = (ROOT / "docs" / "service.md").read_text()
    assert sorted(name for name in used if f"`{name}`" not in table) == []


@pytest.mark.parametrize("limit", fields(Limits), ids=lambda limit: limit.name)
def test_the_documented_default_of_a_limit_is_its_own(limit: Field[int]) -> None:
    table = (ROOT / "docs" / "service.md").read_text()
    assert f"| `{VARIABLES[limit.name]}` | {limit.default} |" in table
