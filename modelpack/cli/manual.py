"""The manual page modelpack(1), from the commands and options themselves.

`python -m modelpack.cli.manual` prints it. Source of the macros: man(7), groff_man(7).
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

import click

from modelpack.cli.commands import main
from modelpack.cli.help import Group, command_sections, option_sections, summary

EXIT_CODES = {
    0: "done",
    1: "a bug in modelpack",
    2: "invalid usage: a missing file, a bad option",
    3: "the model is refused: unsafe, malformed, or naming untrusted code; `verify` failed",
    4: "the file is not a model, or not one that can be served",
    5: "no set of versions fits, or the index cannot be reached",
    6: "the image could not be built",
    7: "the smoke test of the service failed, or a hardening rule is broken",
    8: "no container engine, or no base image",
    9: "`diff`, or `deploy` of two versions, found a difference that `--fail-on` selects",
    130: "interrupted",
}
"""docs/reference/exit-codes.md is made from it, too."""

_VARIABLES = {
    "NO_COLOR": "Print without colors.",
    "COLUMNS": "Width of tables and help, if the output is not a terminal.",
    "DOCKER_HOST, DOCKER_CONTEXT": "The Docker daemon to use, as for docker(1).",
    "MLFLOW_TRACKING_URI": "The server of addresses such as models:/NAME/VERSION.",
    "COSIGN_PASSWORD": "Password of the private key of push.",
    "PORT": "Port of serve.",
}
_EXAMPLES = (
    ("Inspect a model without executing it:", "modelpack inspect model.joblib"),
    ("Package it as a tested image, and run that:", "modelpack package model.joblib -t churn:1\n"
     "docker run --rm -p 127.0.0.1:8080:8080 churn:1"),
    ("Show what a retrained model changes:", "modelpack diff churn:1 new.joblib"),
)  # fmt: skip


def page() -> str:
    """Return the text of the manual page, in the language of man(7)."""
    lines = [
        '.TH MODELPACK 1 "" modelpack "User Commands"',
        ".nh",
        ".ad l",
        ".SH NAME",
        r"modelpack \- package a saved model as a small, tested container image",
        ".SH SYNOPSIS",
        r".B modelpack\fR \fICOMMAND\fR [\fIOPTIONS\fR] [\fIARGUMENTS\fR]",
        ".SH DESCRIPTION",
        *_paragraphs(main),
        ".SH COMMANDS",
    ]
    for title, commands in command_sections(main):
        lines += [f".SS {_text(title)}"]
        for command in commands:
            lines += [".TP", rf"\fB{_text(command.name or '')}\fR", _text(summary(command))]
    whole = click.Context(main, info_name="modelpack", **main.context_settings)
    for command, ctx in _commands(main, whole):
        lines += _command(command, ctx)
    lines += [".SH EXIT STATUS"]
    for code, meaning in EXIT_CODES.items():
        lines += [".TP", rf"\fB{code}\fR", _text(meaning)]
    lines += [".SH ENVIRONMENT"]
    for name, meaning in _VARIABLES.items():
        lines += [".TP", rf"\fB{_text(name)}\fR", _text(meaning)]
    lines += [
        ".SH FILES",
        ".TP",
        r"\fBmodelpack.toml\fR",
        _text("Options, by their long names, next to the model. Every option except --trust."),
        ".SH EXAMPLES",
    ]
    for purpose, command_line in _EXAMPLES:
        lines += [
            ".PP",
            _text(purpose),
            ".PP",
            ".EX",
            *map(_text, command_line.splitlines()),
            ".EE",
        ]
    return "\n".join(lines) + "\n"


def _commands(
    group: click.Group, parent: click.Context
) -> Iterator[tuple[click.Command, click.Context]]:
    """Yield all commands in the order of the help, with those of groups in their place."""
    for _, commands in command_sections(group):
        for command in commands:
            ctx = click.Context(command, info_name=command.name, parent=parent)
            if isinstance(command, Group):
                yield from _commands(command, ctx)
            else:
                yield command, ctx


def _command(command: click.Command, ctx: click.Context) -> list[str]:
    usage = " ".join(command.collect_usage_pieces(ctx))
    lines = [
        f".SH {_text(ctx.command_path.upper())}",
        rf"\fB{_text(ctx.command_path)}\fR {_text(usage)}",
        ".PP",
        *_paragraphs(command),
    ]
    for title, options in option_sections(command, ctx):
        lines += [f".SS {_text(title)}"]
        for option in options:
            if record := option.get_help_record(ctx):
                lines += [".TP", rf"\fB{_text(record[0])}\fR", _text(record[1])]
    return lines


def _paragraphs(command: click.Command) -> list[str]:
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    lines = [line for each in paragraphs for line in (".PP", _text(" ".join(each.split())))]
    return lines[1:]


def _text(text: str) -> str:
    """Escape a line of text. A hyphen would be printed as another character than typed."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("`", r"\(ga")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    sys.stdout.write(page())
