"""Outcomes of loading every file of every release in every other environment, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from allowlist.environments import RELEASES, Release

from modelpack import inspect
from modelpack.types import ModelSpec

from .saving import outcomes, saved

NO_JOBLIB = "ModuleNotFoundError: No module named 'joblib'"
"""scikit-learn 0.20 works without it; modelpack locks it if the file needs it."""


LETTERS = {"same": "=", "close": "~", "differs": "d", "predict": "p", "load": "x", "crash": "c"}


def truth() -> dict[str, Any]:
    """`environments`: release -> its Python and pins. `names`: the globals of all files. `files`:
    "RELEASE/FILE" -> what inspection found, with the positions of its globals in `names`, and its
    `outcomes`: a letter an environment, in order; " " where there was no joblib to load it with.
    """
    found = [outcomes(release) for release in RELEASES]
    facts = {name: _facts(name) for name in sorted(found[0])}
    names = sorted({key for fact in facts.values() for key in fact["globals"]})
    for name, fact in facts.items():
        fact["globals"] = [names.index(key) for key in fact["globals"]]
        fact["outcomes"] = "".join(_letter(*results[name]) for results in found)
    environments = {release.name: _environment(release) for release in RELEASES}
    return {"environments": environments, "names": names, "files": facts}


def _letter(outcome: str, reason: str) -> str:
    return " " if reason == NO_JOBLIB else LETTERS[outcome]


def _environment(release: Release) -> dict[str, Any]:
    pins = dict(pin.split("==") for pin in release.requirements.split())
    return {"python": release.python, "requirements": pins}


def _facts(name: str) -> dict[str, Any]:
    release = next(release for release in RELEASES if release.name == Path(name).parent.name)
    spec: ModelSpec = inspect(saved(release) / Path(name).name)
    return {
        "protocol": spec.file.protocol,
        "python": spec.python,
        "versions": dict(spec.versions),
        "globals": list(spec.globals),
        "evidence": list(spec.evidence),
    }
