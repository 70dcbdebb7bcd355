"""Files of images have the same bytes for the same input on every machine."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from debian_archives import deb

from modelpack.assembly import debian, elf, packages, slim, wheels
from modelpack.assembly.environment import Wheel
from modelpack.assembly.files import MTIME, Tree

ROOT = Path(__file__).parents[2]
INFO = "shop-1.0.dist-info"
MODULE = "import os, numpy\nNAMES = {'a', 'b', 'c', 'd'}\ndef core(_m): return os, _m in NAMES\n"
ELSEWHERE = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "LANG": "de_DE", "HOME": "/nowhere"}


def wheel(folder: Path, extra: dict[str, str] | None = None) -> Path:
    members = {
        "shop/__init__.py": MODULE,
        "shop/old.py": "print 'of another Python'\n",
        "shop/tests/test_shop.py": "assert True\n",
        "shop-1.0.data/purelib/more.py": "MORE = 1\n",
        "shop-1.0.data/data/share/shop/table": "1\n",
        "shop-1.0.data/scripts/shop": "#!python\n",
        f"{INFO}/METADATA": "Name: shop\nVersion: 1.0\n",
        **(extra or {}),
    }
    path = folder / "shop-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
        archive.writestr(f"{INFO}/RECORD", "".join(f"{name},sha256=x,1\n" for name in members))
    return path


def assemble(root: Path, wheels: Path, environ: dict[str, str], umask: int) -> dict[str, tuple]:
    """All that the module makes in a process of its own: mode, time and content of each file."""
    root.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "modelpack.assembly.environment", root, wheels]
    variables = {"MODELPACK_INTERPRETER": "/usr/local/bin/python3"}
    environ = {**os.environ, "PYTHONHASHSEED": "0", **variables, **environ}
    subprocess.run(command, check=True, env=environ, umask=umask)
    return {str(path.relative_to(root)): file_facts(path) for path in sorted(root.rglob("*"))}


def file_facts(path: Path) -> tuple:
    status = path.lstat()
    content = str(path.readlink()) if path.is_symlink() else path.is_file() and path.read_bytes()
    return status.st_mode, status.st_mtime, content


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> tuple[Path, dict[str, tuple]]:
    folder = tmp_path_factory.mktemp("assembly")
    (folder / "wheels").mkdir()
    wheel(folder / "wheels")
    return folder, assemble(folder / "root", folder / "wheels", {}, 0o022)


def test_files_do_not_depend_on_the_build_directory(environment) -> None:
    folder, files = environment
    elsewhere = folder / "numpy" / "core" / "_m" / "shop"
    assert assemble(elsewhere, folder / "wheels", ELSEWHERE, 0o077) == files
    assert {time for _, time, _ in files.values()} == {MTIME}
    modes = {stat.S_IMODE(mode) for mode, *_ in files.values() if not stat.S_ISLNK(mode)}
    assert modes == {0o755, 0o644}


def test_environment_contains_the_wheels_without_installer_metadata(
    environment,
) -> None:
    _, files = environment
    site = f"opt/venv/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    inside = {
        name.removeprefix(f"{site}/") for name, (mode, *_) in files.items() if stat.S_ISREG(mode)
    }
    assert {name for name in inside if not name.endswith(".pyc")} == {
        "opt/venv/pyvenv.cfg", "opt/venv/share/shop/table", "shop/__init__.py", "shop/old.py",
        "shop/tests/test_shop.py", "more.py", f"{INFO}/METADATA", f"{INFO}/RECORD",
    }  # fmt: skip
    assert {Path(name).name.split(".")[0] for name in inside if name.endswith(".pyc")} == {
        "__init__",
        "more",
    }
    record = list(csv.reader(files[f"{site}/{INFO}/RECORD"][2].decode().splitlines()))
    assert record == sorted(record)
    assert "../../../share/shop/table" in [row[0] for row in record]
    assert files["opt/venv/bin/python"][2] == "/usr/local/bin/python3"
    assert b"home = /usr/local/bin\n" in files["opt/venv/pyvenv.cfg"][2]


def test_byte_code_is_valid_for_its_source(environment) -> None:
    folder, _ = environment
    path = next((folder / "root").rglob("shop/__pycache__/__init__.*.pyc"))
    content = path.read_bytes()
    assert content[:4] == importlib.util.MAGIC_NUMBER
    assert content[4:8] == b"\x01\0\0\0", "hash-based, and not checked: PEP 552"
    assert content[8:16] == importlib.util.source_hash(MODULE.encode())
    assert b"/opt/venv/lib/" in content
    assert str(folder).encode() not in content


def test_no_byte_code_is_compiled_without_a_fixed_hash(tmp_path) -> None:
    code = "from modelpack.assembly.python import compile_below as c; c('/none', '/none')"
    environ = {**os.environ, "PYTHONHASHSEED": "random"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, check=False
    )
    assert b"PYTHONHASHSEED=0 must be set" in done.stderr


@pytest.mark.parametrize("name", ["../evil", "/evil", "shop/../../evil", "shop-1.0.data/data/../x"])
def test_a_wheel_that_reaches_outside_is_refused(tmp_path, name) -> None:
    path = wheel(tmp_path, {name: "evil"})
    with pytest.raises(ValueError, match="has a file"):
        Wheel(str(path), str(tmp_path / "site"), str(tmp_path / "prefix")).unpack()
    assert not list(tmp_path.rglob("evil"))


def test_unused_files_of_large_packages_are_left_out(tmp_path) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    unused = ("numpy/tests/test_core.py", "scipy/stats/tests/data/x.npz", "sklearn/_x.pyx.tp")
    others = (
        "numpy/_core/tests/_natype.py",
        "scipy/test_x.py",
        "shop/core.pyi",
        "shop/tests/test_more.py",
    )
    wheel(folder, dict.fromkeys((*unused, *others), "VALUE = 1\n"))
    files = assemble(tmp_path / "root", folder, {}, 0o022)
    site = next(path for path in files if path.endswith("site-packages"))
    assert {f"{site}/{name}" for name in others} <= set(files)
    assert not {f"{site}/{name}" for name in unused} & set(files)
    record = files[f"{site}/{INFO}/RECORD"][2].decode()
    assert all((name in record) == (name in others) for name in (*unused, *others))


@pytest.mark.parametrize("package", ["numpy", "pandas", "scipy", "sklearn"])
def test_no_module_imports_a_file_that_is_left_out(package) -> None:
    """Except for a script of scipy's developers."""
    folder = Path(importlib.util.find_spec(package).origin).parent
    importing = re.compile(r"^ *(?:from|import) [\w.]*\btests\.test_\w+", re.MULTILINE)
    found = [
        path.relative_to(folder)
        for path in folder.rglob("*.py")
        if not path.match("*/test_*.py") and importing.search(path.read_text("utf-8"))
    ]
    assert [path for path in found if "_precompute" not in path.parts] == []


