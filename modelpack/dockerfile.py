"""Dockerfile parser: stages, instructions, words.

Source: https://docs.docker.com/reference/dockerfile/. Here documents, another escape character and
frontends of other images (`# syntax=`) are refused, as modelpack writes none of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelpack.errors import BuildFailedError

_DIRECTIVE = re.compile(r"#\s*(syntax|escape|check)\s*=", re.IGNORECASE)
_FROM = re.compile(r"(\S+)(?:\s+as\s+(\S+))?", re.IGNORECASE)
_NATIVE = "platform=$BUILDPLATFORM"  # whatever makes the files of a stage, it makes the same
_FLAG = re.compile(r"--([a-z-]+)(?:=(\S+))?\s+")


@dataclass(frozen=True)
class Instruction:
    """`flags`: each "name=value". `text`: what follows them, on one line."""

    name: str
    flags: tuple[str, ...]
    text: str
    line: int

    def flag(self, name: str) -> str | None:
        """The value of the flag that is given once."""
        values = [flag.partition("=")[2] for flag in self.flags if flag.startswith(f"{name}=")]
        return values[0] if values else None

    def array(self) -> tuple[str, ...] | None:
        """The words of the JSON form; None where it is not written so."""
        try:
            words = json.loads(self.text)
        except ValueError:
            return None
        strings = isinstance(words, list) and all(isinstance(word, str) for word in words)
        return tuple(words) if strings else None

    def __str__(self) -> str:
        return " ".join([self.name, *(f"--{flag}" for flag in self.flags), self.text])


@dataclass(frozen=True)
class Stage:
    """`base`: the name of an image or of an earlier stage. `name`: "" where it has none."""

    name: str
    base: str
    instructions: tuple[Instruction, ...]


def read(path: Path, arguments: Mapping[str, str]) -> tuple[Stage, ...]:
    """The stages of a Dockerfile, one at least; the last one is the image. `arguments`: what takes
    the place of the values of its ARG lines.

    Raises:
        BuildFailedError: it cannot be read, or has something that is not understood.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise BuildFailedError(
            f"{path} cannot be read: {error}.", hint="Make the bundle again: modelpack bundle MODEL"
        ) from error
    stages = _stages(_instructions(text), dict(arguments))
    if not stages:
        raise BuildFailedError(f"{path} has no FROM.", hint=_HINT)
    return tuple(Stage(name, base, tuple(found)) for name, base, found in stages)


def _stages(
    instructions: Iterable[Instruction], arguments: dict[str, str]
) -> list[tuple[str, str, list[Instruction]]]:
    stages: list[tuple[str, str, list[Instruction]]] = []
    for instruction in instructions:
        if instruction.name == "FROM":
            stages.append((*_from(instruction, arguments), []))
        elif stages:
            stages[-1][2].append(instruction)
        elif instruction.name == "ARG":
            name, _, value = instruction.text.partition("=")
            arguments.setdefault(name, value)
        else:
            raise unsupported_instruction(instruction, "it stands before the first FROM")
    return stages


_HINT = (
    "The embedded engine builds bundles as modelpack writes them; build this one with --engine"
    " docker or podman, or take the change back."
)


def chain(stages: Sequence[Stage], last: Stage) -> list[Stage]:
    """`last`, after the stages that it is built on, the lowest first."""
    named = {stage.name: stage for stage in stages if stage.name and stage is not last}
    found = [last]
    while below := named.pop(found[0].base.lower(), None):
        found.insert(0, below)
    return found


def steps(stages: Sequence[Stage], last: Stage) -> list[Instruction]:
    """The instructions that make the stage `last` of an image, in their order."""
    return [step for stage in chain(stages, last) for step in stage.instructions]


def unsupported_instruction(instruction: Instruction, why: str) -> BuildFailedError:
    """The error for an instruction that only an engine that runs containers could follow."""
    told = str(instruction)
    return BuildFailedError(
        f"Line {instruction.line} of the Dockerfile cannot be followed without a container engine:"
        f" {why}: {told if len(told) <= 200 else told[:197] + '...'}",
        hint=_HINT,
    )


