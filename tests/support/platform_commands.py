"""Programs in place of `docker` and `kubectl`, which print given answers."""

from __future__ import annotations

import json
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Failure:
    """An answer on standard error, with exit status 1."""

    text: str


Answers = dict[str, Any]
"""Part of a command -> what it prints: text, a document, or a `Failure`."""


def replace_commands(folder: Path, answers: Answers) -> Path:
    """Write both programs to a folder, and return the log of their arguments."""
    cases = ""
    for number, (part, answer) in enumerate(answers.items()):
        failed = isinstance(answer, Failure)
        text = answer.text if failed else answer
        text = text if isinstance(text, str) else json.dumps(text)
        (folder / f"answer-{number}").write_text(text)
        end = " >&2; exit 1" if failed else ""
        cases += f'  *"{part}"*) cat {shlex.quote(str(folder))}/answer-{number}{end};;\n'
    for name in ("docker", "kubectl"):
        script = f'#!/bin/sh\necho "{name} $*" >> {folder}/log\ncase "$*" in\n{cases}esac\n'
        (folder / name).write_text(script)
        (folder / name).chmod(stat.S_IRWXU)
    return folder / "log"