def test_a_file_of_several_wheels_is_that_of_the_last_one(tmp_path) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    other = wheel(folder, {"shop/many.py": "FIRST = 1\n" * 10_000})
    other.rename(folder / "a_shop-1.0-py3-none-any.whl")
    wheel(folder, {"shop/many.py": "LAST = 1\n"})
    files = assemble(tmp_path / "root", folder, {}, 0o022)
    (content,) = (facts[2] for path, facts in files.items() if path.endswith("shop/many.py"))
    assert content == b"LAST = 1\n"


def test_a_debian_package_is_unpacked_where_the_base_has_its_libraries(tmp_path) -> None:
    for name in ("base/usr/lib", "debs"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "base" / "lib").symlink_to("usr/lib")
    files = {
        "./lib/libshop.so.1.0": "code",
        "./lib/libshop.so.1": "->libshop.so.1.0",
        "./usr/share/doc/libshop1/copyright": "mine",
        "./usr/share/doc/libshop1/changelog": "long",
        "./usr/share/man/man1/shop.1": "long",
    }
    deb(tmp_path / "debs", files)
    root = tmp_path / "root"
    root.mkdir()
    debian.make(str(root), str(tmp_path / "base"), str(tmp_path / "debs"))
    found = {str(p.relative_to(root)) for p in root.rglob("*") if not p.is_dir()}
    assert found == {
        "usr/lib/libshop.so.1", "usr/lib/libshop.so.1.0", "usr/share/doc/libshop1/copyright",
        "var/lib/dpkg/status.d/libshop1",
    }  # fmt: skip
    assert (root / "usr/lib/libshop.so.1").read_text() == "code"
    assert {path.lstat().st_mtime for path in [root, *root.rglob("*")]} == {MTIME}


