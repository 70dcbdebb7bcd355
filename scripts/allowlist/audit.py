"""The Python code that unpickling runs in what is allowed: each piece of it has been read.

reviewed_hooks.json: "module:Class.method" or "module:function" -> why it may run, and the digests
of the sources that were read. What is not there, or not with that source, is a problem.
"""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .environments import Release, inside
from .evidence import Evidence

REVIEWED = Path(__file__).parent / "reviewed_hooks.json"
_RUN = {"new", "call"}


def problems(by_release: Mapping[Release, Evidence], table: Mapping[str, Any]) -> Iterator[str]:
    """Yield the code that runs and was not reviewed, with its source."""
    reviewed = json.loads(REVIEWED.read_text())
    reported = set()
    for release, evidence in by_release.items():
        roles = {key: table[key]["roles"] for key in sorted(evidence.roles)}
        running = {key: roles for key, roles in roles.items() if _RUN & set(roles)}
        for name, source in hooks(release, running).items():
            code = digest(source)
            if (
                code not in reviewed.get(name, {}).get("sources", ())
                and (name, code) not in reported
            ):
                reported.add((name, code))
                yield f"{release.name}: {name} {code} was never reviewed:\n{source}"


def hooks(release: Release, running: Mapping[str, list[str]]) -> dict[str, str]:
    """Return the hooks of names that are constructed or called, and their sources."""
    keys, answer = release.folder / "keys.json", release.folder / "hooks.json"
    keys.write_text(json.dumps(running))
    inside(release, "hooks.py", str(keys), str(answer))
    sources: dict[str, str] = json.loads(answer.read_text())
    return sources


def digest(source: str) -> str:
    return hashlib.sha256(textwrap.dedent(source).strip().encode()).hexdigest()[:12]
