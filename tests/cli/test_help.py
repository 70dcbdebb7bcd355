"""Help, suggestions and the manual page: complete, readable and in step with the commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from modelpack.cli import manual
from modelpack.cli.commands import main
from modelpack.cli.help import COMMAND_SECTIONS, Group, option_sections, summary
from modelpack.errors import ModelpackError

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "modelpack.1"
SVC = ROOT / "sample_models" / "kserve-svc" / "model.joblib"


def commands(group: click.Group = main, parent: click.Context | None = None):
    parent = parent or click.Context(main, info_name="modelpack", **main.context_settings)
    for command in group.commands.values():
        ctx = click.Context(command, info_name=command.name, parent=parent)
        if isinstance(command, Group):
            yield from commands(command, ctx)
        else:
            yield command, ctx


COMMANDS = list(commands())
NAMES = [ctx.command_path.removeprefix("modelpack ") for _, ctx in COMMANDS]


def modelpack(*arguments: str, cwd: Path | None = None, **environ: str):
    return subprocess.run(
        [sys.executable, "-m", "modelpack", *arguments],
        cwd=cwd,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )


def test_each_command_has_a_section_and_a_whole_summary() -> None:
    assert all(each.section in COMMAND_SECTIONS for each in main.commands.values())
    shown = modelpack("--help", COLUMNS="60").stdout
    words = " ".join(shown.split())
    for command in main.commands.values():
        assert summary(command) in words
        assert summary(command).endswith(".")
        assert len(summary(command).split()) <= 20
    assert [line[:-1] for line in shown.splitlines() if re.match(r"[A-Z].*:$", line)] == [
        "Options", *COMMAND_SECTIONS,
    ]  # fmt: skip


@pytest.mark.parametrize(("command", "ctx"), COMMANDS, ids=NAMES)
def test_options_are_in_sections_and_have_a_help_text(command, ctx) -> None:
    listed = [option for _, options in option_sections(command, ctx) for option in options]
    assert {*listed} == {each for each in command.get_params(ctx) if isinstance(each, click.Option)}
    for option in listed:
        text = option.get_help_record(ctx)[1].partition("  [")[0]
        assert text[:1].isupper() or text.startswith("linux/"), option.name
        assert not text.endswith("."), option.name


def test_options_of_package_are_grouped() -> None:
    command, ctx = next(each for each in COMMANDS if each[0].name == "package")
    titles = [title for title, _ in option_sections(command, ctx)]
    assert titles == [
        f"{name} options" for name in ("Basic", "Model", "Environment", "Cache", "Test", "Output")
    ]


@pytest.mark.parametrize("name", NAMES)
def test_help_fits_60_columns_without_color(name) -> None:
    shown = modelpack(*name.split(), "--help", COLUMNS="60", FORCE_COLOR="1", NO_COLOR="1").stdout
    assert "\x1b" not in shown
    long = [line for line in shown.splitlines() if len(line) > 60]
    assert [line for line in long if "|" not in line] == []  # choices have no space to break at


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["pakage", "x"], "Did you mean 'modelpack package'?"),
        (["dockerize", "x"], "Did you mean 'modelpack package'?"),
        (["compare", "a", "b"], "Did you mean 'modelpack diff'?"),
        (["base", "biuld"], "Did you mean 'modelpack base build'?"),
        (["package", "x", "--exmaple", "rows.csv"], "--example"),
        (["package", "x", "--engine", "dokcer"], "docker"),
    ],
)
def test_typo_gets_a_suggestion(arguments, suggestion) -> None:
    done = modelpack(*arguments)
    assert done.returncode == 2
    assert suggestion in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_command_that_resembles_nothing_gets_no_suggestion() -> None:
    done = modelpack("xyzzy")
    assert "No such command 'xyzzy'." in done.stderr
    assert "Did you mean" not in done.stderr


@pytest.mark.parametrize("model", [str(SVC), "models:/churn@champion"])
def test_model_in_place_of_a_command_gets_the_command(model) -> None:
    done = modelpack(model, "-t", "a b")
    assert done.returncode == 2
    assert f"Run: modelpack package {model} -t 'a b'" in done.stderr


# --- the manual page -----------------------------------------------------------------------------


def test_manual_page_is_in_step_with_the_commands() -> None:
    page = manual.page()
    if os.environ.get("MODELPACK_UPDATE_DOCS") and not os.environ.get("CI"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page
    for name in NAMES:
        assert f".SH MODELPACK {name.upper()}\n" in page


def test_manual_page_has_the_exit_codes_of_errors() -> None:
    classes = {each.exit_code for each in ModelpackError.__subclasses__()}
    assert classes <= set(manual.EXIT_CODES)


def test_man_renders_the_page_without_warnings() -> None:
    try:
        done = subprocess.run(
            ["man", "--warnings", "-l", PAGE],
            env={**os.environ, "MANWIDTH": "60", "MANPAGER": "cat", "MAN_KEEP_FORMATTING": ""},
            capture_output=True, check=True, text=True, timeout=60,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("man is not installed")
    assert done.stderr == ""
    for text in ("MODELPACK(1)", "--allow-untested", "EXIT STATUS", "modelpack.toml"):
        assert text in done.stdout