def test_a_debian_package_that_reaches_outside_is_refused(tmp_path) -> None:
    deb(tmp_path, {"./usr/../../evil": "evil"})
    with pytest.raises(ValueError, match="evil"):
        debian.make(str(tmp_path / "root"), str(tmp_path), str(tmp_path))
    assert not list(tmp_path.rglob("evil"))


def test_links_are_followed_as_in_the_image(tmp_path) -> None:
    (tmp_path / "usr" / "lib").mkdir(parents=True)
    (tmp_path / "usr" / "lib" / "libc.so.6").write_text("")
    (tmp_path / "lib").symlink_to("/usr/lib")
    (tmp_path / "usr" / "libc").symlink_to("../lib/libc.so.6")
    (tmp_path / "loop").symlink_to("loop")
    tree = Tree(str(tmp_path))
    assert tree.trail("/usr/libc") == ["/usr/libc", "/lib", "/usr/lib/libc.so.6"]
    assert tree.trail("/../../lib/libc.so.6")[-1] == "/usr/lib/libc.so.6"
    assert tree.trail("/loop") == tree.trail("/none") == []


def test_libraries_and_loader_of_a_program_are_read() -> None:
    interpreter = elf.read_elf(os.path.realpath(sys.executable))
    assert interpreter is not None
    assert any(name.startswith("libc.so") for name in interpreter.libraries)
    assert "/ld-" in interpreter.loader
    assert elf.read_elf(__file__) is None


def test_pip_is_not_part_of_the_standard_library() -> None:
    left_out = ("/site-packages/pip/x.py", "/ensurepip/__init__.py", "/config-3.11-x86/Makefile")
    assert all(slim._NOT_LIBRARY.search(f"/usr/local/lib/python3.11{name}") for name in left_out)
    assert not slim._NOT_LIBRARY.search("/usr/local/lib/python3.11/venv/__init__.py")


# --- commands of the build -----------------------------------------------------------------------


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """The commands that are run, with their environment."""
    run: list[tuple[list[str], dict[str, str]]] = []

    def note(command: list[str], **options: Any) -> SimpleNamespace:
        run.append((command, options.get("env") or {}))
        return SimpleNamespace(returncode=3)

    monkeypatch.setattr("subprocess.run", note)
    return run


BUILDING = ["--no-build-isolation", "--wheel-dir", "/wheels"]
HASHED = ["--require-hashes", "--only-binary", ":all:", "--no-deps"]
PIP = """
import json, os, pathlib, sys, time
lock = pathlib.Path(sys.argv[-1]).read_text()
call = {"command": sys.argv[1:-2], "lock": lock, "variables": dict(os.environ)}
pathlib.Path(os.environ["CALLS"], str(os.getpid())).write_text(json.dumps(call))
print("pip printed", *(word for word in lock.split() if "==" in word))
time.sleep(60 if "slow" in lock and "wrong" not in lock else 0)
sys.exit(3 if "wrong" in lock else 0)
"""
LOCK = """\
first==1 \\
    --hash=sha256:aa
numpy==2 \\
    --hash=sha256:bb \\
    --hash=sha256:cc
scipy==1 \\
    --hash=sha256:dd \\
    --hash=sha256:ee
"""


