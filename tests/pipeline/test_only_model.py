"""The only model of an archive is unpacked; other archives are left to the inspector."""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from modelpack.errors import ModelRefusedError
from modelpack.pipeline.only_model import find_only_model, unpacked_model

ROOT = Path(__file__).parents[2]
MODEL = (ROOT / "sample_models" / "iris" / "model.joblib").read_bytes()
TEXT = (ROOT / "sample_models" / "lightgbm-text" / "model.txt").read_bytes()
SKOPS = (ROOT / "tests" / "data" / "mlflow" / "3" / "skops" / "model.skops").read_bytes()
TORCH = (ROOT / "tests" / "data" / "formats" / "torch-legacy.pt").read_bytes()


def archive(path: Path, members, mode="w:gz") -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in members:
                file.writestr(name, content)
        return path
    with tarfile.open(path, mode) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


READ = {
    "a pickle": [("model.joblib", MODEL)],
    "without a suffix": [("./xgboost-model", MODEL)],
    "text": [("lgb/model.txt", TEXT)],
    "skops": [("m.skops", SKOPS)],
    "compressed": [("m.pkl.gz", gzip.compress(MODEL))],
    "with documents": [
        ("README.md", b"# text\n"), ("metrics.json", b'{"a": 1}'), ("rows.csv", b"a,b\n1,2\n"),
        ("m.pkl", MODEL), ("._m.pkl", MODEL), ("m.pkl.record.json", b"{}"),
    ],
}  # fmt: skip
LEFT = {
    "no model": [("a.txt", b"a")],
    "several": [("a.pkl", MODEL), ("b.pkl", MODEL)],
    "code": [("model.joblib", MODEL), ("code/inference.py", b"import os\n")],
    "MLflow": [("model.pkl", MODEL), ("MLmodel", b"flavors:\n  sklearn: {}\n")],
    "PyTorch": [("model.joblib", MODEL), ("model.pth", TORCH)],
}
HOSTILE = {
    "parent": ([("m.pkl", MODEL), ("../../m.pkl", MODEL)], "leaves the folder"),
    "bomb": ([("m.pkl", MODEL), ("zeros", bytes(65 * 2**20))], "more than 67,108,864 bytes"),
    "many": ([*((str(number), b"") for number in range(1_001)), ("m.pkl", MODEL)],
             "more than 1,000 members"),
}  # fmt: skip


@pytest.mark.parametrize("name", ["m.tar.gz", "m.tgz", "m.zip", "m.tar"])
@pytest.mark.parametrize("members", READ.values(), ids=READ)
def test_the_only_model_is_unpacked(tmp_path, name, members):
    mode = "w" if name == "m.tar" else "w:gz"
    path = archive(tmp_path / name, members, mode)
    expected = next(content for _, content in members if len(content) > 100)
    with unpacked_model(path) as model:
        assert model.parent.name == "m"
        assert model.read_bytes() == expected
        record = model.with_name(f"{model.name}.record.json")
        assert record.is_file() == (len(members) > 2)
    assert not model.exists()


@pytest.mark.parametrize("name", ["m.tar.gz", "m.zip"])
@pytest.mark.parametrize("members", LEFT.values(), ids=LEFT)
def test_other_archives_are_left_to_the_inspector(tmp_path, name, members):
    path = archive(tmp_path / name, members)
    assert find_only_model(path) is None
    with unpacked_model(path) as model:
        assert model == path


@pytest.mark.parametrize("name", ["m.tar.gz", "m.zip"])
@pytest.mark.parametrize(("members", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_archives_are_refused(tmp_path, name, members, reason):
    path = archive(tmp_path / name, members)
    with pytest.raises(ModelRefusedError, match=reason), unpacked_model(path):
        pass


KINDS = {
    "symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE, "device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE, "fifo": tarfile.FIFOTYPE,
}  # fmt: skip


@pytest.mark.parametrize("target", ["/etc/passwd", "../../etc/passwd", "n.pkl"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_first", [True, False])
def test_links_and_devices_in_tars_are_refused(tmp_path, kind, target, is_first):
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        other, model = tarfile.TarInfo("m.pkl"), tarfile.TarInfo("n.pkl")
        other.type, other.linkname = KINDS[kind], target
        model.size = len(MODEL)
        members = [(other, None), (model, io.BytesIO(MODEL))]
        for member, content in members if is_first else reversed(members):
            tar.addfile(member, content)
    with pytest.raises(ModelRefusedError) as error, unpacked_model(path):
        pass
    reason = f"m.pkl is a {kind.rpartition(' ')[2]}"
    is_outside = kind == "hardlink" and ".." in target
    assert ("leaves the folder" if is_outside else reason) in error.value.message
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "mode"),
    [("m.pkl", stat.S_IFLNK), ("m.pkl", stat.S_IFCHR), ("/m.pkl", 0), ("a/../../m.pkl", 0),
     ("a\\..\\m.pkl", 0), ("\\m.pkl", 0)],
)  # fmt: skip
def test_links_and_paths_in_zips_are_refused(tmp_path, name, mode):
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w") as file:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        file.writestr(info, b"/etc/passwd")
        file.writestr("n.pkl", MODEL)
    with pytest.raises(ModelRefusedError, match=r"link or a device|leaves the folder"):
        find_only_model(path)


def test_cut_and_damaged_archives_are_left_to_the_inspector(tmp_path):
    for name in ("m.tar.gz", "m.zip"):
        whole = archive(tmp_path / name, READ["with documents"]).read_bytes()
        for cut in range(0, len(whole), len(whole) // 9):
            (tmp_path / name).write_bytes(whole[:cut])
            assert find_only_model(tmp_path / name) is None
            damaged = bytearray(whole)
            damaged[cut : cut + 40] = os.urandom(40)
            (tmp_path / name).write_bytes(damaged)
            with suppress(ModelRefusedError):  # of a size, or a type, that is now another one
                find_only_model(tmp_path / name)


def test_a_skops_file_and_a_compressed_pickle_are_no_archives(tmp_path):
    for name, content in (("m.zip", SKOPS), ("m.gz", gzip.compress(MODEL))):
        (tmp_path / name).write_bytes(content)
        assert find_only_model(tmp_path / name) is None


def test_commands_read_the_model_of_an_archive_and_leave_nothing(tmp_path):
    path = archive(tmp_path / "model.tar.gz", READ["a pickle"])
    command = [sys.executable, "-m", "modelpack", "inspect", str(path), "--json"]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["estimator"] == "sklearn.pipeline.Pipeline"
    assert list(tmp_path.iterdir()) == [path]


def test_commands_refuse_a_hostile_archive(tmp_path):
    path = archive(tmp_path / "model.tar.gz", HOSTILE["parent"][0])
    command = [sys.executable, "-m", "modelpack", "inspect", str(path)]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "model.tar.gz is refused and was not unpacked: a member leaves" in done.stderr
    assert "Pack the file of the model again" in done.stderr
    assert list(tmp_path.iterdir()) == [path]


def test_commands_name_an_archive_with_code(tmp_path):
    path = archive(tmp_path / "model.tar.gz", LEFT["code"])
    command = [sys.executable, "-m", "modelpack", "inspect", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "the file is a tar archive" in done.stderr
