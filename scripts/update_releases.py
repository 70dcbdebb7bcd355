"""Regenerates modelpack/environment/releases.json from the metadata of a package index.

    python scripts/update_releases.py INDEX_URL          # rewrites the table
    python scripts/update_releases.py INDEX_URL --check  # shows the difference, exits 1 if any

INDEX_URL is the "simple" address of an index that serves JSON (PEP 691) with upload times
(PEP 700). Yanked files, pre-releases and releases without a wheel for Linux are left out.
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

TABLE = Path(__file__).parents[1] / "modelpack" / "environment" / "releases.json"
# First final release of each CPython minor version: the PEPs 494, 537, 569, 596, 619, 664, 693,
# 719 and 745.
PYTHON = {
    "3.6": "2016-12-23",
    "3.7": "2018-06-27",
    "3.8": "2019-10-14",
    "3.9": "2020-10-05",
    "3.10": "2021-10-04",
    "3.11": "2022-10-24",
    "3.12": "2023-10-02",
    "3.13": "2024-10-07",
    "3.14": "2025-10-07",
}

# Libraries of models and their dependencies. For an index without upload times, bounds for these
# are derived from the table.
LIBRARIES = (
    "catboost",
    "category-encoders",
    "cloudpickle",
    "hmmlearn",
    "imbalanced-learn",
    "joblib",
    "keras",
    "lightgbm",
    "lz4",
    "numpy",
    "onnxruntime",
    "pandas",
    "patsy",
    "pyarrow",
    "python-dateutil",
    "pytz",
    "scikit-learn",
    "scipy",
    "six",
    "skops",
    "statsmodels",
    "threadpoolctl",
    "torch",
    "tzdata",
    "xgboost",
    "xgboost-cpu",
)

File = dict[str, Any]


def list_files(index: str, name: str) -> list[File]:
    request = urllib.request.Request(
        f"{index.rstrip('/')}/{name}/",
        headers={"Accept": "application/vnd.pypi.simple.v1+json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return [file for file in json.load(response)["files"] if not file.get("yanked")]


def version_from_filename(filename: str) -> Version | None:
    """The version in a file's name, None for eggs, installers and the malformed."""
    parse = parse_wheel_filename if filename.endswith(".whl") else parse_sdist_filename
    try:
        version = parse(filename)[1]
    except (InvalidSdistFilename, InvalidWheelFilename, InvalidVersion):
        return None
    return None if version.is_prerelease else version


def by_version(files: list[File]) -> Iterator[tuple[Version, list[File]]]:
    versions: dict[Version, list[File]] = defaultdict(list)
    for file in files:
        if version := version_from_filename(file["filename"]):
            versions[version].append(file)
    yield from sorted(versions.items())


def released(files: list[File]) -> str:
    return min(str(file["upload-time"])[:10] for file in files)


def pythons(files: list[File]) -> list[str]:
    """The Python versions that have a wheel for glibc Linux on x86_64."""
    return [minor for minor in PYTHON if any(fits(file, minor) for file in files)]


def fits(file: File, minor: str) -> bool:
    if not file["filename"].endswith(".whl") or not allows(file, minor):
        return False
    tags = parse_wheel_filename(file["filename"])[3]
    return any(is_of_linux(tag) and is_of_python(tag, minor) for tag in tags)


def allows(file: File, minor: str) -> bool:
    """Return whether Requires-Python allows the newest patch release: some need ">=3.6.1"."""
    try:
        return f"{minor}.99" in SpecifierSet(file.get("requires-python") or "")
    except InvalidSpecifier:
        return True


def is_of_linux(tag: Tag) -> bool:
    linux = "manylinux" in tag.platform and tag.platform.endswith("x86_64")
    return linux or tag.platform == "any"


def is_of_python(tag: Tag, minor: str) -> bool:
    if tag.interpreter == "py3":
        return True
    if not tag.interpreter.startswith("cp3") or tag.abi.endswith("t"):
        return False
    own = f"3.{tag.interpreter[3:] or 0}"
    return Version(own) <= Version(minor) if tag.abi == "abi3" else own == minor


def releases(files: list[File]) -> dict[str, Any]:
    """Version -> its day, and the Python versions with a wheel."""
    return {
        str(version): [released(version_files), " ".join(pythons(version_files))]
        for version, version_files in by_version(files)
        if released(version_files) >= PYTHON["3.6"] and pythons(version_files)
    }


def table(index: str) -> str:
    """A line a release, so that a difference can be read."""
    libraries = {name: releases(list_files(index, name)) for name in LIBRARIES}
    blocks = {name: entries(found, 3) for name, found in libraries.items()}
    libraries_text = ",\n".join(f'  "{name}": {block}' for name, block in blocks.items())
    python = entries(PYTHON, 2)
    return f'{{\n "python": {python},\n "releases": {{\n{libraries_text}\n }}\n}}\n'


def entries(table: dict[str, Any], indent: int) -> str:
    space = " " * indent
    lines = (f"{space}{json.dumps(key)}: {json.dumps(value)}" for key, value in table.items())
    return "{\n" + ",\n".join(lines) + f"\n{space[1:]}}}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("index_url")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    new, old = table(options.index_url), TABLE.read_text() if TABLE.exists() else ""
    if not options.check:
        TABLE.write_text(new)
        return 0
    lines = difflib.unified_diff(old.splitlines(True), new.splitlines(True), "shipped", "index")
    sys.stdout.writelines(lines)
    return int(old != new)


if __name__ == "__main__":
    sys.exit(main())
