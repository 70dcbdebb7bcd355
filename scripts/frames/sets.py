"""The sets of libraries, and the models that each of them trained."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from allowlist.environments import ROOT, Release, inside, make_environment

from modelpack.environment.requirements import SERVING

INSIDE = Path(__file__).parent / "inside"
PARITY = ROOT / "modelpack" / "parity"
OWN = INSIDE / "own"
"""The author's own modules, for `--code`."""


def _set(name: str, python: str, libraries: str) -> Release:
    """Return a set with what a service needs, for `--quick`."""
    return Release(f"frames-{name}", python, " ".join([libraries, *SERVING]))


SETS = (
    _set(
        "2021", "3.8",
        "scikit-learn==0.24.2 numpy==1.19.5 scipy==1.6.3 pandas==1.2.5 joblib==1.0.1 "
        "xgboost==1.4.2 lightgbm==3.2.1 catboost==0.26.1 imbalanced-learn==0.8.0 "
        "category-encoders==2.2.2 statsmodels==0.12.2 feature-engine==1.1.2 pyarrow==14.0.1 "
        "cloudpickle==1.6.0 setuptools==57.5.0",
    ),
    _set(
        "2023", "3.10",
        "scikit-learn==1.3.2 numpy==1.24.4 scipy==1.11.4 pandas==2.0.3 joblib==1.3.2 "
        "xgboost==1.7.6 lightgbm==4.1.0 catboost==1.2.2 imbalanced-learn==0.11.0 "
        "category-encoders==2.6.3 statsmodels==0.14.0 feature-engine==1.6.2 pyarrow==14.0.1 "
        "cloudpickle==2.2.1 skops==0.9.0",
    ),
    _set(
        "2024", "3.12",
        "scikit-learn==1.5.2 numpy==1.26.4 scipy==1.14.1 pandas==2.2.3 joblib==1.4.2 "
        "xgboost-cpu==2.1.1 lightgbm==4.5.0 catboost==1.2.7 imbalanced-learn==0.12.4 "
        "category-encoders==2.6.4 statsmodels==0.14.4 feature-engine==1.8.2 pyarrow==18.0.0 "
        "cloudpickle==3.1.3 skops==0.10.0",
    ),
    _set(
        "current", "3.13",
        "scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1 pandas==3.1.1 joblib==1.6.0 "
        "xgboost-cpu==3.2.0 lightgbm==4.7.0 catboost==1.2.10 imbalanced-learn==0.14.2 "
        "category-encoders==2.11.2 statsmodels==0.15.0 feature-engine==1.9.4 pyarrow==26.0.1 "
        "cloudpickle==3.1.3 skops==0.14.0",
    ),
)  # fmt: skip


class Case:
    """A trained model of a set: its folder, and what case.json contains."""

    def __init__(self, release: Release, folder: Path) -> None:
        self.release = release
        self.name = folder.name
        self.folder = folder
        self.document: dict[str, Any] = json.loads((folder / "case.json").read_text())

    @property
    def files(self) -> Sequence[str]:
        return self.document["files"]

    @property
    def record(self) -> Path | None:
        """The folder of the files with a record next to them, if `modelpack.record` wrote one."""
        folder = (self.document["record"] or {}).get("folder")
        return folder and self.folder / folder

    @property
    def options(self) -> list[str]:
        """Those that the author gives, with the folder of the own modules in place of its name."""
        return [str(OWN) if option == "own" else option for option in self.document["options"]]


def cases(release: Release, names: Sequence[str] = ()) -> list[Case]:
    """Return the trained models of a set; train those that are missing or whose code changed.

    Raises:
        subprocess.CalledProcessError: The environment could not be made, or a model not trained.
    """
    make_environment(release)
    folder = release.folder / "models"
    if not _is_current(folder, release):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        inside(release, str(INSIDE / "train.py"), str(folder), str(ROOT))
        (folder / "stamp").write_text(_fingerprint(release))
    found = [Case(release, path.parent) for path in sorted(folder.glob("*/case.json"))]
    return [case for case in found if not names or case.name in names]


def _is_current(folder: Path, release: Release) -> bool:
    stamp = folder / "stamp"
    return stamp.exists() and stamp.read_text() == _fingerprint(release)


def _fingerprint(release: Release) -> str:
    """Return a digest of all that decides about the models and their records."""
    digest = hashlib.sha256(release.requirements.encode())
    trained_by = [path for path in sorted(INSIDE.rglob("*.py")) if path.name != "serve.py"]
    for path in [*trained_by, *sorted(PARITY.glob("*.py"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()
