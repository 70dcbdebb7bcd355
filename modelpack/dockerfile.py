"""Dockerfile parser: stages, instructions, words.

Source: https://docs.docker.com/reference/dockerfile/. Here documents, other escape characters and
frontends of other images (`# syntax=`) are refused, as modelpack writes none of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from modelpack.errors import BuildFailedError

BASE = "base"
"""The stage that is the base image itself."""

BASE_NAME = "org.opencontainers.image.base.name"
"""Label with the reference of the base image."""

EPOCH = "SOURCE_DATE_EPOCH"
"""Argument of a build, and variable, with the date of the image, in seconds since 1970. See
https://reproducible-builds.org/specs/source-date-epoch/
"""

_EPOCH = re.compile(rf"^# .*--build-arg {EPOCH}=(\d{{1,12}})$", re.MULTILINE)

_DIRECTIVE = re.compile(r"#\s*(syntax|escape|check)\s*=", re.IGNORECASE)
_HERE_DOCUMENT = re.compile(r"(^|\s)<<-?[\"']?\w")
_FROM = re.compile(r"(\S+)(?:\s+as\s+(\S+))?", re.IGNORECASE)
_NATIVE = "platform=$BUILDPLATFORM"  # a stage creates the same files on every platform
_FLAG = re.compile(r"--([a-z-]+)(?:=(\S+))?\s+")
_MAX_SHOWN = 200
_HINT = "Undo the change of the Dockerfile, or build with --engine docker or podman."


@dataclass(frozen=True)
class Instruction:
    """An instruction on one line.

    Attributes:
        flags: Each as "name=value".
        text: What follows the flags.
        line: Number of its first line in the file.
    """

    name: str
    flags: tuple[str, ...]
    text: str
    line: int

    def flag(self, name: str) -> str | None:
        """Return the value of a flag that occurs once."""
        values = [flag.partition("=")[2] for flag in self.flags if flag.startswith(f"{name}=")]
        return values[0] if values else None

    def array(self) -> tuple[str, ...] | None:
        """Return the words of the JSON form, or None for another form."""
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
    """A build stage.

    Attributes:
        name: In lower case; its index for a stage without a name.
        base: An image, or the name of an earlier stage.
    """

    name: str
    base: str
    instructions: tuple[Instruction, ...]


def read(path: Path, arguments: Mapping[str, str]) -> tuple[Stage, ...]:
    """Return the stages of a Dockerfile, at least one; the last one is the image.

    `arguments` replace the values of ARG lines before the first FROM.

    Raises:
        BuildFailedError: The file cannot be read or is not supported.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise BuildFailedError(
            f"{path} cannot be read: {error}.", hint="Run: modelpack bundle MODEL"
        ) from error
    variables = dict(arguments)
    stages: list[tuple[str, str, list[Instruction]]] = []
    for instruction in parse(text):
        if instruction.name == "FROM":
            name, base = _stage(instruction, variables, len(stages))
            if name in {name for name, _, _ in stages}:
                raise unsupported_instruction(instruction, f"{name!r} is already a stage")
            stages.append((name, base, []))
        elif stages:
            stages[-1][2].append(instruction)
        elif instruction.name == "ARG":
            variables.setdefault(*_argument(instruction))
        else:
            raise unsupported_instruction(instruction, "no FROM precedes it")
    if not stages:
        raise BuildFailedError(f"{path} has no FROM.", hint=_HINT)
    return tuple(Stage(name, base, tuple(found)) for name, base, found in stages)


def parse(text: str) -> Iterator[Instruction]:
    """Yield the instructions of a Dockerfile.

    Raises:
        BuildFailedError: The file has a directive or a here document.
    """
    for number, line in _logical_lines(text):
        instruction = _instruction(number, line)
        if line.startswith("#"):
            raise unsupported_instruction(instruction, "directives are not supported")
        if _HERE_DOCUMENT.search(instruction.text) and instruction.name in {"RUN", "COPY", "ADD"}:
            raise unsupported_instruction(instruction, "it has a here document")
        yield instruction


