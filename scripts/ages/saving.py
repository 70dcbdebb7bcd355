"""Create the model files of every release, and test which release can load which."""

from __future__ import annotations

import json
from pathlib import Path

from allowlist.environments import RELEASES, Release, inside, make_environment

INSIDE = Path(__file__).parent / "inside"
NINE = ("0.20", "0.22", "0.24", "1.0", "1.2", "1.3", "1.5", "1.7", RELEASES[-1].name)
"""Releases of every age; the last is the current one."""


def saved(release: Release) -> Path:
    """The folder, named as the release, of the models that it trained; made once.

    Raises:
        subprocess.CalledProcessError: there is no such interpreter or no wheel, or it failed.
    """
    folder = release.folder / "ages" / release.name
    done = folder / "done.stamp"
    if not done.exists():
        make_environment(release)
        folder.mkdir(parents=True, exist_ok=True)
        inside(release, str(INSIDE / "train.py"), str(folder))
        done.touch()
    return folder


def outcomes(loading: Release) -> dict[str, list[str]]:
    """ "RELEASE/FILE" -> the outcome of loading and querying it in the environment of `loading`."""
    folders = [str(saved(release)) for release in RELEASES]
    output = loading.folder / "ages" / "outcomes.json"
    inside(loading, str(INSIDE / "load.py"), str(output), *folders)
    found: dict[str, list[str]] = json.loads(output.read_text())
    return found
