"""No variable makes the interpreter or the loader run other code, and PATH leads only to folders of
root.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelpack.hardening.subject import Subject
from modelpack.types import Violation

NEVER = {
    "BASH_ENV", "ENV", "LD_AUDIT", "LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONHOME", "PYTHONINSPECT",
    "PYTHONPATH", "PYTHONPLATLIBDIR", "PYTHONSTARTUP", "PYTHONUSERBASE", "SSLKEYLOGFILE",
}  # fmt: skip
_PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}


def violations(image: Subject) -> Iterator[Violation]:
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
