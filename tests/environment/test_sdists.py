"""Distributions of the user without wheels, in the environment of an old model."""

from __future__ import annotations

import io
import tarfile

import pytest

from modelpack.environment import resolve
from modelpack.errors import EnvironmentNotResolvedError
from modelpack.types import IndexSettings

BACKEND = """
from importlib.metadata import version
from pathlib import Path

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    if int(version("setuptools").split(".")[0]) not in range(*%r):
        raise SystemExit("error in source setup command: use_2to3 is invalid.")
    info = Path(folder, "source-1.0.dist-info")
    info.mkdir()
    text = "Metadata-Version: 2.1\\nName: source\\nVersion: 1.0\\n"
    text += "Requires-Dist: setuptools\\nRequires-Dist: other\\n"
    info.joinpath("METADATA").write_text(text)
    info.joinpath("WHEEL").write_text("Wheel-Version: 1.0\\nTag: py3-none-any\\n")
    return info.name
"""


def sdist(requires: list[str], releases: tuple[int, int] = (0, 99)) -> bytes:
    """Return an sdist that needs `requires`, and a release of setuptools in a range."""
    project = f"[build-system]\nrequires = {requires}\n"
    files = {
        "pyproject.toml": project + 'build-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": BACKEND % (releases,),
        "PKG-INFO": "Metadata-Version: 1.1\nName: source\nVersion: 1.0\n",
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f"source-1.0/{path}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


@pytest.fixture
def index(local_index):
    """An index with tools and libraries from before and after scikit-learn 1.3.0."""
    local_index.add("scikit-learn", "1.3.0", "numpy", day="2023-06-30")
    for name, version, day in (
        ("numpy", "1.25.2", "2023-07-31"),
        ("numpy", "1.26.0", "2023-09-16"),
        ("setuptools", "57.5.0", "2021-08-11"),
        ("setuptools", "75.0.0", "2024-09-15"),
        ("setuptools", "82.0.0", "2026-02-01"),
        ("wheel", "0.40.0", "2023-03-14"),
        ("other", "1.0", "2020-01-01"),
        ("other", "2.0", "2026-01-01"),
    ):
        local_index.add(name, version, day=day)
    return local_index


def locked(make_spec, index, content: bytes):
    index.files["source-1.0.tar.gz"] = content
    index.days["source-1.0.tar.gz"] = "2019-01-01T00:00:00Z"
    settings = IndexSettings(index.url)
    return resolve(make_spec("1.3.0"), "3.11", index=settings, requirements=["source==1.0"])


def test_date_of_the_model_does_not_limit_build_tools(make_spec, index):
    environment = locked(make_spec, index, sdist(["setuptools>=70"]))
    assert environment.sdists == ("source",)
    assert environment.requirements["numpy"] == "1.25.2"
    assert environment.requirements["other"] == "1.0"
    assert environment.requirements["setuptools"] == "75.0.0"  # the last with pkg_resources
    assert "setuptools==75.0.0" in environment.build_lock


def test_other_build_requirements_may_be_newer_than_the_model(make_spec, index):
    environment = locked(make_spec, index, sdist(["setuptools", "numpy>=1.26"]))
    assert environment.requirements["numpy"] == "1.25.2"
    assert "numpy==1.26.0" in environment.build_lock


def test_code_of_python_2_is_built_with_tools_that_convert_it(make_spec, index):
    environment = locked(make_spec, index, sdist(["setuptools"], releases=(0, 58)))
    assert environment.sdists == ("source",)
    assert "setuptools==57.5.0" in environment.build_lock


def test_sdist_that_cannot_be_built_is_an_error_with_a_way_out(make_spec, index):
    with pytest.raises(EnvironmentNotResolvedError, match="cannot be built from source") as caught:
        locked(make_spec, index, sdist(["setuptools"], releases=(0, 0)))
    assert "--requirement" in caught.value.hint
