"""The image configuration that instructions produce.

Sources: https://docs.docker.com/reference/dockerfile/,
https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md and, for `Healthcheck`,
https://github.com/moby/docker-image-spec
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from modelpack import dockerfile
from modelpack.dockerfile import Instruction, absolute_path, unsupported_instruction

Config = dict[str, Any]

_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_INHERITED = (
    "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels",
    "StopSignal", "Healthcheck", "Shell",
)  # fmt: skip


def inherit_config(base: Mapping[str, Any]) -> Config:
    """Return the part of a configuration that an image inherits from its base."""
    return {name: base[name] for name in _INHERITED if base.get(name)}


def apply_instruction(config: Config, instruction: Instruction) -> None:
    """Change `config` as an instruction of `INSTRUCTIONS` requires.

    Raises:
        BuildFailedError: The form of the instruction is not supported.
    """
    try:
        INSTRUCTIONS[instruction.name](config, instruction)
    except ValueError as error:
        raise unsupported_instruction(instruction, str(error)) from error


def workdir(config: Config) -> str:
    return config.get("WorkingDir") or "/"


def variables(config: Config) -> dict[str, str]:
    """Return the environment variables that later instructions can use."""
    return dict(entry.split("=", 1) for entry in config.get("Env") or [] if "=" in entry)


def _split(config: Config, instruction: Instruction) -> list[str]:
    return dockerfile.split_words(instruction.text, variables(config))


def _pairs(config: Config, instruction: Instruction) -> dict[str, str]:
    pairs = [word.partition("=") for word in _split(config, instruction)]
    if not pairs or not all(name and equals for name, equals, _ in pairs):
        raise ValueError("NAME=VALUE is expected")
    return {name: value for name, _, value in pairs}


def _one(config: Config, instruction: Instruction) -> str:
    words = _split(config, instruction)
    if len(words) != 1 or not words[0]:
        raise ValueError("one word is expected")
    return words[0]


def _arg(_: Config, instruction: Instruction) -> None:
    if instruction.text != "TARGETARCH":  # used only in commands that are replaced
        raise ValueError("this argument is not supported")


def _env(config: Config, instruction: Instruction) -> None:
    merged = {**variables(config), **_pairs(config, instruction)}
    config["Env"] = [f"{name}={value}" for name, value in merged.items()]


def _label(config: Config, instruction: Instruction) -> None:
    config["Labels"] = {**(config.get("Labels") or {}), **_pairs(config, instruction)}


def _user(config: Config, instruction: Instruction) -> None:
    config["User"] = _one(config, instruction)


def _workdir(config: Config, instruction: Instruction) -> None:
    config["WorkingDir"] = f"/{absolute_path(_one(config, instruction), workdir(config))}"


def _expose(config: Config, instruction: Instruction) -> None:
    ports = [p if "/" in p else f"{p}/tcp" for p in _split(config, instruction)]
    if not all(re.fullmatch(r"\d{1,5}/(tcp|udp|sctp)", port) for port in ports):
        raise ValueError("port numbers are expected")
    config["ExposedPorts"] = {**(config.get("ExposedPorts") or {}), **{p: {} for p in ports}}


def _stopsignal(config: Config, instruction: Instruction) -> None:
    config["StopSignal"] = _one(config, instruction)


def _command(instruction: Instruction) -> list[str]:
    array = instruction.array()
    if array is None:
        raise ValueError('a command in the form ["WORD", ...] is expected')
    return list(array)


def _entrypoint(config: Config, instruction: Instruction) -> None:
    config["Entrypoint"] = _command(instruction)
    config.pop("Cmd", None)  # as Docker does


def _cmd(config: Config, instruction: Instruction) -> None:
    config["Cmd"] = _command(instruction)


def _healthcheck(config: Config, instruction: Instruction) -> None:
    kind, _, text = instruction.text.partition(" ")
    if kind.upper() != "CMD":
        raise ValueError("CMD is expected")
    command = _command(Instruction("CMD", (), text.strip(), instruction.line))
    check: Config = {"Test": ["CMD", *command]}
    for flag in instruction.flags:
        name, _, value = flag.partition("=")
        if name == "retries":
            check["Retries"] = int(value)
        elif name in {"interval", "timeout", "start-period", "start-interval"}:
            check["".join(word.capitalize() for word in name.split("-"))] = _nanoseconds(value)
        else:
            raise ValueError(f"the option --{name} is unknown")
    config["Healthcheck"] = check


def _nanoseconds(text: str) -> int:
    parts = re.findall(r"(\d+)(ns|us|ms|s|m|h)", text)
    if not parts or "".join(map("".join, parts)) != text:
        raise ValueError(f"{text!r} is not a duration such as 10s")
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


INSTRUCTIONS: dict[str, Callable[[Config, Instruction], None]] = {
    "ARG": _arg,
    "ENV": _env,
    "LABEL": _label,
    "USER": _user,
    "WORKDIR": _workdir,
    "EXPOSE": _expose,
    "STOPSIGNAL": _stopsignal,
    "ENTRYPOINT": _entrypoint,
    "CMD": _cmd,
    "HEALTHCHECK": _healthcheck,
}
