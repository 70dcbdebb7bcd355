"""Files of the user's are never lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from modelpack.deployment import Folder
from modelpack.errors import UsageError

FILES = {"base/a.yaml": "a: 1\n", "overlay/b.yaml": "b: 1\n"}
EDITABLE = frozenset({"overlay/b.yaml"})


def write(path: Path, files: dict[str, str] = FILES, *, force: bool = False):
    return Folder(path).write(files, {"to": "compose"}, editable=EDITABLE, force=force)


def test_second_write_of_the_same_files_changes_nothing(tmp_path: Path) -> None:
    assert write(tmp_path).written == tuple(FILES)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.yaml")}
    assert write(tmp_path).written == ()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.yaml")} == before
    assert Folder(tmp_path).record["to"] == "compose"


def test_unedited_file_is_updated_and_one_that_is_not_needed_is_removed(tmp_path: Path) -> None:
    write(tmp_path)
    result = write(tmp_path, {"base/a.yaml": "a: 2\n"})
    assert (result.written, result.removed) == (("base/a.yaml",), ("overlay/b.yaml",))
    assert (tmp_path / "base/a.yaml").read_text() == "a: 2\n"
    assert not (tmp_path / "overlay/b.yaml").exists()


def test_edited_file_is_not_replaced_and_nothing_is_written(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "base/a.yaml").write_text("a: mine\n")
    for files in ({**FILES, "base/a.yaml": "a: 2\n", "new": ""}, {"overlay/b.yaml": "b: 2\n"}):
        with pytest.raises(UsageError, match=r"were edited: base/a\.yaml\.") as caught:
            write(tmp_path, files)
        assert "--force" in caught.value.hint
    assert (tmp_path / "base/a.yaml").read_text() == "a: mine\n"
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "overlay/b.yaml").read_text() == "b: 1\n"


def test_changes_of_compose_files_belong_in_the_override(tmp_path: Path) -> None:
    Folder(tmp_path).write({"compose.yaml": "a", "stack.yaml": "b"}, {"to": "compose"})
    (tmp_path / "stack.yaml").write_text("mine")
    with pytest.raises(UsageError) as caught:
        Folder(tmp_path).write({"compose.yaml": "a", "stack.yaml": "c"}, {})
    assert "override" not in caught.value.hint
    (tmp_path / "compose.yaml").write_text("mine")
    with pytest.raises(UsageError) as caught:
        Folder(tmp_path).write({"compose.yaml": "c", "stack.yaml": "c"}, {})
    assert f"Move your changes to {tmp_path}/compose.override.yaml" in caught.value.hint
    assert "--force" in caught.value.hint


def test_force_replaces_and_names_edited_files(tmp_path: Path) -> None:
    write(tmp_path)
    for name in FILES:
        (tmp_path / name).write_text("mine")
    assert write(tmp_path, force=True).replaced == ("base/a.yaml", "overlay/b.yaml")
    assert (tmp_path / "base/a.yaml").read_text() == "a: 1\n"


def test_edited_overlay_is_kept_each_time(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "overlay/b.yaml").write_text("b: mine\n")
    for number in (2, 3):
        new = {"base/a.yaml": f"a: {number}\n", "overlay/b.yaml": f"b: {number}\n"}
        assert write(tmp_path, new).kept == ("overlay/b.yaml",)
    assert (tmp_path / "overlay/b.yaml").read_text() == "b: mine\n"


def test_file_that_was_there_before_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base/a.yaml").write_text("someone's")
    with pytest.raises(UsageError, match="are not of modelpack"):
        write(tmp_path)
    (tmp_path / "other.txt").write_text("stays")
    write(tmp_path, force=True)
    assert (tmp_path / "other.txt").read_text() == "stays"


def test_removed_file_is_written_again(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "base/a.yaml").unlink()
    assert write(tmp_path).written == ("base/a.yaml",)


@pytest.mark.parametrize(
    "record",
    [
        "[]",
        "{",
        json.dumps({"files": {"../outside": "00"}}),
        json.dumps({"files": {"/etc/passwd": "00"}}),
        json.dumps({"files": {"a": 1}}),
    ],
)
def test_damaged_record_is_an_error(tmp_path: Path, record: str) -> None:
    (tmp_path / "deployment.json").write_text(record)
    with pytest.raises(UsageError, match="not a record"):
        Folder(tmp_path)


def test_stale_file_outside_of_the_folder_is_never_removed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    write(folder)
    outside = tmp_path / "outside.yaml"
    outside.write_text("a")
    record = json.loads((folder / "deployment.json").read_text())
    record["files"]["../outside.yaml"] = (
        "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    )
    (folder / "deployment.json").write_text(json.dumps(record))
    with pytest.raises(UsageError):
        write(folder)
    assert outside.exists()


def test_secret_is_written_once_in_a_closed_folder(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.write_secret("secrets/token", "one")
    assert not folder.write_secret("secrets/token", "two")
    assert (tmp_path / "secrets/token").read_text() == "one"
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "secrets/token").stat().st_mode & 0o777 == 0o444


def test_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="not a folder"):
        Folder(tmp_path / "file")


def test_containers_can_read_the_files_of_the_proxy_whatever_the_umask(tmp_path: Path) -> None:
    umask = os.umask(0o077)
    try:
        write(tmp_path, {"proxy/nginx.conf": "", "compose.yaml": ""})
    finally:
        os.umask(umask)
    modes = [(tmp_path / path).stat().st_mode & 0o777 for path in ("proxy", "proxy/nginx.conf")]
    assert modes == [0o755, 0o644]


def test_folder_of_removed_files_is_removed_if_it_is_empty(tmp_path: Path) -> None:
    write(tmp_path, {"canary/a.yaml": "", "base/a.yaml": ""})
    (tmp_path / "base/mine").write_text("")
    write(tmp_path, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "deployment.json"]
