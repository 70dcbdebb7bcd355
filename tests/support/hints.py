"""Run commands of modelpack and follow their hints; train models with a class of the author."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from tempfile import TemporaryFile
from types import ModuleType
from typing import NoReturn

from modelpack import cli
from modelpack.cli import output

OWN = """\
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin


class Half(BaseEstimator, TransformerMixin):
    def fit(self, rows, y=None):
        return self

    def transform(self, rows):
        return np.asarray(rows) / 2
"""


def run(command: str) -> tuple[int, str]:
    """Run modelpack, and return its exit status and the hint.

    A fork of this process runs it: starting Python and importing the libraries takes three quarters
    of the CPU time of a short command.
    """
    with TemporaryFile() as stdout, TemporaryFile() as stderr:
        pid = os.fork()
        if not pid:
            _become_modelpack(shlex.split(command), stdout.fileno(), stderr.fileno())
        _, status = os.waitpid(pid, 0)
        stderr.seek(0)
        printed = stderr.read().decode()
    found = re.search(r"^hint: (.*)", printed, re.MULTILINE | re.DOTALL)
    return os.waitstatus_to_exitcode(status), found[1].strip() if found else ""


def _become_modelpack(arguments: list[str], stdout: int, stderr: int) -> NoReturn:
    """Run modelpack in this process, which ends with it."""
    code: object = 1
    try:
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
        output.out.file, output.err.file = sys.stdout, sys.stderr
        sys.argv = ["modelpack", *arguments]
        cli.run()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def run_script(code: str) -> None:
    """Run Python code as `python -c` does, in a fork of this process as `run` does."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            main = sys.modules["__main__"] = ModuleType("__main__")
            sys.path.insert(0, "")
            exec(code, vars(main))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@dataclass(frozen=True)
class Case:
    """A first command, and what its user does.

    Attributes:
        pattern: What the hint says about a file, and how the user changes that.
        values: The values of placeholders of the hint.
        typed: What the user types into a program that the hint names.
    """

    save: Callable[[], None]
    command: str
    pattern: str = ""
    change: Callable[[], object] = lambda: None
    values: tuple[tuple[str, str], ...] = ()
    typed: str = ""


MAX_COMMANDS = 3
_OPTION = re.compile(r"--(?:code|engine|example|platform|python|requirement) (?:'[^']*'|[^\s'`]+)")
_MODELPACK = re.compile(r"(?:^|[Rr]un: )modelpack ([^,]+)")
_PROGRAM = re.compile(r"(?:^|Run: |^`)((?:cosign|docker) [^`]+)(?:$|`)")
_REPLACED = {"-o", "verify", "--as", "--code", "--example", "--key"}
"""Options and commands of which a hint says only that another value is needed."""


def followed(command: str, hint: str, case: Case) -> str:
    """Return the next command, as the hint says. Its options replace those of the command."""
    for placeholder, value in case.values:
        if placeholder in _REPLACED:
            return re.sub(rf"{placeholder} \S+", f"{placeholder} {value}", command)
        hint = hint.replace(placeholder, value)
    if found := _MODELPACK.search(hint):
        return found[1].strip()
    if found := re.search(r"Leave out ((?:--[a-z-]+(?: and )?)+)", hint):
        for option in re.findall(r"--[a-z-]+", found[1]):
            command = re.sub(rf" {option} \S+", "", command)
        return command
    for each in _OPTION.findall(hint.partition("Otherwise")[0])[:1]:
        option, value = each.split(" ", 1)
        command = re.sub(rf" {option} \S+", "", command)
        command += f" {option} {value.rstrip('.,')}"
    return command


def _run_program(hint: str, case: Case) -> None:
    """Run the command of another program that a hint consists of or begins with."""
    for placeholder, value in case.values:
        if placeholder not in _REPLACED:
            hint = hint.replace(placeholder, value)
    if found := _PROGRAM.search(hint):
        done = subprocess.run(
            found[1], shell=True, input=case.typed, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def follow(case: Case) -> None:
    """Follow the hints of a case, and require that they lead to exit code 0."""
    case.save()
    command, printed = case.command, []
    for _ in range(MAX_COMMANDS):
        code, hint = run(command)
        printed.append(f"{command}: exit {code}, {hint}")
        if code == 0:
            break
        if case.pattern and len(printed) == 1:
            assert re.search(case.pattern, hint), printed
            case.change()
        _run_program(hint, case)
        command = followed(command, hint, case)
    assert code == 0, "\n".join(printed)
    assert len(printed) > 1, "the first command has to fail"