def pip_calls(
    tmp_path: Path, arguments: list[str], lock: str = LOCK
) -> tuple[list[dict[str, Any]], subprocess.CompletedProcess[str]]:
    """Run the module with another pip, and return how that was called."""
    folder, calls = tmp_path / "modules", tmp_path / "calls"
    for each in (folder, calls):
        each.mkdir()
    (folder / "pip.py").write_text(PIP)
    (tmp_path / "r.lock").write_text(lock)
    command = [sys.executable, "-m", "modelpack.assembly.wheels", *arguments]
    environ = {**os.environ, "PYTHONPATH": f"{folder}:{ROOT}", "CALLS": str(calls)}
    done = subprocess.run(
        command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    found = [json.loads(path.read_text()) for path in calls.iterdir()]
    return sorted(found, key=lambda call: call["lock"]), done


@pytest.mark.parametrize(
    ("arguments", "expected", "variable"),
    [
        (
            ["/wheels", "--lock", "r.lock", "--build", "a,b"],
            ["wheel", *HASHED, "--no-binary", "a,b", *BUILDING],
            "CFLAGS",
        ),
        (
            ["--install", "--lock", "r.lock"],
            ["install", *HASHED, "--ignore-installed"],
            "PIP_BREAK_SYSTEM_PACKAGES",
        ),
    ],
)
def test_pip_builds_and_installs_from_the_lock(
    arguments: list[str], expected: list[str], variable: str, tmp_path: Path
) -> None:
    (call,), done = pip_calls(tmp_path, arguments)
    assert (call["command"], call["lock"], done.returncode) == (expected, LOCK, 0)
    assert variable in call["variables"]


def test_several_pips_download_each_distribution_once(tmp_path: Path) -> None:
    calls, done = pip_calls(tmp_path, ["/wheels", "--lock", "r.lock", "--python", "3.8"])
    expected = ["download", *HASHED, "--dest", "/wheels", "--python-version", "3.8"]
    assert {tuple(call["command"]) for call in calls} == {(*expected, "--implementation", "cp")}
    assert len(calls) == min(3, os.cpu_count() or 1, wheels._MAX_PROCESSES)
    assert sorted("".join(call["lock"] for call in calls).splitlines()) == sorted(LOCK.splitlines())
    assert done.returncode == 0


def test_large_wheels_are_downloaded_by_different_pips(tmp_path: Path) -> None:
    (tmp_path / "r.lock").write_text(LOCK)
    first, second = wheels.split(str(tmp_path / "r.lock"), str(tmp_path), 2)
    assert "numpy" in Path(first).read_text()
    assert "scipy" in Path(second).read_text()


def test_pip_that_fails_prints_last_and_ends_the_others(tmp_path: Path) -> None:
    lock = LOCK.replace("scipy", "wrong").replace("numpy", "slow")
    started = time.monotonic()
    _, done = pip_calls(tmp_path, ["/wheels", "--lock", "r.lock", "--python", "3.8"], lock)
    assert done.returncode == 3
    assert "wrong==1" in done.stdout.splitlines()[-1]
    assert time.monotonic() - started < 30


def test_pip_gets_the_certificates_of_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheels, "_CA", str(tmp_path / "ca"))
    (tmp_path / "ca").touch()
    assert wheels.ca_bundle() == ""
    (tmp_path / "ca").write_text("certificates")
    assert wheels.ca_bundle() == str(tmp_path / "ca")


def test_packages_are_taken_from_a_wheelhouse_that_contains_them(
    commands: list[tuple[list[str], dict[str, str]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "house" / "image"
    folder.mkdir(parents=True)
    deb(folder, {"./usr/lib/libshop.so.1": "a library"})
    monkeypatch.setattr(packages, "_WHEELHOUSE", str(folder.parent))
    root = tmp_path / "root"
    root.mkdir()
    packages.unpack(str(root), str(tmp_path), "image", ["libshop1"])
    assert (root / "usr/lib/libshop.so.1").read_text() == "a library"
    packages.install("image", ["libshop1"])
    assert commands == [(["dpkg", "--install", *map(str, folder.iterdir())], {})]


def test_packages_are_taken_from_the_mirrors_without_a_wheelhouse(
    commands: list[tuple[list[str], dict[str, str]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lists, debs = tmp_path / "lists", tmp_path / "debs"
    (lists / "partial").mkdir(parents=True)
    monkeypatch.setattr(packages, "_WHEELHOUSE", str(tmp_path / "none"))
    monkeypatch.setattr(packages, "_LISTS", str(lists))
    monkeypatch.setattr(packages, "_DOWNLOADS", str(debs))
    monkeypatch.setattr(packages, "_APT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TARGETARCH", "arm64")
    (tmp_path / "root").mkdir()
    packages.unpack(str(tmp_path / "root"), "/base", "image", ["libshop1"])
    packages.install("locales", ["locales"])
    options = ["-o=APT::Architecture=arm64", "-o=APT::Architectures=arm64"]
    options += [
        "-o=Dir::State::status=/base/var/lib/dpkg/status",
        f"-o=Dir::Cache::archives={debs}",
    ]
    install = ["install", "-y", "--no-install-recommends"]
    assert [command for command, _ in commands] == [
        ["apt-get", *options, "update"],
        ["apt-get", *options, *install, "--download-only", "libshop1"],
        ["apt-get", "update"],
        ["apt-get", *install, "locales"],
    ]
    assert not debs.exists()
    assert not [*lists.iterdir()]
