"""Create the environment of an entry, and train and save its model there, once."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from allowlist.environments import inside, make_environment

from .releases import Entry

INSIDE = Path(__file__).parent / "inside"


class NotTrainedError(Exception):
    """No wheel fits, or the libraries of the year do not work together."""


class Case(NamedTuple):
    """The folder of a saved model, what case.json contains, and the distribution that saved it."""

    folder: Path
    document: dict[str, Any]
    distribution: str

    @property
    def files(self) -> list[str]:
        return self.document["files"]


def way(file: str) -> str:
    """Return the way in which a file was saved, from its name ("joblib-zlib.joblib")."""
    return file.partition(".")[0].replace("-", " ")


def train(entry: Entry) -> Case:
    """Return the model of an entry. Its environment is removed: 60 of them are large.

    Raises:
        NotTrainedError: Its libraries cannot be installed, or they fail.
    """
    release = entry.release
    folder = release.folder / "saved"
    stamp = folder / "stamp"
    if not stamp.exists() or stamp.read_text() != _fingerprint(entry):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            make_environment(release)
        except subprocess.CalledProcessError as error:
            raise NotTrainedError(f"no release with wheels for Python {release.python}") from error
        folder.mkdir(parents=True)
        try:
            inside(release, str(INSIDE / "train.py"), str(folder), entry.library)
        except subprocess.SubprocessError as error:
            raise NotTrainedError("its libraries of this date train no model") from error
        finally:
            shutil.rmtree(release.folder / "venv")
            (release.folder / "installed.json").unlink()
        stamp.write_text(_fingerprint(entry))
    document = json.loads((folder / "case.json").read_text())
    return Case(folder, document, release.requirements.split()[0])


def _fingerprint(entry: Entry) -> str:
    digest = hashlib.sha256(repr(entry.release).encode())
    for path in sorted(INSIDE.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
