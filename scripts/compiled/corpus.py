"""A small part of the models of a release, for the tests: an archive with few rows."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

ROWS = 100
"""Rows of each group."""
ALONE = 2
ALL_SETTINGS = {
    *("steps", "stepped number", "whole"),
    *("CountVectorizer", "GaussianMixture", "BayesianGaussianMixture", "SplineTransformer"),
    "Normalizer",
}
"""Groups and classes of which all settings are kept."""
LARGEST = 20_000
"""Bytes of a file of a model."""
_TIME = (1980, 1, 1, 0, 0, 0)


def write_corpus(folder: Path, path: Path) -> None:
    """Write one model of each class and group to an archive, and those of ALL_SETTINGS.

    The formats take turns.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:

        def add(name: str, content: bytes) -> None:
            info = zipfile.ZipInfo(name, _TIME)
            info.compress_type = zipfile.ZIP_LZMA
            archive.writestr(info, content)

        for entry in _chosen(json.loads((folder / "index.json").read_text())):
            place, files = folder / entry["folder"], entry["files"]
            file = files[len(kept) % len(files)]
            content = (place / file).read_bytes()
            if len(content) > LARGEST:
                continue
            answers = pickle.loads((place / "answers.pkl").read_bytes())
            add(f"{entry['folder']}/{file}", content)
            add(f"{entry['folder']}/answers.pkl", pickle.dumps(_shortened(answers), 4))
            kept.append({**entry, "files": [file]})
        groups = pickle.loads((folder / "groups.pkl").read_bytes())
        add("groups.pkl", pickle.dumps({name: _few(each) for name, each in groups.items()}, 4))
        add("index.json", json.dumps(kept).encode())


def _chosen(index: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for entry in index:
        if "cosine" in entry["settings"]:  # its ties depend on the instructions of the processor
            continue
        key = (entry["class"], entry["group"])
        if entry["group"] in ALL_SETTINGS or entry["class"] in ALL_SETTINGS:
            key = (*key, entry["settings"])
        if "error" not in entry:
            found.setdefault(key, entry)
    return list(found.values())


def _few(group: Any) -> Any:
    layout, rows, single = group
    if isinstance(rows, dict):
        return layout, {name: _ends(values) for name, values in rows.items()}, single
    return layout, _ends(rows), single


def _ends(values: Any) -> Any:
    """Return the first rows, which are predicted alone too, and the last ones, of the training."""
    if values is None:
        return None
    parts = values[:ALONE], values[-ROWS:]
    return np.concatenate(parts) if isinstance(values, np.ndarray) else [*parts[0], *parts[1]]


def _shortened(answers: Any) -> Any:
    return {
        method: {
            **each,
            "together": _ends(each["together"]),
            "alone": each["alone"][:ALONE],
        }
        for method, each in answers.items()
    }
