"""uv as a child process: an argument list, a bare environment, and no configuration of this machine
but the index settings it is given.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from packaging.requirements import Requirement

from modelpack import index_env, processes
from modelpack.types import IndexSettings

KEPT = frozenset(
    {
        "ALL_PROXY",
        "HOME",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "NO_PROXY",
        "PATH",
        "TMPDIR",
        "UV_CACHE_DIR",
        "UV_CONCURRENT_DOWNLOADS",
        "UV_HTTP_RETRIES",
        "UV_HTTP_TIMEOUT",
        "UV_INDEX_STRATEGY",
        "UV_NO_CACHE",
        "UV_OFFLINE",
        "XDG_CACHE_HOME",
    }
)
"""The variables that say how to reach things. Others, like UV_CONSTRAINT, would change the lock."""


NEVER = date(9000, 1, 1)


@dataclass(frozen=True)
class Request:
    """`platform` is uv's name of it. `sdists`: what is taken as source; all else are wheels.
    `options`: more of uv's own.
    """

    requirements: Sequence[Requirement]
    python: str
    platform: str
    index: IndexSettings
    sdists: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lock:
    """The text of requirements.lock, or (not empty) what uv says of why there is none."""

    text: str
    error: str

    def pins(self) -> dict[str, str]:
        """Name -> version, in the order of the lock."""
        return pins_of(self.text)


def pins_of(text: str) -> dict[str, str]:
    """Name -> version, in the order of the text of a lock."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.MULTILINE))


def compile_lock(
    request: Request,
    *,
    bounds: Sequence[str] = (),
    left_out: Sequence[str] = (),
    day: date | None = None,
    dates: Mapping[str, date | None] | None = None,
) -> Lock:
    """Locks wheels with hashes. `bounds`: constraints ("numpy<2") on what is needed anyway.
    `left_out`: names that are not locked, whatever requires them. `day`: what the index has at its
    start is all that there is. `dates`: another day for some distributions; None: no limit.

    Raises:
        EnvironmentNotResolvedError: uv is missing.
    """
    with processes.scratch_folder() as folder:
        (folder / "bounds.txt").write_text("\n".join(bounds), encoding="utf-8")
        (folder / "left-out.txt").write_text("\n".join(left_out), encoding="utf-8")
        result = subprocess.run(
            [index_env.program(), *_arguments(request), *_limits(day, dates or {})],
            input="\n".join(map(str, request.requirements)),
            env=environment_variables(request.index),
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            errors="replace",  # an index may say anything
            check=False,
        )
    return Lock(result.stdout, result.stderr.strip() or "uv failed" if result.returncode else "")


def environment_variables(index: IndexSettings) -> dict[str, str]:
    """For uv; what the machine trusts counts where there is no CA bundle."""
    kept = {name: value for name, value in os.environ.items() if name.upper() in KEPT}
    return {**kept, "UV_SYSTEM_CERTS": "true", **index_env.of(index)}


def _arguments(request: Request) -> list[str]:
    return [
        *("pip", "compile", "-", "--constraints", "bounds.txt", "--excludes", "left-out.txt"),
        *("--no-config", "--no-header", "--no-annotate", "--no-progress", "--color=never"),
        *("--generate-hashes", "--only-binary=:all:"),
        *(f"--no-binary={name}" for name in request.sdists),  # which goes before the line above
        *("--python", sys.executable, "--no-python-downloads"),
        *(["--no-index"] if request.index.wheelhouse else []),
        # A late patch release, as images have: pandas asks for 3.7.1, which is not in 3.7.0.
        *("--python-version", f"{request.python}.99", "--python-platform", request.platform),
        *request.options,
    ]


def _limits(day: date | None, dates: Mapping[str, date | None]) -> list[str]:
    if day is None:
        return []
    cutoffs = {name: _midnight(at or NEVER) for name, at in dates.items()}
    packages = (f"--exclude-newer-package={name}={at}" for name, at in cutoffs.items())
    return [f"--exclude-newer={_midnight(day)}", *packages]


def _midnight(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"
