"""Tools, leftovers, distributions, byte code, model files, base, secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from modelpack.hardening import evidence, secrets
from modelpack.hardening.evidence import MANIFEST
from modelpack.hardening.subject import Subject
from modelpack.oci.filesystem import Entry
from modelpack.types import Violation

TOOLS = {
    "a shell": "sh|r?bash|dash|ash|[a-z]?ksh|mksh|zsh|fish|t?csh|busybox|toybox",
    "a package manager": (
        r"apt|apt-[a-z]+|dpkg|dpkg-[a-z-]+|apk|yum|dnf|microdnf|rpm|pip[0-9.]*|easy_install"
        "|pipx|uvx?|poetry|conda|mamba|micromamba|npm|gem|cargo"
    ),
    "a compiler": (
        r"(?:[a-z0-9_]+-linux-gnu-)?(?:gcc|g\+\+|cpp|ld|as|gfortran)(?:-[0-9.]+)?"
        r"|cc|c\+\+|c[89]9|clang|clang\+\+|tcc|make|cmake|ninja|rustc|go"
    ),
    "a downloader": "curl|wget|nc|ncat|netcat|socat|telnet|s?ftp|ssh|scp|rsync|git",
}
"""Kind -> pattern of program names."""

_TOOLS = {what: re.compile(pattern) for what, pattern in TOOLS.items()}
_FOLDERS = {"bin", "sbin", "libexec"}


def tools_violations(image: Subject) -> Iterator[Violation]:
    """No shell, package manager, compiler or downloader is added to those of the base image."""
    base = image.base
    known = {entry.sha256: path for path, entry in base.items() if tool_kind(path, entry)}
    known.pop("", None)
    for path, entry in image.ours.items():
        if entry.kind == "directory":
            continue
        if (what := tool_kind(path, entry)) and not _is_same_program(base.get(path), entry):
            yield Violation(path, f"is {what}")
        elif entry.sha256 in known and path not in base:
            yield Violation(path, f"is the same as {known[entry.sha256]}")


def tool_kind(path: str, entry: Entry) -> str:
    """Return the kind of a tool; "" for any other file."""
    folder, _, name = path.rpartition("/")
    executable = entry.kind in {"file", "hardlink"} and entry.mode & 0o111
    if not executable and folder.rpartition("/")[2] not in _FOLDERS:
        return ""
    return next((what for what, names in _TOOLS.items() if names.fullmatch(name)), "")


def _is_same_program(before: Entry | None, now: Entry) -> bool:
    """Return whether a program is that of the base image, whatever its mode."""
    return before is not None and (before.sha256, before.target) == (now.sha256, now.target)


INSTALLERS = re.compile(
    r"opt/venv/.*site-packages/(?P<name>pip|setuptools|wheel|pkg_resources|_distutils_hack)/.*"
)
# `.git` breaks the rule `secrets`, because it may hold credentials. One defect breaks one rule.
LEFTOVERS = {
    r"(.*/)?\.cache/.+": "is part of a cache",
    r"root/.+": "is in the home folder of root",
    r"(var/)?tmp/.+": "is temporary",
    r"var/lib/apt/lists/.+": "is a package list",
    r"var/cache/(apt|debconf|ldconfig)/.+": "is part of a cache",
    r"var/log/.+": "is a log",
    r"wheelhouse(/.*)?": "is part of the wheelhouse",
    r".*\.(whl|deb|rpm)": "is a package",
    r"(.*/)?(\.DS_Store|\.ipynb_checkpoints|\.pytest_cache|\.hg|\.svn)(/.*)?": "is the author's",
}
_LEFTOVERS = [(re.compile(pattern), what) for pattern, what in LEFTOVERS.items()]
_DISTRIBUTIONS = {"pkg_resources": "setuptools", "_distutils_hack": "setuptools"}


def leftovers_violations(image: Subject) -> Iterator[Violation]:
    """The build leaves no installers, caches, package lists, packages or temporary files."""
    locked = image.pins
    for path, entry in image.ours.items():
        if entry.kind == "directory" or path in image.base:
            continue
        installer = INSTALLERS.fullmatch(path)
        name = installer["name"] if installer else ""
        if name and canonicalize_name(_DISTRIBUTIONS.get(name, name)) not in locked:
            yield Violation(path, "belongs to an installer that is not in the lock")
        yield from (
            Violation(path, what) for pattern, what in _LEFTOVERS if pattern.fullmatch(path)
        )


ENVIRONMENT_FILES = re.compile(
    r"opt/venv/(pyvenv\.cfg|lib64|bin/python[0-9.]*|bin/[Aa]ctivate[a-z0-9.]*)"
)


def distributions_violations(image: Subject) -> Iterator[Violation]:
    """The environment contains the distributions of the lock, unchanged, and no others."""
    yield from _versions(image)
    recorded = image.recorded
    for path, digest in recorded.items():
        entry = image.files.get(path)
        is_byte_code = evidence.source_of(path) != path  # compiled again, with a separate rule
        if digest and not is_byte_code and (entry is None or entry.sha256 != digest):
            yield Violation(path, "is missing" if entry is None else "differs from its wheel")
    for path, entry in image.files.items():
        if not path.startswith(f"{evidence.ENVIRONMENT}/") or entry.kind == "directory":
            continue
        if evidence.source_of(path) not in recorded and not ENVIRONMENT_FILES.fullmatch(path):
            yield Violation(path, "does not belong to a distribution")


def _versions(image: Subject) -> Iterator[Violation]:
    locked = dict(image.pins)
    for name, version, record in evidence.installed(image.files):
        expected = locked.pop(name, None)
        if expected is None:
            yield Violation(record, f"belongs to {name}, which is not in the lock")
        elif not _is_same(version, expected):
            yield Violation(record, f"belongs to {name} {version}, but the lock has {expected}")
    for name, version in locked.items():
        yield Violation(evidence.ENVIRONMENT, f"lacks {name} {version} of the lock")


def _is_same(installed: str, locked: str) -> bool:
    """Return whether versions are equal; file names have "_" for characters like "+"."""
    try:
        return Version(installed.replace("_", "+", 1)) == Version(locked)
    except InvalidVersion:
        return installed == locked


def byte_code_violations(image: Subject) -> Iterator[Violation]:
    """Byte code is next to its source and contains no time stamp: builds are reproducible."""
    stamped = {path for layer in image.layers for path in layer.evidence.stamped}
    for path in image.ours:
        if not path.endswith((".pyc", ".pyo")):
            continue
        source = evidence.source_of(path)
        if source == path or source not in image.files:
            yield Violation(path, "is byte code without its source")
        elif path in stamped:
            yield Violation(path, "is byte code with a time stamp")


_LABEL = "dev.modelpack.model.sha256"


def model_violations(image: Subject) -> Iterator[Violation]:
    """The files of the model are those that were inspected, and cannot be changed."""
    described = image.manifest["model"]
    files = {f"app/{f['path']}": f["sha256"] for f in (described["file"], *described["more_files"])}
    count = len(files)
    context = described.get("context") or {"files": ()}
    files |= {f"app/{context['folder']}/{f['path']}": f["sha256"] for f in context["files"]}
    for path, sha256 in files.items():
        entry = image.files.get(path)
        if entry is None or entry.kind != "file" or entry.sha256 != sha256:
            yield Violation(path, f"does not have the digest {sha256} of modelpack.json")
    if image.labels.get(_LABEL) != ",".join(list(files.values())[:count]):
        yield Violation(_LABEL, f"is {image.labels.get(_LABEL)!r}")
    for path in (MANIFEST, *files):
        yield from _writable_parts(image, path)


def _writable_parts(image: Subject, path: str) -> Iterator[Violation]:
    entry = image.files.get(path)
    if entry and (entry.mode, entry.uid, entry.gid) != (0o444, 0, 0):
        yield Violation(
            path, f"has the mode {entry.mode:04o} and the owner {entry.uid}:{entry.gid}"
        )
    for parent in PurePosixPath(path).parents:
        folder = image.files.get("" if str(parent) == "." else str(parent))
        if folder and (folder.kind != "directory" or folder.mode & 0o022 or folder.uid):
            yield Violation(str(parent), f"is a {folder.kind} with the mode {folder.mode:04o}")


_NAME, _DIGEST = "org.opencontainers.image.base.name", "org.opencontainers.image.base.digest"
ORIGIN = "dev.modelpack.base.origin"


def base_violations(image: Subject) -> Iterator[Violation]:
    """The labels name the base image, and its digest if it came from a registry."""
    name, digest = image.labels.get(_NAME, ""), image.labels.get(_DIGEST)
    if not name:
        yield Violation(_NAME, "is missing")
    if digest and not re.fullmatch("sha256:[0-9a-f]{64}", digest):
        yield Violation(_DIGEST, f"is {digest!r}, not a digest")
    if not digest and image.labels.get(ORIGIN) not in {"local", "user"}:
        yield Violation(_DIGEST, f"is missing, so {name} can become another image")


def build_secrets_violations(image: Subject) -> Iterator[Violation]:
    """No secret of the build is in the image, except in unchanged files of wheels."""
    return (leak for leak in image.leaks if not image.is_from_wheel(leak.where))


def lookalikes_violations(image: Subject) -> Iterator[Violation]:
    """No layer, variable or label contains a key, a token, a password or a file of credentials."""
    text = json.dumps({"run": image.run, "history": image.history}, ensure_ascii=False)
    for what in secrets.secret_patterns(text.encode(errors="surrogatepass")):
        yield Violation(secrets.CONFIGURATION, f"contains {what}")
    for layer in image.layers:
        for path, names in layer.evidence.shapes.items():
            yield from (Violation(path, f"is or contains {what}") for what in names)
