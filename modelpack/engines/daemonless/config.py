"""The image configuration that instructions produce.

Source: https://docs.docker.com/reference/dockerfile/; the members of the result are those of the
image configuration, https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md, and
`Healthcheck`, which is Docker's own: https://github.com/moby/docker-image-spec
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from modelpack import dockerfile
from modelpack.dockerfile import Instruction, unsupported_instruction
from modelpack.engines.daemonless.copy import path

Config = dict[str, Any]

_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_INHERITED = (
    "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels",
    "StopSignal", "Healthcheck", "Shell",
)  # fmt: skip


def inherit_config(base: Mapping[str, Any]) -> Config:
    """What an image has of the one that it is built on."""
    return {name: base[name] for name in _INHERITED if base.get(name)}


def apply_instruction(config: Config, instruction: Instruction) -> bool:
    """Makes the change to `config` that the instruction asks for; False where it is another kind.

    Raises:
        BuildFailedError: it is not understood.
    """
    change = _CHANGES.get(instruction.name)
    if change is None:
        return False
    try:
        change(config, instruction)
    except ValueError as error:
        raise unsupported_instruction(instruction, str(error)) from error
    return True


def variables(config: Config) -> dict[str, str]:
    """Those that the instructions after this one see."""
    return dict(entry.split("=", 1) for entry in config.get("Env") or [] if "=" in entry)


def _words(config: Config, instruction: Instruction) -> list[str]:
    return dockerfile.split_words(instruction.text, variables(config))


def _pairs(config: Config, instruction: Instruction) -> dict[str, str]:
    found = [word.partition("=") for word in _words(config, instruction)]
    if not found or not all(name and equals for name, equals, _ in found):
        raise ValueError("NAME=VALUE is expected")
    return {name: value for name, _, value in found}


def _one(config: Config, instruction: Instruction) -> str:
    found = _words(config, instruction)
    if len(found) != 1 or not found[0]:
        raise ValueError("one word is expected")
    return found[0]


def _env(config: Config, instruction: Instruction) -> None:
    merged = {**variables(config), **_pairs(config, instruction)}
    config["Env"] = [f"{name}={value}" for name, value in merged.items()]


def _label(config: Config, instruction: Instruction) -> None:
    config["Labels"] = {**(config.get("Labels") or {}), **_pairs(config, instruction)}


def _user(config: Config, instruction: Instruction) -> None:
    config["User"] = _one(config, instruction)


def _workdir(config: Config, instruction: Instruction) -> None:
    at = path(_one(config, instruction), config.get("WorkingDir") or "/")
    config["WorkingDir"] = f"/{at}"


def _expose(config: Config, instruction: Instruction) -> None:
    ports = [p if "/" in p else f"{p}/tcp" for p in _words(config, instruction)]
    if not all(re.fullmatch(r"\d{1,5}/(tcp|udp|sctp)", port) for port in ports):
        raise ValueError("numbers of ports are expected")
    config["ExposedPorts"] = {**(config.get("ExposedPorts") or {}), **{p: {} for p in ports}}


def _stopsignal(config: Config, instruction: Instruction) -> None:
    config["StopSignal"] = _one(config, instruction)


def _command(instruction: Instruction) -> list[str]:
    array = instruction.array()
    if array is None:
        raise ValueError('a command is expected as ["WORD", ...]: there may be no shell')
    return list(array)


def _entrypoint(config: Config, instruction: Instruction) -> None:
    config["Entrypoint"] = _command(instruction)
    config.pop("Cmd", None)  # the base's is not for this one


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
            raise ValueError(f"--{name} is not known")
    config["Healthcheck"] = check


def _nanoseconds(text: str) -> int:
    parts = re.findall(r"(\d+)(ns|us|ms|s|m|h)", text)
    if not parts or "".join(map("".join, parts)) != text:
        raise ValueError(f"{text!r} is no time such as 10s")
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


_CHANGES: dict[str, Callable[[Config, Instruction], None]] = {
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