def base_reference(stages: Sequence[Stage]) -> str:
    """The name of the one image that anything is built on.

    Raises:
        BuildFailedError: there are others, or none.
    """
    own = {stage.name for stage in stages}
    named = {stage.base for stage in stages if stage.base.lower() not in own} - {"scratch"}
    if len(named) != 1:
        told = ", ".join(sorted(named)) or "none"
        raise BuildFailedError(f"The Dockerfile is to have one base image: {told}.", hint=_HINT)
    return named.pop()


def _from(instruction: Instruction, arguments: Mapping[str, str]) -> tuple[str, str]:
    words = split_words(instruction.text, arguments)
    match = _FROM.fullmatch(" ".join(words))
    if match is None or not {*instruction.flags} <= {_NATIVE}:
        raise unsupported_instruction(instruction, "another FROM is expected")
    return (match[2] or "").lower(), match[1]


def _instructions(text: str) -> Iterator[Instruction]:
    for number, line in _logical_lines(text):
        word, _, rest = line.partition(" ")
        name, rest = word.upper(), rest.strip()
        flags: list[str] = []
        while match := _FLAG.match(rest):
            flags.append(match[1] if match[2] is None else f"{match[1]}={match[2]}")
            rest = rest[match.end() :]
        instruction = Instruction(name, tuple(flags), rest, number)
        if re.search(r"(^|\s)<<-?[\"']?\w", rest) and name in {"RUN", "COPY", "ADD"}:
            raise unsupported_instruction(instruction, "it has a here document")
        yield instruction


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Each instruction on one line, with the number of its first; comments and empty lines, which
    may stand within one, are gone.
    """
    pending, began = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#") or not line.strip():
            if _DIRECTIVE.match(line) and not pending:
                raise unsupported_instruction(
                    Instruction(line.strip(), (), "", number), "a directive"
                )
            continue
        began = began if pending else number
        pending += line.strip() if not pending else f" {line.strip()}"
        if pending.endswith("\\"):
            pending = pending[:-1].rstrip()
            continue
        yield began, pending
        pending = ""
    if pending:
        yield began, pending


_TOKEN = re.compile(
    r"""
      \\(?P<escaped>.)
    | \$(?:\{(?P<braced>[A-Za-z_]\w*)\}|(?P<bare>[A-Za-z_]\w*))
    | (?P<quote>["'])
    | (?P<space>\s+)
    | (?P<plain>[^\\$"'\s]+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_SPECIAL = '"$\\'


def split_words(text: str, variables: Mapping[str, str]) -> list[str]:
    """Its words, without their quotes and with the values of variables, "" for an unknown one.

    Raises:
        ValueError: a quote is not closed, or a variable has a modifier (`${NAME:-else}`).
    """
    words: list[str] = []
    word: str | None = None
    quote = ""
    for kind, value in _tokens(text):
        if kind == "space" and not quote:
            words += [] if word is None else [word]
            word = None
        elif kind == "quote" and value in (quote or value):
            quote, word = "" if quote else value, word or ""
        else:
            word = (word or "") + _meaning(kind, value, quote, variables)
    if quote:
        raise ValueError("a quote is not closed")
    return words + ([] if word is None else [word])


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        yield kind, match[kind]


def _meaning(kind: str, value: str, quote: str, variables: Mapping[str, str]) -> str:
    if kind == "escaped":
        # Within double quotes only what is special there is escaped; within single ones nothing.
        return value if not quote or (quote == '"' and value in _SPECIAL) else f"\\{value}"
    if kind in {"braced", "bare"}:
        if quote == "'":
            return f"${{{value}}}" if kind == "braced" else f"${value}"
        return variables.get(value, "")
    if kind == "other" and value == "$" and quote != "'":
        raise ValueError("a variable has a modifier")
    return value
