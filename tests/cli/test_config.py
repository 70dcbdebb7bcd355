"""Options in files: `modelpack.toml` next to the model, and requirement files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from modelpack.cli import config
from modelpack.cli.commands import main
from modelpack.errors import UsageError

OPTIONS = [param for param in main.commands["package"].params if isinstance(param, click.Option)]


def read(folder: Path, text: str) -> dict[str, Any]:
    (folder / "modelpack.toml").write_text(text)
    return config.read(folder / "model.joblib", OPTIONS)


def test_values_of_each_type_are_read(tmp_path: Path) -> None:
    text = 'tag = "svc:1"\nno-smoke = true\nrequirement = ["click>=8", "six"]\n'
    expected = {"tag": "svc:1", "no_smoke": True, "requirements": ["click>=8", "six"]}
    assert read(tmp_path, text) == expected


def test_single_string_equals_a_list_of_one(tmp_path: Path) -> None:
    assert read(tmp_path, 'requirement = "click>=8"') == {"requirements": ["click>=8"]}


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    found = read(tmp_path, 'output = "out"\nrequirements-file = ["a.txt", "/b.txt"]')
    assert found == {
        "output": str(tmp_path / "out"),
        "requirements_file": [str(tmp_path / "a.txt"), "/b.txt"],
    }


@pytest.mark.parametrize(
    "text",
    [
        "python = 3.10",
        'python = ["3.11"]',
        "tag = true",
        "quiet = 1",
        'json = "yes"',
        "requirement = 3",
        "requirement = [3]",
        "report = 5",
    ],
)
def test_a_value_of_a_wrong_type_is_named(text: str, tmp_path: Path) -> None:
    name = text.partition(" ")[0]
    with pytest.raises(UsageError, match=rf"modelpack\.toml sets {name} to "):
        read(tmp_path, text)


@pytest.mark.parametrize("name", ["trust", "cache-from", "cache-to"])
def test_file_that_came_with_the_model_cannot_set_what_is_trusted(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=f"contains {name}, which is not a valid option"):
        read(tmp_path, f'{name} = ["registry.example/cache"]')


def test_model_path_through_a_file_is_reported_by_the_inspection(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert config.read(tmp_path / "file" / "model.joblib", OPTIONS) == {}


def test_requirements_are_read_as_editors_write_them(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_bytes(b"\xef\xbb\xbfclick>=8  # why\r\n\r\n# more\r\nsix\r\n")
    assert config.requirements(path) == ["click>=8", "six"]
