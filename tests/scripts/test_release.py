"""The release script, in a clone of the repository."""

from __future__ import annotations

import datetime
import re
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from modelpack._version import RELEASE_DATE, __version__

ROOT = Path(__file__).parents[2]
VERSION = "9.8.7"
FILES = (
    "setup.py",
    "setup.cfg",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    ".gitignore",
    "docs/modelpack.1",
)


def test_images_have_the_date_of_the_release() -> None:
    """A version that is not released yet has any date in the past."""
    changes = (ROOT / "CHANGELOG.md").read_text()
    heading = re.search(rf"^## {re.escape(__version__)}, (.+)$", changes, re.MULTILINE)
    assert heading
    assert datetime.date.fromisoformat(RELEASE_DATE) <= datetime.date.today()
    assert heading[1] in {"unreleased", RELEASE_DATE}
    time = datetime.datetime.fromisoformat(f"{RELEASE_DATE}T00:00:00+00:00").timestamp()
    template = (ROOT / "tests" / "golden" / "iris" / "Dockerfile").read_text()
    assert f"SOURCE_DATE_EPOCH={time:.0f}\n" in template


def git(clone: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@invalid", "-c", "core.hooksPath=/dev/null"]
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=clone, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with the files that a release needs, and a section for VERSION."""
    folder = tmp_path / "clone"
    for name in ("modelpack", "templates", "scripts/release.sh", "sample_models/iris", *FILES):
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    changes = folder / "CHANGELOG.md"
    text = re.sub(r"^# Changes\n", f"# Changes\n\n## {VERSION}, unreleased\n", changes.read_text())
    changes.write_text(text)
    version = folder / "modelpack" / "_version.py"
    version.write_text(re.sub(r"20\d\d-\d\d-\d\d", "2020-01-01", version.read_text()))
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "Add everything")
    (folder / ".venv").symlink_to(ROOT / ".venv")
    (folder / ".git" / "info" / "exclude").write_text("/.venv\n")
    return folder


def release(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", clone / "scripts" / "release.sh", *arguments]
    return subprocess.run(
        command, cwd=clone.parent, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.engine
@pytest.mark.slow
def test_release_builds_what_is_committed_and_nothing_else(clone: Path, base: object) -> None:
    """pip leaves `build/lib`. A module that was deleted since must not come back from it."""
    stale = clone / "build" / "lib" / "modelpack" / "deleted.py"
    stale.parent.mkdir(parents=True)
    stale.write_text("")
    before = git(clone, "status", "--porcelain", "--ignored")
    done = release(clone, VERSION)
    assert done.returncode == 0, done.stderr
    assert f'git tag --annotate "v{VERSION}"' in done.stdout
    after = git(clone, "status", "--porcelain", "--ignored").splitlines()
    changed = {" M CHANGELOG.md", " M modelpack/_version.py", "!! dist/"}
    assert set(after) == {*before.splitlines(), *changed}
    assert git(clone, "diff", "--numstat") == "1\t1\tCHANGELOG.md\n2\t2\tmodelpack/_version.py\n"
    changes = (clone / "CHANGELOG.md").read_text()
    released = re.search(rf"^## {VERSION}, (20\d\d-\d\d-\d\d)$", changes, re.MULTILINE)
    assert released
    version = (clone / "modelpack" / "_version.py").read_text()
    assert f'__version__ = "{VERSION}"\nRELEASE_DATE = "{released[1]}"\n' in version
    wheel, sdist = sorted((clone / "dist").iterdir(), key=lambda path: path.suffix == ".gz")
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = git(clone, "ls-files", "modelpack", "templates", ":!*/ruff.toml").split()
    expected = {re.sub("^templates/", "modelpack/templates/", name) for name in tracked}
    expected.add(f"modelpack-{VERSION}.data/data/share/man/man1/modelpack.1")
    assert {name for name in names if ".dist-info/" not in name} == expected
    with tarfile.open(sdist) as archive:
        assert not [name for name in archive.getnames() if "deleted" in name or "/build/" in name]


@pytest.mark.parametrize(
    ("change", "version", "reason"),
    [
        ("", "1.0", "is not a version"),
        ("", "$(touch x)", "is not a version"),
        ("", "9.8.8", "has no section '## 9.8.8, unreleased'"),
        ("tag", VERSION, f"the tag v{VERSION} already exists"),
        ("file", VERSION, "changes that are not committed"),
    ],
)
def test_release_is_refused(clone: Path, change: str, version: str, reason: str) -> None:
    if change == "tag":
        git(clone, "tag", f"v{VERSION}")
    elif change == "file":
        (clone / "new.txt").write_text("")
    done = release(clone, version)
    assert done.returncode == 1
    assert reason in done.stderr
    assert not (clone / "dist").exists()