def base_image(path: Path) -> str:
    """Return the image that the stage `base` is built on, or "" if no such stage exists.

    The user may have edited the rest of the file for a container engine, so it may contain
    anything.
    """
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
    variables: dict[str, str] = {}
    for number, line in _logical_lines(text):
        instruction = _instruction(number, line)
        if instruction.name == "ARG":
            variables.setdefault(*_argument(instruction))
        elif instruction.name == "FROM":
            try:
                name, base = _stage(instruction, variables, 0)
            except (BuildFailedError, ValueError):
                continue
            if name == BASE:
                return base
    return ""


def image_time(path: Path) -> int | None:
    """Return the date of the image in seconds since 1970, from a comment of its Dockerfile, if any.

    So every version of modelpack and `docker build` create the same image of a bundle.
    """
    try:
        written = _EPOCH.search(path.read_text("utf-8", errors="replace"))
    except OSError:
        written = None
    return int(written[1]) if written else None


def external_image(stages: Sequence[Stage]) -> str:
    """Return the one image that stages are built on.

    Raises:
        BuildFailedError: The stages are built on several images, or on none.
    """
    names = {stage.name for stage in stages}
    images = {stage.base for stage in stages if stage.base.lower() not in names} - {"scratch"}
    if len(images) != 1:
        raise BuildFailedError(
            "--engine oci needs a Dockerfile with exactly one base image; this one has"
            f" {', '.join(sorted(images)) or 'none'}.",
            hint=_HINT,
        )
    return images.pop()


def unsupported_instruction(instruction: Instruction, reason: str) -> BuildFailedError:
    """Return the error for an instruction that needs a container engine."""
    text = str(instruction).strip()
    return BuildFailedError(
        f"--engine oci does not support line {instruction.line} of the Dockerfile, because"
        f" {reason}: {text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + '...'}",
        hint=_HINT,
    )


def absolute_path(name: str, workdir: str) -> str:
    """Return a path relative to `workdir` as one from the root, without a leading slash."""
    parts: list[str] = []
    for part in PurePosixPath(workdir, name).parts[1:]:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


def _stage(instruction: Instruction, variables: Mapping[str, str], index: int) -> tuple[str, str]:
    try:
        words = split_words(instruction.text, variables)
    except ValueError as error:
        raise unsupported_instruction(instruction, str(error)) from error
    match = _FROM.fullmatch(" ".join(words))
    if match is None or not {*instruction.flags} <= {_NATIVE}:
        raise unsupported_instruction(instruction, "FROM IMAGE AS NAME is expected")
    return (match[2] or str(index)).lower(), match[1]


def _argument(instruction: Instruction) -> tuple[str, str]:
    name, _, value = instruction.text.partition("=")
    return name, value


def _instruction(number: int, line: str) -> Instruction:
    name, _, rest = line.partition(" ")
    rest = rest.strip()
    flags: list[str] = []
    while match := _FLAG.match(rest):
        flags.append(match[1] if match[2] is None else f"{match[1]}={match[2]}")
        rest = rest[match.end() :]
    return Instruction(name.upper(), tuple(flags), rest, number)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each instruction and directive on one line, with the number of its first line.

    Comments and empty lines, which may also occur within an instruction, are left out.
    """
    pending, first = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#") or not line.strip():
            if _DIRECTIVE.match(line) and not pending:
                yield number, line.strip()
            continue
        first = first if pending else number
        pending += line.strip() if not pending else f" {line.strip()}"
        if pending.endswith("\\"):
            pending = pending[:-1].rstrip()
            continue
        yield first, pending
        pending = ""
    if pending:
        yield first, pending


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
    """Return the words of `text` without quotes and with variables replaced.

    An unknown variable is replaced by "".

    Raises:
        ValueError: A quote is not closed, or a variable has a modifier (`${NAME:-default}`).
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
            word = (word or "") + _expand(kind, value, quote, variables)
    if quote:
        raise ValueError("a quote is not closed")
    return words + ([] if word is None else [word])


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        yield kind, match[kind]


def _expand(kind: str, value: str, quote: str, variables: Mapping[str, str]) -> str:
    if kind == "escaped":
        # Double quotes escape only special characters; single quotes escape none.
        return value if not quote or (quote == '"' and value in _SPECIAL) else f"\\{value}"
    if kind in {"braced", "bare"}:
        if quote == "'":
            return f"${{{value}}}" if kind == "braced" else f"${value}"
        return variables.get(value, "")
    if kind == "other" and value == "$" and quote != "'":
        raise ValueError("a variable has a modifier")
    return value
