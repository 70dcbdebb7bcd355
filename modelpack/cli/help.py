"""Commands whose help has sections, and errors for names that are not commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from modelpack.addresses import is_address
from modelpack.errors import UsageError

COMMAND_SECTIONS = (
    "Package a model and try it",
    "Compare and check",
    "Share and deploy",
    "Single steps of package",
    "This machine",
)
"""Titles in the order of `modelpack --help`. Each command names one of them."""
PACKAGE, CHECK, DEPLOY, STEPS, MACHINE = COMMAND_SECTIONS

OPTION_SECTIONS = (
    "Basic", "Model", "Environment", "Cache", "Test", "Rows", "Size", "Batch",
    "Platform", "Version", "Output",
)  # fmt: skip
"""In the order of `--help`. An option that belongs to no other section is basic."""

_MAX_IN_ONE_LIST = 10
"""A command with more options shows them in sections."""

_NARROW = 76
"""Columns below which options have less room, so that their descriptions have more."""

_SYNONYMS = {
    "compare": "diff", "containerize": "package", "create": "package", "dockerize": "package",
    "info": "inspect", "run": "serve", "score": "predict", "show": "inspect", "start": "serve",
    "test": "smoke", "validate": "smoke",
}  # fmt: skip
"""Names of such commands in other tools."""


class Command(click.Command):
    """A command with a section in the help of its group, and options in sections.

    Attributes:
        section: A title of `COMMAND_SECTIONS`.
    """

    def __init__(self, *args: Any, section: str = "", **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.section = section

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        return _as_our_own(super().get_help_option(ctx))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, options in option_sections(self, ctx):
            records = [record for each in options if (record := each.get_help_record(ctx))]
            with formatter.section(title):
                _write_list(formatter, records)


class Group(click.Group):
    """A group of such commands.

    Attributes:
        section: As for `Command`, of a group in another group.
    """

    command_class = Command
    group_class = type

    def __init__(self, *args: Any, section: str = "", **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.section = section

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        return _as_our_own(super().get_help_option(ctx))

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the summaries of all commands, in sections, and without cutting them."""
        for title, commands in command_sections(self):
            with formatter.section(title):
                _write_list(formatter, [(each.name or "", summary(each)) for each in commands])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        is_unknown = self.get_command(ctx, name) is None and not name.startswith("-")
        if is_unknown and not ctx.resilient_parsing:
            self._refuse(ctx, args)
        return super().resolve_command(ctx, args)

    def _refuse(self, ctx: click.Context, args: Sequence[str]) -> None:
        from difflib import get_close_matches

        name = args[0]
        if is_address(name) or (("." in name or "/" in name) and Path(name).exists()):
            command = f"{ctx.command_path} package {shlex.join(args)}"
            raise UsageError(f"{name[:300]!r} is not a command.", hint=f"Run: {command}")
        synonym = _SYNONYMS.get(name, "")
        names = get_close_matches(name, self.commands) or [synonym] * (synonym in self.commands)
        choices = " or ".join(f"'{ctx.command_path} {each}'" for each in names)
        ctx.fail(f"No such command {name!r}." + (f" Did you mean {choices}?" if names else ""))


def command_sections(group: click.Group) -> list[tuple[str, list[click.Command]]]:
    """Return the titles and the commands of a group, in the order in which they were added."""
    commands = [each for each in group.commands.values() if not each.hidden]
    sections = {getattr(each, "section", "") for each in commands}
    titles = [title for title in COMMAND_SECTIONS if title in sections] or [""]
    return [
        (title or "Commands", [each for each in commands if getattr(each, "section", "") == title])
        for title in titles
    ]


def option_sections(
    command: click.Command, ctx: click.Context
) -> list[tuple[str, list[click.Option]]]:
    """Return the titles and the options of a command; one title if it has few options."""
    params = [each for each in command.get_params(ctx) if isinstance(each, click.Option)]
    options = [each for each in params if not each.hidden]
    if len(options) <= _MAX_IN_ONE_LIST:
        return [("Options", options)]
    by_section = {name: [each for each in options if _section(each) == name]
                  for name in OPTION_SECTIONS}  # fmt: skip
    return [(f"{name} options", each) for name, each in by_section.items() if each]


def set_section(param: click.Parameter, section: str) -> None:
    """Set the section of an option."""
    param.section = section  # type: ignore[attr-defined]


def summary(command: click.Command) -> str:
    """Return the first sentence of the help of a command."""
    return command.get_short_help_str(limit=1000)


def _section(option: click.Option) -> str:
    is_help = "--help" in option.opts
    return "Output" if is_help else getattr(option, "section", OPTION_SECTIONS[0])


def _as_our_own(option: click.Option | None) -> click.Option | None:
    """Return the option --help with a help text in the form of all others."""
    if option is not None:
        option.help = "Show this help"
    return option


def _write_list(formatter: click.HelpFormatter, rows: Iterable[tuple[str, str]]) -> None:
    formatter.write_dl(list(rows), col_max=22 if formatter.width < _NARROW else 30)
