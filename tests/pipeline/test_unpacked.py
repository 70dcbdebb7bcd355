"""MLflow folders in zip archives, and hostile archives."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from modelpack.errors import ModelRefusedError
from modelpack.pipeline.unpacked import has_description, unpack

FOLDER = Path(__file__).parents[1] / "data" / "mlflow" / "3" / "frame"
FILES = {path.name: path.read_bytes() for path in FOLDER.iterdir()}


def archive(path: Path, members, compression=zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def below(folder):
    return [(f"{folder}{name}", content) for name, content in FILES.items()]


@pytest.mark.parametrize("folder", ["", "frame/", "artifacts/model/"])
def test_folder_at_any_depth_is_unpacked(folder, tmp_path):
    path = archive(tmp_path / "churn v2.zip", [*below(folder), ("other/x", b"")])
    assert has_description(path)
    (tmp_path / "out").mkdir()
    unpacked = unpack(path, tmp_path / "out")
    assert unpacked.name == "churn_v2"
    assert {p.name: p.read_bytes() for p in unpacked.iterdir() if p.is_file()} == FILES


def test_command_reads_the_archive_and_leaves_nothing(tmp_path):
    path = archive(tmp_path / "model.zip", below("m/"))
    command = [sys.executable, "-m", "modelpack", "inspect", str(path), "--json"]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["estimator"] == "sklearn.pipeline.Pipeline"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([("model.pkl", b"")], False),
        ([("notMLmodel", b"")], False),
        ([("MLmodel.txt", b"")], False),
        ([("a/MLmodel/b", b"")], False),
        ([("MLmodel", b"")], True),
    ],
)
def test_archive_without_description_is_left_to_the_inspector(content, expected, tmp_path):
    assert has_description(archive(tmp_path / "x.zip", content)) is expected


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\5\6", b"PK\5\6" + b"\xff" * 18, b"MLmodel"])
def test_damaged_archive_has_no_description(data, tmp_path):
    (tmp_path / "x.zip").write_bytes(data)
    assert not has_description(tmp_path / "x.zip")
    assert not has_description(tmp_path)
    assert not has_description(tmp_path / "missing.zip")


def linked(name="link"):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, b"/etc/passwd"


HOSTILE = {
    "parent": ([("../x", b"")], r"member \.\./x leaves the folder"),
    "inner": ([("a/../../x", b"")], "leaves the folder"),
    "absolute": ([("/tmp/x", b"")], "leaves the folder"),
    "drive": ([("C:x", b"")], "leaves the folder"),
    "backslash": ([("..\\x", b"")], "leaves the folder"),
    "escape": ([("../\x1b[2J", b"")], r"\\x1b\[2J leaves"),
    "link": ([linked()], "link is a symbolic link"),
    "several": ([("a/MLmodel", b""), ("b/MLmodel", b"")], "contains 2 models of MLflow"),
    "bomb": ([("x", bytes(2**26 + 2**20))], "more than modelpack unpacks"),
    "many": ([(f"{number}", b"") for number in range(1_001)], "more than 1,000 members"),
    "file as folder": ([("a", b""), ("a/b", b"")], "damaged"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archive_is_refused(name, tmp_path):
    members, expected = HOSTILE[name]
    path = tmp_path / "x.zip"
    archive(path, members if name == "several" else [("MLmodel", b"flavors: {}"), *members])
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelRefusedError, match=expected) as error:
        unpack(path, tmp_path / "out")
    assert "\x1b" not in error.value.message
    assert {p.name for p in tmp_path.iterdir()} == {"x.zip", "out"}


def test_members_of_other_methods_are_refused(tmp_path):
    path = archive(tmp_path / "x.zip", [("MLmodel", b"a" * 99)], zipfile.ZIP_LZMA)
    with pytest.raises(ModelRefusedError, match="compressed by other methods"):
        unpack(path, tmp_path)


def test_damaged_compression_is_refused(tmp_path):
    path = archive(tmp_path / "x.zip", [("MLmodel", b"a" * 99)], zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    data[30 + len("MLmodel")] = 0xFF  # a block of an unknown type
    path.write_bytes(data)
    with pytest.raises(ModelRefusedError, match="the archive is damaged"):
        unpack(path, tmp_path)


def test_damaged_member_is_refused(tmp_path):
    path = archive(tmp_path / "x.zip", [("MLmodel", b"a" * 99)], zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"aaa", b"aab", 1))
    with pytest.raises(ModelRefusedError, match="the archive is damaged"):
        unpack(path, tmp_path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_repeated_members_are_refused(tmp_path):
    path = archive(tmp_path / "x.zip", [("MLmodel", b""), ("MLmodel", b"")])
    with pytest.raises(ModelRefusedError, match="two of its members have the same name"):
        unpack(path, tmp_path)
