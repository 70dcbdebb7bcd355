"""Runs the `modelpack` command of a checkout in a work folder and masks what varies."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

EPOCH = "1700000000"
_FOREIGN = ("MODELPACK_", "OTEL_", "PYTHON", "GUNICORN", "COV_")
_TOOL = "modelpack"

_MASKS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r'("(?:\w+_)?(?:seconds|ms|bytes_per_second)": )[\d.e+-]+', r"\g<1>0"),
        (r'("memory_bytes": )\d+', r"\g<1>0"),
        (r" +\b\d+(?:\.\d+)? (m?s)\b", r" N \1"),
        (r"(passed|failed) +\d+\.\d\d +", r"\1 N "),
        (r"\b[\d,]+ rows/s", "N rows/s"),
        (r"\b\d+ MB of memory", "N MB of memory"),
        (r"/tmp/(?!W\b)[\w.-]+", "/tmp/X"),
        (r"(127\.0\.0\.1|localhost):\d{4,5}\b", r"\1:PORT"),
        (r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?", "TIME"),
        (r"\b(pid:? ?)\d+", r"\1N"),
        # uv names whichever of its parallel requests failed first.
        (r"(127\.0\.0\.1:9/simple/)[\w.-]+", r"\1X"),
        (r"/\.([\w.-]+)\.[a-z0-9_]{8}\b", r"/.\1.X"),
    )
)


@dataclass(frozen=True)
class Done:
    code: int
    stdout: str
    stderr: str


@dataclass
class Checkout:
    """A checkout of this repository, and the work folder in which its commands run.

    Commands are given paths relative to the work folder, so that none of their output depends on
    where the checkout or the work folder is.
    """

    root: Path
    work: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def command(self) -> str:
        return str(self.root / ".venv" / "bin" / _TOOL)

    @property
    def python(self) -> str:
        return str(self.root / ".venv" / "bin" / "python")

    def environment(self, **variables: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
        return {
            **kept,
            "PATH": f"{self.root / '.venv' / 'bin'}:{os.environ['PATH']}",
            "SOURCE_DATE_EPOCH": EPOCH,
            "XDG_DATA_HOME": str(self.work / "data"),
            "COLUMNS": "80",
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "1",
            "TERM": "dumb",
            "PYTHONDONTWRITEBYTECODE": "1",
            **self.variables,
            **variables,
        }

    def run(
        self, *arguments: str, stdin: bytes = b"", cwd: Path | None = None, **variables: str
    ) -> Done:
        """Run `modelpack ARGUMENTS` in `cwd` (default: the work folder)."""
        done = subprocess.run(
            [self.command, *arguments],
            cwd=cwd or self.work,
            env=self.environment(**variables),
            input=stdin,
            capture_output=True,
            timeout=1800,
            check=False,
        )
        return Done(done.returncode, done.stdout.decode("utf-8", "replace"), _text(done.stderr))

    def require(self, *arguments: str, cwd: Path | None = None, **variables: str) -> str:
        """Run a command that has to succeed, and return its standard output."""
        done = self.run(*arguments, cwd=cwd, **variables)
        if done.code:
            raise SystemExit(f"{shlex.join(arguments)} ended with {done.code}:\n{done.stderr}")
        return done.stdout

    def masked(self, text: str, cwd: Path | None = None) -> str:
        """Replace seconds, rates, memory, temporary paths, ports, times and process ids."""
        places = {self.work: "WORK", self.root: "CHECKOUT", Path.home(): "HOME"}
        for path, name in ({cwd: "CWD"} | places if cwd else places).items():
            text = text.replace(f"{path}/", f"{name}/").replace(str(path), name)
        for pattern, replacement in _MASKS:
            text = pattern.sub(replacement, text)
        return text

    def report(self, *arguments: str, stdin: bytes = b"", cwd: Path | None = None) -> str:
        """Run a command and return its exit code and masked output as one text."""
        done = self.run(*arguments, stdin=stdin, cwd=cwd)
        return "\n".join(
            (
                f"$ {_TOOL} {shlex.join(arguments)}",
                f"exit code {done.code}",
                *_indented("stdout", self.masked(done.stdout, cwd)),
                *_indented("stderr", self.masked(done.stderr, cwd)),
                "",
            )
        )


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _indented(name: str, text: str) -> list[str]:
    return [f"{name} | {line}" for line in text.splitlines()]
