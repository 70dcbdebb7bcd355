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

import uv
from packaging.requirements import Requirement

from .. import reaper, uv_variables
from ..errors import EnvironmentNotResolvedError
from ..spec import IndexSettings

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


@dataclass(frozen=True)
class Request:
    """`platform` is uv's name of it. `sdists`: what is taken as source; all else are wheels."""

    requirements: Sequence[Requirement]
    python: str
    platform: str
    index: IndexSettings
    sdists: tuple[str, ...] = ()


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
    dated: Mapping[str, date] | None = None,
    bounds: Sequence[str] = (),
    options: Sequence[str] = (),
) -> Lock:
    """Locks wheels with hashes. `dated`: distribution -> the day at whose start what it has is all
    that there is. `bounds`: constraints ("numpy<2") on what is needed anyway. `options`: uv's own.

    Raises:
        EnvironmentNotResolvedError: uv is missing.
    """
    with reaper.scratch_folder() as folder:
        (folder / "bounds.txt").write_text("\n".join(bounds), encoding="utf-8")
        result = subprocess.run(
            [_find_uv(), *_arguments(request, dated or {}), *options],
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
    return {**kept, "UV_SYSTEM_CERTS": "true", **uv_variables.of(index)}


def _arguments(request: Request, dated: Mapping[str, date]) -> list[str]:
    cutoffs = (f"{name}={day.isoformat()}T00:00:00Z" for name, day in dated.items())
    return [
        *("pip", "compile", "-", "--constraints", "bounds.txt"),
        *("--no-config", "--no-header", "--no-annotate", "--no-progress", "--color=never"),
        *("--generate-hashes", "--only-binary=:all:"),
        *(f"--no-binary={name}" for name in request.sdists),  # which goes before the line above
        *("--python", sys.executable, "--no-python-downloads"),
        *(["--no-index"] if request.index.wheelhouse else []),
        *("--python-version", request.python, "--python-platform", request.platform),
        *(f"--exclude-newer-package={cutoff}" for cutoff in cutoffs),
    ]


def _find_uv() -> str:
    try:
        return uv.find_uv_bin()
    except FileNotFoundError as error:
        raise EnvironmentNotResolvedError(
            "uv, which makes the lock, is not where its Python package says.",
            hint="Install it anew: pip install --force-reinstall uv",
        ) from error
