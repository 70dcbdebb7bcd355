"""User, process, environment, health, ports, volumes, history, labels."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelpack.hardening.subject import Subject
from modelpack.types import Violation

_NUMBERS = re.compile(r"[1-9][0-9]*(:[1-9][0-9]*)?")


def user_violations(image: Subject) -> Iterator[Violation]:
    """The image runs as a numeric user that is not root, so that an engine can verify it."""
    user = str(image.run.get("User") or "")
    if not _NUMBERS.fullmatch(user):
        yield Violation("USER", f"is {user!r}, not a numeric user other than root")


ENTRYPOINT = ["python", "-m", "modelpack.serving"]


def process_violations(image: Subject) -> Iterator[Violation]:
    """The service is process 1, started without a shell."""
    entrypoint, command = image.run.get("Entrypoint"), image.run.get("Cmd")
    if entrypoint != ENTRYPOINT:
        yield Violation("ENTRYPOINT", f"is {entrypoint!r}, not {ENTRYPOINT!r}")
    if command != ["serve"]:
        yield Violation("CMD", f"is {command!r}, not ['serve']")
    if image.run.get("Shell"):
        yield Violation("SHELL", "is set")


NEVER = {
    "BASH_ENV", "ENV", "LD_AUDIT", "LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONHOME", "PYTHONINSPECT",
    "PYTHONPATH", "PYTHONPLATLIBDIR", "PYTHONSTARTUP", "PYTHONUSERBASE", "SSLKEYLOGFILE",
}  # fmt: skip
_PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}


def environment_violations(image: Subject) -> Iterator[Violation]:
    """No variable changes what interpreter or loader run. PATH has only folders of root."""
    variables = dict(text.partition("=")[::2] for text in image.run.get("Env") or ())
    for name in variables:
        if name in NEVER or name.upper() in _PROXIES:
            yield Violation(f"ENV {name}", "is set")
    for folder in variables.get("PATH", "").split(":"):
        if not folder.startswith("/"):
            yield Violation("ENV PATH", f"contains {folder!r}, which is relative")
        entry = image.files.get(folder.strip("/"))
        if entry and entry.kind == "directory" and (entry.uid or entry.mode & 0o022):
            yield Violation("ENV PATH", f"contains {folder}, which has the mode {entry.mode:04o}")


TEST = ["CMD", "python", "-m", "modelpack.serving.health"]


def health_violations(image: Subject) -> Iterator[Violation]:
    """The image defines its health check, without a shell."""
    test = (image.run.get("Healthcheck") or {}).get("Test")
    if test != TEST:
        yield Violation("HEALTHCHECK", f"is {test!r}, not {TEST!r}")


def stop_signal_violations(image: Subject) -> Iterator[Violation]:
    """The stop signal is SIGTERM, after which the service answers pending requests and exits."""
    signal = image.run.get("StopSignal")
    if signal != "SIGTERM":
        yield Violation("STOPSIGNAL", f"is {signal!r}")


def ports_violations(image: Subject) -> Iterator[Violation]:
    """Port 8080 is exposed, 8081 for gRPC, and no other, as they need no privilege."""
    ports = sorted(image.run.get("ExposedPorts") or ())
    names = {variable.partition("=")[0] for variable in image.run.get("Env") or ()}
    expected = ["8080/tcp", *(["8081/tcp"] if "MODELPACK_GRPC_PORT" in names else [])]
    if ports != expected:
        got = ", ".join(ports) or "missing"
        yield Violation("EXPOSE", f"is {got}, not {', '.join(expected)}")


def volumes_violations(image: Subject) -> Iterator[Violation]:
    """The image declares no volume, which would outlive the container."""
    for path in image.run.get("Volumes") or ():
        yield Violation("VOLUME", f"names {path}")


PATTERNS = {
    r"ADD .*|/bin/sh -c #\(nop\) ADD .*": "ADD fetches and unpacks; COPY does neither",
    r".*\b(curl|wget)\b.*": "downloads files without verifying them",
    r".*\b(dist-upgrade|apt(-get)?\s+(-\S+\s+)*upgrade)\b.*": "upgrades to versions that change",
    r"(?!.*\binstall\b).*\bapt(-get)?\s+(\S+\s+)*update\b.*": "updates only the package lists",
    r".*\bpip[0-9.]*\s+install\b(?!.*--require-hashes).*": "installs without hashes",
    r".*\bsudo\b.*": "requests root privileges",
}
_PATTERNS = [(re.compile(pattern, re.DOTALL), what) for pattern, what in PATTERNS.items()]


def instructions_violations(image: Subject) -> Iterator[Violation]:
    """No instruction downloads unverified files or needs root.

    Violations contain positions instead of instructions, which may contain secrets.
    """
    for number, instruction in enumerate(image.history, 1):
        for pattern, what in _PATTERNS:
            if pattern.fullmatch(instruction):
                yield Violation(f"instruction {number} above the base", what)


REQUIRED = (
    "org.opencontainers.image.title",
    "org.opencontainers.image.description",
    "org.opencontainers.image.base.name",
    "dev.modelpack.version",
    "dev.modelpack.framework",
    "dev.modelpack.estimator",
    "dev.modelpack.python",
    "dev.modelpack.model.sha256",
)
DIGEST_LABELS = {
    "dev.modelpack.sbom.sha256": "app/sbom.cdx.json",
    "dev.modelpack.provenance.sha256": "app/provenance.json",
}
MAX_LABEL_LENGTH = 4096
"""In characters."""


def labels_violations(image: Subject) -> Iterator[Violation]:
    """The labels of model, versions, base and documents exist, fit one line, and are correct."""
    for name in REQUIRED:
        if name not in image.labels:
            yield Violation(name, "is missing")
    for name, value in image.labels.items():
        if not (name.isascii() and name.isprintable() and str(value).isprintable()):
            yield Violation(name, "contains invisible characters")
        if len(value) > MAX_LABEL_LENGTH:
            yield Violation(name, f"has {len(value)} characters")
    for name, path in DIGEST_LABELS.items():
        entry = image.files.get(path)
        if image.labels.get(name) != (entry and entry.sha256):
            yield Violation(name, f"is not the digest of {path}")
