"""uv as a child process, and its errors explained."""

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
from modelpack.errors import EnvironmentNotResolvedError
from modelpack.types import IndexSettings

from .index import redacted

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
    with processes.temporary_directory() as folder:
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
    return {**kept, "UV_SYSTEM_CERTS": "true", **index_env.index_environment(index)}


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


MISSING_DATES = "is missing an upload date"
"""uv's words for a file of an index that serves no upload times."""

NO_SOLUTION = "No solution found"
"""uv's words where it has asked the index, and no set of versions fits."""

_REACH = "The package index cannot be reached: {reason}"
_CHECK_INDEX = "Check the network and the index: --index-url URL, or the settings of pip or uv"

# Ordered: the first pattern found in uv's words decides.
_KINDS = (
    (
        r"certificate|UnknownIssuer",
        "The package index shows a certificate that is not trusted here: {reason}",
        "Give the authority that signed it, often that of a company's proxy: --ca-cert FILE",
    ),
    (
        r"401 Unauthorized|403 Forbidden|credentials",
        "The package index asks for credentials, or refuses those it was given: {reason}",
        "Put them into the URL of the index in the settings of pip or uv, or into ~/.netrc",
    ),
    (
        r"tunnel error|proxy auth",
        "The proxy lets nothing through to the package index: {reason}",
        "Give its user and password, as in HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT",
    ),
    (r"dns error|failed to lookup|Connection refused|timed out|tcp connect", _REACH, _CHECK_INDEX),
    (
        r"no usable wheels|no wheels",
        "Not every distribution has a wheel for Python {python} on {platform}: {reason}",
        "Try another Python (--python X.Y) or platform (--platform linux/amd64), or name a version"
        " that has one: --requirement NAME==VERSION. One that you name and that has none at all is"
        " built from source",
    ),
    (
        r"was not found in the package registry",
        "The package index does not have all that the model needs: {reason}",
        "Name the distribution by its right name (--requirement NAME), or use an index that has it:"
        " --index-url URL",
    ),
    (
        r"^Because there (is|are) no versions? of",
        "The package index has no such version: {reason}",
        "Name a version that it has, as close as can be: --requirement NAME==VERSION",
    ),
    (
        r"^Because",
        "No set of versions fits on Python {python}: {reason}",
        "Loosen one of the requirements named: --requirement NAME==VERSION takes the place of what"
        " the model file records",
    ),
    (r"error sending request|Failed to fetch", _REACH, _CHECK_INDEX),
    (r"", "The versions could not be locked: {reason}", "Try uv itself: uv pip compile --help"),
)


def not_resolved(output: str, python: str, platform: str) -> EnvironmentNotResolvedError:
    """The error for uv's standard error `output`."""
    told = redacted(output)
    reason = _reason(_lines(re.split(r"^\s*hint:", told, maxsplit=1, flags=re.MULTILINE)[0]))
    words = f"{reason}\n{told}"
    message, hint = next(texts for pattern, *texts in _KINDS if re.search(pattern, words))
    return EnvironmentNotResolvedError(
        message.format(reason=reason, python=python, platform=platform), hint=hint
    )


def _lines(explanation: str) -> list[str]:
    """The lines of uv's explanation, without its frame, labels and warnings."""
    lines = (re.sub(r"^[\W]+|^error: ", "", line) for line in explanation.splitlines())
    told = (re.sub(r"^(cause|Caused by): ", "", line).strip() for line in lines)
    return [line for line in told if line and not line.startswith("warning:")]


def _reason(lines: list[str]) -> str:
    """One line: of a proof all, of a chain of causes what was fetched and the last cause."""
    proof = [i for i, line in enumerate(lines) if line.startswith("Because")]
    if proof:
        return " ".join(lines[proof[0] :])
    fetched = [line for line in lines if line.startswith("Failed to fetch")]
    ends = dict.fromkeys([*(fetched or lines)[:1], *lines[-1:]])
    return f"{': '.join(ends).rstrip('.')}."
