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
        yield Violation("USER", f"is {user!r}, no number of a user and a group but root's")


ENTRYPOINT = ["python", "-m", "modelpack.serving"]


def process_violations(image: Subject) -> Iterator[Violation]:
    """The service is process 1 by itself, without a shell: what is called is told word for word."""
    entrypoint, command = image.run.get("Entrypoint"), image.run.get("Cmd")
    if entrypoint != ENTRYPOINT:
        yield Violation("ENTRYPOINT", f"is {entrypoint!r}, and not {ENTRYPOINT!r}")
    if command != ["serve"]:
        yield Violation("CMD", f"is {command!r}, and not ['serve']")
    if image.run.get("Shell"):
        yield Violation("SHELL", "is set")


NEVER = {
    "BASH_ENV", "ENV", "LD_AUDIT", "LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONHOME", "PYTHONINSPECT",
    "PYTHONPATH", "PYTHONPLATLIBDIR", "PYTHONSTARTUP", "PYTHONUSERBASE", "SSLKEYLOGFILE",
}  # fmt: skip
_PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}


def environment_violations(image: Subject) -> Iterator[Violation]:
    """No variable changes what the interpreter or the loader runs; PATH names folders of root."""
    variables = dict(text.partition("=")[::2] for text in image.run.get("Env") or ())
    for name in variables:
        if name in NEVER or name.upper() in _PROXIES:
            yield Violation(f"ENV {name}", "is set")
    for folder in variables.get("PATH", "").split(":"):
        if not folder.startswith("/"):
            yield Violation("ENV PATH", f"holds {folder!r}, which is relative")
        entry = image.files.get(folder.strip("/"))
        if entry and entry.kind == "directory" and (entry.uid or entry.mode & 0o022):
            yield Violation("ENV PATH", f"holds {folder}, which has the mode {entry.mode:04o}")


TEST = ["CMD", "python", "-m", "modelpack.serving.health"]


def health_violations(image: Subject) -> Iterator[Violation]:
    """The image tells how its health is asked for, without a shell."""
    test = (image.run.get("Healthcheck") or {}).get("Test")
    if test != TEST:
        yield Violation("HEALTHCHECK", f"is {test!r}, and not {TEST!r}")


def stop_signal_violations(image: Subject) -> Iterator[Violation]:
    """SIGTERM ends the service, which answers what it has been asked and then exits."""
    signal = image.run.get("StopSignal")
    if signal != "SIGTERM":
        yield Violation("STOPSIGNAL", f"is {signal!r}")


def ports_violations(image: Subject) -> Iterator[Violation]:
    """One port is exposed, which needs no privilege to listen on: 8080."""
    ports = sorted(image.run.get("ExposedPorts") or ())
    if ports != ["8080/tcp"]:
        yield Violation("EXPOSE", f"names {', '.join(ports) or 'nothing'}, and not 8080/tcp alone")


def volumes_violations(image: Subject) -> Iterator[Violation]:
    """The image asks for no volume: a place to write to that outlives the container."""
    for path in image.run.get("Volumes") or ():
        yield Violation("VOLUME", f"names {path}")


PATTERNS = {
    r"ADD .*|/bin/sh -c #\(nop\) ADD .*": "ADD fetches and unpacks; COPY does neither",
    r".*\b(curl|wget)\b.*": "fetches what nobody has checked",
    r".*\b(dist-upgrade|apt(-get)?\s+(-\S+\s+)*upgrade)\b.*": "upgrades to whatever there is today",
    r"(?!.*\binstall\b).*\bapt(-get)?\s+(\S+\s+)*update\b.*": "updates the lists of packages alone",
    r".*\bpip[0-9.]*\s+install\b(?!.*--require-hashes).*": "installs without hashes",
    r".*\bsudo\b.*": "asks for the rights of root",
}
_PATTERNS = [(re.compile(pattern, re.DOTALL), what) for pattern, what in PATTERNS.items()]


def instructions_violations(image: Subject) -> Iterator[Violation]:
    """Told by their places: they may hold secrets."""
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
OF_FILES = {
    "dev.modelpack.sbom.sha256": "app/sbom.cdx.json",
    "dev.modelpack.provenance.sha256": "app/provenance.json",
}
LONGEST = 4096
"""Characters of a value."""


def labels_violations(image: Subject) -> Iterator[Violation]:
    """The labels of model, versions, base and documents exist, fit one line, and are correct."""
    for name in REQUIRED:
        if name not in image.labels:
            yield Violation(name, "is missing")
    for name, value in image.labels.items():
        if not (name.isascii() and name.isprintable() and str(value).isprintable()):
            yield Violation(name, "holds characters that cannot be seen")
        if len(value) > LONGEST:
            yield Violation(name, f"has {len(value)} characters")
    for name, path in OF_FILES.items():
        entry = image.files.get(path)
        if image.labels.get(name) != (entry and entry.sha256):
            yield Violation(name, f"is not the digest of {path}")
