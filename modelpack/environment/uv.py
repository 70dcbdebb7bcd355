"""Locking with uv in a child process, and explanations of its errors."""

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
"""Variables about network and caches. Others, such as UV_CONSTRAINT, would change the lock."""


NEVER = date(9000, 1, 1)


@dataclass(frozen=True)
class Request:
    """A request to uv.

    Attributes:
        platform: In the form of uv, "x86_64-manylinux_2_28".
        sdists: Distributions whose sdist is used; all others are wheels.
        build_bounds: Constraints of the tools that build them ("setuptools<58").
    """

    requirements: Sequence[Requirement]
    python: str
    platform: str
    index: IndexSettings
    sdists: tuple[str, ...] = ()
    build_bounds: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lock:
    """The text of requirements.lock, or the standard error of uv if it failed."""

    text: str
    error: str

    def pins(self) -> dict[str, str]:
        """Return name -> version, in the order of the lock."""
        return pins_of(self.text)


def pins_of(text: str) -> dict[str, str]:
    """Return name -> version, in the order of the text of a lock."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.MULTILINE))


def compile_lock(
    request: Request,
    *,
    bounds: Sequence[str] = (),
    left_out: Sequence[str] = (),
    day: date | None = None,
    dates: Mapping[str, date | None] | None = None,
) -> Lock:
    """Lock wheels with hashes.

    Args:
        request: What to lock.
        bounds: Constraints ("numpy<2").
        left_out: Names that are not locked although a distribution requires them.
        day: Ignore files that were uploaded on this day or later.
        dates: Other days for single distributions; None: no limit.

    Raises:
        EnvironmentNotResolvedError: uv is not installed.
    """
    with processes.temporary_directory() as folder:
        (folder / "bounds.txt").write_text("\n".join(bounds), encoding="utf-8")
        (folder / "build.txt").write_text("\n".join(request.build_bounds), encoding="utf-8")
        (folder / "left-out.txt").write_text("\n".join(left_out), encoding="utf-8")
        result = subprocess.run(
            [index_env.program(), *_arguments(request), *_limits(day, dates or {})],
            input="\n".join(map(str, request.requirements)),
            env=environment_variables(request.index),
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            errors="replace",  # it may quote any text of an index
            check=False,
        )
    return Lock(result.stdout, result.stderr.strip() or "uv failed" if result.returncode else "")


def environment_variables(index: IndexSettings) -> dict[str, str]:
    """Return the variables of uv. Without a CA bundle, certificates of the system are trusted."""
    kept = {name: value for name, value in os.environ.items() if name.upper() in KEPT}
    return {**kept, "UV_SYSTEM_CERTS": "true", **index_env.index_environment(index)}


def _arguments(request: Request) -> list[str]:
    return [
        *("pip", "compile", "-", "--constraints", "bounds.txt", "--excludes", "left-out.txt"),
        *("--no-config", "--no-header", "--no-annotate", "--no-progress", "--color=never"),
        *("--generate-hashes", "--only-binary=:all:"),
        *(f"--no-binary={name}" for name in request.sdists),  # overrides the line above
        *(["--build-constraints", "build.txt"] if request.build_bounds else []),
        *("--python", sys.executable, "--no-python-downloads"),
        *(["--no-index"] if request.index.wheelhouse else []),
        # A late patch release, as in images: pandas requires 3.7.1, which excludes 3.7.0.
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
"""Message of uv for a file of an index without upload times."""

NO_SOLUTION = "No solution found"
"""Message of uv if the index was reached, but no set of versions fits."""

_BUILD_FAILED = r"^(error: )?Failed to (download and )?build "
"""Message of uv for an sdist that must be built, because its metadata is not static."""

_NO_WHEELS = r"no usable wheels|no wheels"

_REACH = "The package index cannot be reached: {reason}"
_CHECK_INDEX = "Check the network and the index: --index-url URL, or the settings of pip or uv"

# The first pattern that matches the output of uv is used.
_KINDS = (
    (
        r"certificate|UnknownIssuer",
        "The certificate of the package index is not trusted: {reason}",
        "Give the certificate of its authority, often of a company proxy: --ca-cert FILE",
    ),
    (
        r"401 Unauthorized|403 Forbidden|credentials",
        "The package index requires credentials, or rejected them: {reason}",
        "Add them to the URL of the index in the settings of pip or uv, or to ~/.netrc",
    ),
    (
        r"tunnel error|proxy auth",
        "The proxy does not connect to the package index: {reason}",
        "Set its user and password: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT",
    ),
    (r"dns error|failed to lookup|Connection refused|timed out|tcp connect", _REACH, _CHECK_INDEX),
    (
        f"(?m){_BUILD_FAILED}",
        "A distribution without wheels cannot be built from source: {reason}",
        "Name a version with a wheel, or a later one: --requirement NAME==VERSION",
    ),
    (
        _NO_WHEELS,
        "A distribution has no wheel for Python {python} on {platform}: {reason}",
        "Leave out --python and --platform if you gave them. Otherwise try another Python (--python"
        " X.Y) or platform (--platform linux/amd64), or name a version with a wheel: --requirement"
        " NAME==VERSION. If a version that you name has no wheels at all, it is built from source",
    ),
    (
        r"Failed to build",
        "A distribution could not be built from source: {reason}",
        "Name another version of it: --requirement NAME==VERSION",
    ),
    (
        r"was not found in the package registry",
        "The package index does not have all that the model needs: {reason}",
        "Correct the name of the distribution (--requirement NAME), or use another index:"
        " --index-url URL",
    ),
    (
        r"^Because there (is|are) no versions? of",
        "The package index has no such version: {reason}",
        "Leave out --requirement for it, or name a version that the index has, as listed by: pip"
        " index versions NAME",
    ),
    (
        r"^Because",
        "No set of versions fits Python {python}: {reason}",
        "Relax one of these requirements: --requirement NAME==VERSION replaces the version of the"
        " model file",
    ),
    (r"error sending request|Failed to fetch", _REACH, _CHECK_INDEX),
    (r"", "The versions could not be locked: {reason}", "Try uv itself: uv pip compile --help"),
)


def build_failed(lock: Lock) -> bool:
    """Return whether a lock failed because an sdist could not be built."""
    return re.search(_BUILD_FAILED, lock.error, re.MULTILINE) is not None


def lacks_wheels(lock: Lock) -> bool:
    """Return whether a lock failed because a distribution has no wheel for the image."""
    return re.search(_NO_WHEELS, lock.error) is not None


def not_resolved(output: str, python: str, platform: str) -> EnvironmentNotResolvedError:
    """Return the error for the standard error of uv."""
    text = redacted(output)
    reason = _reason(_lines(re.split(r"^\s*hint:", text, maxsplit=1, flags=re.MULTILINE)[0]))
    searched = f"{reason}\n{text}"
    message, hint = next(texts for pattern, *texts in _KINDS if re.search(pattern, searched))
    return EnvironmentNotResolvedError(
        message.format(reason=reason, python=python, platform=platform), hint=hint
    )


def _lines(explanation: str) -> list[str]:
    """Return the lines of an explanation of uv, without its frame, labels and warnings."""
    lines = (re.sub(r"^[\W]+|^error: ", "", line) for line in explanation.splitlines())
    stripped = (re.sub(r"^(cause|Caused by): ", "", line).strip() for line in lines)
    return [line for line in stripped if line and not line.startswith("warning:")]


def _reason(lines: list[str]) -> str:
    """Return one line: a whole proof, or the failed URL and the last cause of a chain."""
    proof = [i for i, line in enumerate(lines) if line.startswith("Because")]
    if proof:
        return " ".join(lines[proof[0] :])
    fetched = [line for line in lines if line.startswith("Failed to fetch")]
    ends = dict.fromkeys([*(fetched or lines)[:1], *lines[-1:]])
    return f"{': '.join(ends).rstrip('.')}."
