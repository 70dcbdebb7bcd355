"""The script that packages models of the Python index: its table, downloads and results."""

from __future__ import annotations

import hashlib
import importlib
import io
import re
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import indexes
import pytest

from modelpack.errors import EnvironmentNotResolvedError
from modelpack.types import IndexSettings

ROOT = Path(__file__).parents[2]
PERMISSIVE = {"Apache-2.0", "BSD-3-Clause", "MIT"}
MEMBERS = {"pack-1.0/data/model.pkl": b"model", "pack-1.0/data/scaler.pkl": b"scaler"}


@pytest.fixture
def gauntlet(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    names = ("archives", "models", "results")
    modules = {name: importlib.import_module(f"gauntlet.{name}") for name in names}
    modules["verdicts"] = importlib.import_module("compatibility.verdicts")
    return SimpleNamespace(**modules, lines=importlib.import_module("result_lines"))


def sdist() -> tuple[str, bytes]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in MEMBERS.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return "pack-1.0.tar.gz", buffer.getvalue()


def wheel() -> tuple[str, bytes]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in MEMBERS.items():
            archive.writestr(name, content)
    return "pack-1.0-py3-none-any.whl", buffer.getvalue()


# --- the table -----------------------------------------------------------------------------------


def test_table_has_enough_models_under_permissive_licences(gauntlet: SimpleNamespace) -> None:
    models = gauntlet.models.read_models()
    assert sum(model.is_supported for model in models) >= 25
    assert {model.line["licence"] for model in models} <= PERMISSIVE
    assert len({model.name for model in models}) == len(models)


def test_each_line_is_complete(gauntlet: SimpleNamespace) -> None:
    for model in gauntlet.models.read_models():
        line = model.line
        assert re.fullmatch("[0-9a-f]{64}", line["sha256"])
        assert line["version"] in line["archive"]
        assert line["files"]
        if model.is_supported:
            rows = gauntlet.models.expand(line["rows"])
            assert len(line["predictions"]) == len(rows)
            assert len(line.get("probabilities", rows)) == len(rows)
            assert line["source"] in {"README", "measured"}
        else:
            assert line["words"]


def test_rows_are_written_in_short(gauntlet: SimpleNamespace) -> None:
    expand = gauntlet.models.expand
    assert expand("ramps 3") == [[0.0, 0.0, 0.0], [0.0, 0.1, 0.2]]
    assert expand("steps 11") == [[0] * 11, [*[0] * 10, 1]]
    assert expand("repeat 2 GG AG") == [["GG", "GG"], ["AG", "AG"]]
    assert expand(["a text"]) == ["a text"]
    with pytest.raises(ValueError, match="unknown rows"):
        expand("zeros 3")


# --- archives ------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [sdist, wheel])
def test_members_are_copied(gauntlet: SimpleNamespace, tmp_path: Path, make) -> None:
    name, content = make()
    (tmp_path / name).write_bytes(content)
    gauntlet.archives.copy_members(tmp_path / name, list(MEMBERS), tmp_path / "out")
    copied = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert copied == {"model.pkl": b"model", "scaler.pkl": b"scaler"}
    with pytest.raises(ValueError, match=r"contains no other\.pkl"):
        gauntlet.archives.copy_members(tmp_path / name, ["other.pkl"], tmp_path / "out")


def test_large_members_are_not_copied(
    gauntlet: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, content = wheel()
    (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(gauntlet.archives, "MAX_MEMBER", 3)
    with pytest.raises(ValueError, match="larger"):
        gauntlet.archives.copy_members(tmp_path / name, list(MEMBERS), tmp_path / "out")


@pytest.fixture
def index() -> Iterator[indexes.Index]:
    with indexes.serve_index(indexes.Index()) as served:
        yield served


def test_archives_are_downloaded_once_and_verified(
    gauntlet: SimpleNamespace, tmp_path: Path, index: indexes.Index
) -> None:
    name, content = sdist()
    digest = index.add((name, content))
    settings = IndexSettings(index.url)
    for _ in range(2):
        path = gauntlet.archives.download("Pack", name, digest, tmp_path, settings)
        assert path.read_bytes() == content
    assert index.paths == ["/simple/pack/", f"/files/{name}"]
    index.swapped[name] = content + b"x"
    path.unlink()
    with pytest.raises(EnvironmentNotResolvedError, match="not the locked file"):
        gauntlet.archives.download("pack", name, digest, tmp_path, settings)
    with pytest.raises(ValueError, match="has no pack-2"):
        gauntlet.archives.download("pack", "pack-2.tar.gz", digest, tmp_path, settings)


def test_changed_archives_are_downloaded_again(
    gauntlet: SimpleNamespace, tmp_path: Path, index: indexes.Index
) -> None:
    name, content = sdist()
    index.add((name, content))
    (tmp_path / name).write_bytes(b"part")
    digest = hashlib.sha256(content).hexdigest()
    path = gauntlet.archives.download("pack", name, digest, tmp_path, IndexSettings(index.url))
    assert path.read_bytes() == content


# --- results -------------------------------------------------------------------------------------


def result(gauntlet: SimpleNamespace, name: str = "pack 1.0: model.pkl", **changes: object):
    base = gauntlet.results.Result(
        name=name, licence="MIT", hints="", source="measured", saved_by="scikit-learn 1.3.2",
        served_with="Python 3.11", outcome="[1]", verdict="as documented", passed=True,
        supported=True, seconds=20.0, megabytes=400.0,
    )  # fmt: skip
    return replace(base, **changes)


def test_summary_counts_models_that_can_be_served(gauntlet: SimpleNamespace) -> None:
    results = [
        result(gauntlet),
        result(gauntlet, hints="--python 3.7", seconds=30.0),
        result(gauntlet, passed=False, verdict="FAILED: exit 5", megabytes=0.0),
        result(gauntlet, supported=False, verdict="explained", megabytes=0.0),
    ]
    assert gauntlet.results.summary(results) == (
        "2 of 3 models (67%) predict as expected, 1 of them without an option. 1 of 1 other files"
        " are refused with the true reason. Medians: 25 s for `modelpack package`, 400 MB for the"
        " image."
    )


def test_table_shows_options_and_failures(gauntlet: SimpleNamespace) -> None:
    good = result(gauntlet, hints="--python 3.7", outcome="a|b")
    bad = result(gauntlet, passed=False, verdict="FAILED: exit 5", seconds=0.0, megabytes=0.0)
    rows = gauntlet.results.table([good, bad]).splitlines()[2:]
    assert rows == [
        "| pack 1.0: model.pkl<br>`--python 3.7` | MIT | scikit-learn 1.3.2 | Python 3.11 | a/b |"
        " equal (measured) | 20 | 400 |",
        "| pack 1.0: model.pkl | MIT | scikit-learn 1.3.2 | Python 3.11 | [1] | FAILED: exit 5 |"
        "  |  |",
    ]


def test_results_of_a_stopped_run_are_kept(gauntlet: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "cache" / "results.jsonl"
    assert gauntlet.results.read_results(path) == {}
    for name in ("one", "two"):
        gauntlet.lines.append(path, result(gauntlet, name))
    assert gauntlet.results.read_results(path) == {
        name: result(gauntlet, name) for name in ("one", "two")
    }


def test_time_and_size_are_those_of_the_package(gauntlet: SimpleNamespace) -> None:
    model = gauntlet.models.read_models()[0]
    verdict = gauntlet.verdicts.Verdict(
        model.row, "Python 3.11", "[1]", "as documented", True, seconds=12.5, size=400_000_000
    )
    result = gauntlet.results.Result.from_verdict(model, verdict)
    assert (result.seconds, result.megabytes, result.passed) == (12.5, 400.0, True)
