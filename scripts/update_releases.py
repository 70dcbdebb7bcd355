"""Regenerates modelpack/environment/releases.json from the metadata of a package index.

    python scripts/update_releases.py INDEX_URL          # rewrites the table
    python scripts/update_releases.py INDEX_URL --check  # shows the difference, exits 1 if any

INDEX_URL is the "simple" address of an index that serves JSON (PEP 691) with upload times
(PEP 700). Yanked files and pre-releases are left out.
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

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

TABLE = Path(__file__).parents[1] / "modelpack" / "environment" / "releases.json"
OLDEST = Version("0.19")

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

# What a saved scikit-learn model leans on; bounds for these are derived where an index gives no
# upload times.
LIBRARIES = ("joblib", "numpy", "pandas", "python-dateutil", "scipy", "threadpoolctl")

File = dict[str, Any]


def files_of(index: str, name: str) -> list[File]:
    request = urllib.request.Request(
        f"{index.rstrip('/')}/{name}/",
        headers={"Accept": "application/vnd.pypi.simple.v1+json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return [file for file in json.load(response)["files"] if not file.get("yanked")]


def version_of(filename: str) -> Version | None:
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
        if version := version_of(file["filename"]):
            versions[version].append(file)
    yield from sorted(versions.items())


def released(files: list[File]) -> str:
    return min(str(file["upload-time"])[:10] for file in files)


def pythons(files: list[File]) -> list[str]:
    """The Python versions that have a wheel for glibc Linux on x86_64."""
    names = (file["filename"] for file in files if file["filename"].endswith(".whl"))
    tags = {tag for name in names for tag in parse_wheel_filename(name)[3]}
    found = {
        f"3.{tag.interpreter[3:]}"
        for tag in tags
        if "manylinux" in tag.platform and tag.platform.endswith("x86_64")
        if tag.interpreter.startswith("cp3") and not tag.abi.endswith("t")
    }
    return [minor for minor in PYTHON if minor in found]


def releases(files: list[File]) -> dict[str, Any]:
    return {
        str(version): {"released": released(of_version), "python": pythons(of_version)}
        for version, of_version in by_version(files)
        if version >= OLDEST and pythons(of_version)
    }


def features(files: list[File]) -> dict[str, str]:
    """The day of the first release of each feature series ("1.25")."""
    days: dict[str, str] = {}
    for version, of_version in by_version(files):
        series = f"{version.major}.{version.minor}"
        days[series] = min(days.get(series, "9999"), released(of_version))
    return {series: day for series, day in days.items() if day >= PYTHON["3.6"]}


def table(index: str) -> str:
    document = {
        "python": PYTHON,
        "scikit-learn": releases(files_of(index, "scikit-learn")),
        "features": {name: features(files_of(index, name)) for name in LIBRARIES},
    }
    return json.dumps(document, indent=1) + "\n"


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
