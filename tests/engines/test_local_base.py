from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from engine_bundles import PYTHONS

from modelpack import cache, files
from modelpack.engines import interpreters, local_base
from modelpack.engines.docker import base_images
from modelpack.engines.local_base import build_base
from modelpack.errors import NoEngineError

VERSION = "{}.{}".format(*sys.version_info)


def test_interpreter_of_the_installation_is_used_instead_of_an_environment():
    path = interpreters.find(VERSION)
    assert path.name == f"python{VERSION}"
    question = "import sys; print(sys.version_info[:2], sys.prefix == sys.base_prefix)"
    answer = subprocess.run([path, "-c", question], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == [f"({sys.version_info[0]},", f"{sys.version_info[1]})", "True"]


@pytest.mark.parametrize(
    ("reference", "digest"),
    [
        ("python:3.11-slim", f"sha256:{'a' * 64}"),
        ("localhost/python:3.11-slim", None),
        ("modelpack.invalid/python:3.11-slim", None),
    ],
)
def test_an_image_of_this_machine_has_no_digest_in_a_registry(reference, digest):
    """Podman has a digest for every image."""
    names = ("docker.io/library/python", "localhost/python", "modelpack.invalid/python")
    known = [f"{name}@sha256:{'a' * 64}" for name in names]
    image = SimpleNamespace(attrs={"RepoDigests": ["<none>@<none>", *known]})
    assert base_images._digest(image, reference) == digest


@pytest.fixture
def shim(tmp_path, monkeypatch):
    """Puts a python3.X on PATH that does nothing but this."""
    interpreters.find.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def write_script(name: str, script: str) -> None:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    yield write_script
    interpreters.find.cache_clear()


@pytest.mark.parametrize("script", ["exit 127", "echo cpython 3.98 /usr", "echo pypy 3.99 /usr"])
def test_python_version_is_not_derived_from_the_name_on_path(shim, script):
    shim("python3.99", script)
    assert interpreters.find("3.99") is None


def test_the_copy_of_an_installation_has_nothing_of_its_users(tmp_path):
    interpreter = interpreters.find(VERSION)
    if interpreter.is_relative_to("/usr/bin"):
        pytest.skip("the only interpreter here is the distribution's")
    local_base.copy_prefix(interpreter, tmp_path / "copy")
    names = {path.name for path in (tmp_path / "copy").rglob("*")}
    assert names >= {"os.py", "ensurepip", "venv", "python", "python3", f"python{VERSION}"}
    assert not names & {"site-packages", "pip", "test", "idlelib", "tkinter", "__pycache__"}
    assert not [name for name in names if name.endswith((".a", ".pyc"))]
    libraries = [path for path in (tmp_path / "copy").rglob("*.so*") if path.is_file()]
    with_symbols = {path.name for path in libraries if b".symtab" in path.read_bytes()}
    assert libraries
    assert bool(with_symbols) is (shutil.which("strip") is None)
    question = "import encodings, json, sys; print(sys.prefix)"
    copied = tmp_path / "copy" / "bin" / "python"
    environ = {"LD_LIBRARY_PATH": str(tmp_path / "copy" / "lib")}
    answer = subprocess.check_output([copied, "-IS", "-c", question], text=True, env=environ)
    assert answer.strip() == str(tmp_path / "copy")


def test_a_strict_umask_of_the_owner_does_not_reach_the_image(tmp_path):
    lib = tmp_path / "python" / "lib" / "python3.99"
    lib.mkdir(parents=True)
    for path in (lib / "os.py", tmp_path / "python" / "bin" / "python3.99"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
        path.chmod(0o700 if path.parent.name == "bin" else 0o600)
    local_base.copy_prefix(tmp_path / "python" / "bin" / "python3.99", tmp_path / "copy")
    assert (tmp_path / "copy/lib/python3.99/os.py").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "copy/bin/python").stat().st_mode & 0o777 == 0o755


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "modelpack"


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_failed_build_leaves_nothing_in_the_cache(own_cache, interruption):
    def make() -> None:
        with files.atomic_directory(cache.directory("bases") / "one") as path:
            path.mkdir()
            raise interruption

    with pytest.raises(interruption):
        make()
    assert not list((own_cache / "bases").iterdir())


def test_first_of_two_concurrent_builds_is_kept(own_cache):
    directory = cache.directory("bases") / "one"
    with files.atomic_directory(directory) as late:
        late.mkdir()
        with files.atomic_directory(directory) as early:
            early.mkdir()
            (early / "early").touch()
    assert [path.name for path in directory.iterdir()] == ["early"]
    assert list((own_cache / "bases").iterdir()) == [directory]


@pytest.fixture
def apt(tmp_path, monkeypatch, own_cache):
    """Replaces apt, and leaves no other command on PATH."""
    script = tmp_path / "bin" / "apt-get"
    script.parent.mkdir()
    monkeypatch.setenv("PATH", str(script.parent))
    codename = local_base._codename()

    def answer(*lines: str) -> None:
        listing = "\n".join(lines).replace("RELEASE", codename)
        script.write_text(f"#!/bin/sh\n/bin/cat <<'END'\n{listing}\nEND\n")
        script.chmod(0o755)

    return answer


def test_only_network_mirrors_of_this_release_are_used(apt):
    apt(
        "http://mirror.test/debian/ RELEASE main /usr/share/keyrings/a.gpg",
        "https://mirror.test/security/ RELEASE-security main $(SIGNED_BY)",
        "https://mirror.test/debian/ RELEASE-backports main /usr/share/keyrings/a.gpg",
        "https://other.test/apt/ stable main /usr/share/keyrings/b.gpg",
        "file:/srv/mirror/ RELEASE main /usr/share/keyrings/a.gpg",
    )
    codename = local_base._codename()
    assert local_base._sources(codename) == [
        f"deb [signed-by=/usr/share/keyrings/a.gpg] http://mirror.test/debian/ {codename} main",
        f"deb https://mirror.test/security/ {codename}-security main",
    ]


def test_a_missing_mmdebstrap_is_named(apt):
    apt("http://mirror.test/debian/ RELEASE main $(SIGNED_BY)")
    with pytest.raises(NoEngineError, match="not installed") as caught:
        local_base.make_rootfs([])
    assert caught.value.hint == "apt-get install mmdebstrap"


def test_error_of_mmdebstrap_is_reported_and_nothing_is_cached(apt, tmp_path, own_cache):
    apt("http://mirror.test/debian/ RELEASE main $(SIGNED_BY)")
    script = tmp_path / "bin" / "mmdebstrap"
    script.write_text("#!/bin/sh\necho 'E: mirror.test does not resolve' >&2; exit 1\n")
    script.chmod(0o755)
    with pytest.raises(NoEngineError, match=r"mirror\.test does not resolve"):
        local_base.make_rootfs([])
    assert not list((own_cache / "bases").iterdir())


@pytest.mark.engine
def test_missing_interpreter_for_a_base_is_an_error():
    with pytest.raises(NoEngineError, match=r"no CPython 3\.99") as caught:
        build_base("3.99", on_step=print)
    assert "3.99" in caught.value.hint


@pytest.mark.engine
@pytest.mark.slow
def test_a_base_runs_python_with_pip_and_nothing_else(engine):
    python = next(filter(interpreters.find, PYTHONS))
    reference = f"modelpack-test/base:{python}"
    base = build_base(python, reference=reference, on_step=lambda _: None)
    assert (base.reference, base.python, base.origin) == (reference, python, "local")
    run = ["docker", "run", "--rm", "--network=none", "--user=12345:0", reference]
    question = "import sys, ssl, sqlite3, ctypes, lzma, bz2, zlib; print(sys.prefix, sys.version)"
    answer = subprocess.check_output([*run, "python", "-c", question], text=True)
    assert answer.split()[1].startswith(f"{python}.")
    listing = subprocess.check_output([*run, "python", "-m", "pip", "freeze", "--all"], text=True)
    # Debian's package of pip brings the other two along.
    installed = {line.split("==")[0] for line in listing.splitlines()}
    assert {"pip"} <= installed <= {"pip", "packaging", "wheel"}
    found = engine.builder.find_base_image([python], reference=reference)
    assert (found.python, found.digest) == (python, None)
    shown = ["docker", "inspect", "--format={{.Id}}", reference]
    assert found.image_id == subprocess.check_output(shown, text=True).strip()
    subprocess.run(["docker", "image", "rm", reference], check=True, capture_output=True)


@pytest.mark.engine
@pytest.mark.parametrize("command", ["start", "stop"])
def test_script_does_not_restart_a_running_engine(tmp_path, command):
    script = Path(__file__).parents[2] / "scripts" / "engine.sh"
    result = subprocess.run([script, command, str(tmp_path)], capture_output=True, check=True)
    assert result.stderr == b""
    assert not list(tmp_path.iterdir())
    subprocess.run(["docker", "info"], capture_output=True, check=True)
