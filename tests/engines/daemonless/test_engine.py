"""The engine `oci`: what it rejects, what it caches, and its images compared with Docker's."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import engine_bundles
import images
import pytest
from debian_archives import deb
from packaged_images import SVC

from modelpack import dockerfile, oci
from modelpack import dockerfile as modelpack_dockerfile
from modelpack.assembly.files import MTIME
from modelpack.dockerfile import Instruction
from modelpack.engines import bubblewrap, select_engine
from modelpack.engines.daemonless import apt, base_images, copy, rootfs
from modelpack.engines.daemonless import config as daemonless_config
from modelpack.engines.daemonless import run as daemonless_run
from modelpack.engines.daemonless.engine import (
    DaemonlessBuilder,
    DaemonlessRunner,
    DaemonlessState,
    DaemonlessStore,
)
from modelpack.engines.daemonless.plan import Copy
from modelpack.engines.protocol import DebianPackages
from modelpack.environment import wheelhouse
from modelpack.errors import BuildFailedError, NoEngineError, UsageError
from modelpack.oci import filesystem
from modelpack.oci.image import in_file
from modelpack.types import BaseImage, IndexSettings

GOLDEN = Path(__file__).parents[2] / "golden"


def ignore(_: object) -> None:
    """Steps."""


# --- the Dockerfile ------------------------------------------------------------------------------


def read(tmp_path: Path, text: str, **arguments: str) -> tuple[dockerfile.Stage, ...]:
    (tmp_path / "Dockerfile").write_text(text)
    return dockerfile.read(tmp_path / "Dockerfile", arguments)


def test_comments_and_line_ends_are_not_part_of_an_instruction(tmp_path):
    (stage,) = read(tmp_path, "FROM a AS B\n# c\nRUN --mount=x y \\\n  # no\n\n  && z\n")
    assert (stage.name, stage.base) == ("b", "a")
    assert stage.instructions == (Instruction("RUN", ("mount=x",), "y && z", 3),)


def test_the_base_is_chosen_by_an_argument(tmp_path):
    text = "ARG BASE=full\nFROM x AS full-base\nFROM scratch AS slim-base\nFROM ${BASE}-base\n"
    assert read(tmp_path, text)[-1].base == "full-base"
    assert read(tmp_path, text, BASE="slim")[-1].base == "slim-base"


@pytest.mark.parametrize(
    "text",
    [
        "# syntax=docker/dockerfile:1\nFROM x\n",
        "# escape=`\nFROM x\n",
        "RUN x\nFROM x\n",
        "FROM --platform=linux/arm64 x\n",
        "FROM x\nRUN <<EOF\nEOF\n",
        "",
    ],
)
def test_unsupported_instruction_is_refused(tmp_path, text):
    with pytest.raises(BuildFailedError):
        dockerfile.external_image(read(tmp_path, text))


def test_instruction_is_split_into_words_as_in_docker():
    text = r"""A="x y" B=a\ b C='$P' D="${P}/\"q\" \$P" E= F=$P$Q"""
    found = modelpack_dockerfile.split_words(text, {"P": "/bin"})
    assert found == ["A=x y", "B=a b", "C=$P", 'D=/bin/"q" $P', "E=", "F=/bin"]
    for wrong in ('"', "${P:-x}"):
        with pytest.raises(ValueError):  # noqa: PT011 - of many words
            modelpack_dockerfile.split_words(wrong, {})


def test_metadata_equals_that_of_docker():
    config = daemonless_config.inherit_config(
        {"Env": ["PATH=/bin"], "Cmd": ["sh"], "OnBuild": ["RUN x"]}
    )
    for line in (
        'ENV PATH="/opt:$PATH" A=1',
        "WORKDIR /app",
        "WORKDIR sub",
        "EXPOSE 8080",
        'ENTRYPOINT ["python"]',
        'LABEL a="b c"',
        "USER 65532:65532",
        "STOPSIGNAL SIGTERM",
    ):
        name, _, text = line.partition(" ")
        daemonless_config.apply_instruction(config, Instruction(name, (), text, 1))
    check = Instruction("HEALTHCHECK", ("interval=1m30s", "retries=2"), 'CMD ["x"]', 1)
    daemonless_config.apply_instruction(config, check)
    assert config == {
        "Env": ["PATH=/opt:/bin", "A=1"],
        "WorkingDir": "/app/sub",
        "ExposedPorts": {"8080/tcp": {}},
        "Entrypoint": ["python"],
        "Labels": {"a": "b c"},
        "User": "65532:65532",
        "StopSignal": "SIGTERM",
        "Healthcheck": {"Test": ["CMD", "x"], "Interval": 90 * 10**9, "Retries": 2},
    }


@pytest.mark.parametrize("line", ["ENV a", "CMD python x", "EXPOSE http", "HEALTHCHECK NONE"])
def test_metadata_in_an_unknown_form_is_refused(line):
    name, _, text = line.partition(" ")
    with pytest.raises(BuildFailedError, match="line 7"):
        daemonless_config.apply_instruction({}, Instruction(name, (), text, 7))


def test_context_excludes_files_in_dockerignore(tmp_path):
    for name in ("app.py", "secret", "code/a.py", "code/__pycache__/a.pyc", "other/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".dockerignore").write_text("# c\n*\n!app.py\n!code\n**/__pycache__\n")
    files = copy.Context(tmp_path).files
    assert [name for name, _ in files("")] == ["", "app.py", "code", "code/a.py"]
    assert not list(files("secret"))
    assert not list(files("../x"))


@pytest.mark.parametrize(("source", "mode"), [("no-such", None), ("folder", 0o644)])
def test_unsupported_copy_is_refused(tmp_path, source, mode):
    (tmp_path / "folder").mkdir()
    command = Copy(Instruction("COPY", (), f"{source} /app", 7), (source,), "/app", mode=mode)
    with pytest.raises(BuildFailedError, match="line 7"):
        copy.copied_items(command, copy.Context(tmp_path), "/")


# --- unpacking a base ----------------------------------------------------------------------------


def unpacked(tmp_path: Path, *layers: oci.Layer) -> Path:
    image = images.image(*layers)
    rootfs.extract(image.layers, tmp_path / "root")
    return tmp_path / "root"


def test_links_lead_nowhere_out_of_the_folder(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    root = unpacked(
        tmp_path,
        images.layer(
            images.link("up", "../../outside"),
            images.link("abs", str(outside)),
            images.link("etc", "/real"),
        ),
        images.layer(
            images.folder("real"),
            images.file("up/a"),
            images.file("abs/b"),
            images.file("etc/passwd", b"x"),
        ),
    )
    assert not list(outside.iterdir())
    assert (root / "etc" / "passwd").resolve().is_relative_to(root)
    assert (root / "etc" / "passwd").read_bytes() == b"x"


def test_devices_and_privileged_files_are_not_unpacked(tmp_path):
    root = unpacked(
        tmp_path,
        images.layer(
            images.file("su", b"x", mode=0o6755),
            images.member("null", tarfile.CHRTYPE, mode=0o666),
            images.folder("d"),
            images.file("d/gone"),
            images.file("d/kept"),
        ),
        images.layer(images.file("d/.wh.gone")),
    )
    assert (root / "su").stat().st_mode & 0o7777 == 0o755
    assert not (root / "null").exists()
    assert [path.name for path in (root / "d").iterdir()] == ["kept"]


# --- runners -------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [DaemonlessBuilder, DaemonlessStore, DaemonlessRunner])
def test_a_runner_is_open_as_long_as_a_part_of_its_engine(part, tmp_path, monkeypatch):
    @contextmanager
    def select_runner(*_):
        yield "runner"
        closed.append(True)

    closed = []
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(daemonless_run, "select_runner", select_runner)
    monkeypatch.setattr(base_images, "require_platform", lambda *_: None)
    state = DaemonlessState()
    state.find = lambda _: {}
    state.store.identity = state.store.image = lambda *_: "image"
    assert state.runner("image") == "runner"
    engine = part(state)
    del state
    gc.collect()
    assert not closed
    del engine
    gc.collect()
    assert closed


# --- real images ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A cache and a store of these tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CACHE", "DATA"):
            patch.setenv(f"XDG_{name}_HOME", str(tmp_path_factory.mktemp(name.lower())))
        yield


@pytest.fixture(scope="module")
def archive(engine, base, tmp_path_factory):
    """The base image as a file."""
    path = tmp_path_factory.mktemp("base") / "base.tar"
    subprocess.run(["docker", "save", "-o", path, base.reference], check=True)
    return path


@pytest.fixture(scope="module")
def embedded(home, archive, base):
    engine = select_engine("oci")
    found = engine.builder.find_base_image((base.python,), f"docker-archive:{archive}")
    assert found == BaseImage(base.reference, base.python, "user")
    return engine


def build(engine, folder, base, index, scratch):
    bundle = engine_bundles.make(folder, base)
    return engine.builder.build(bundle, with_wheels(engine, bundle, index, scratch), ignore)


def with_wheels(engine, bundle, index, folder):
    """Settings with a wheelhouse in `folder` if layers of the bundle have to be built."""
    if not engine.builder.needs_wheels(bundle):
        return index
    folder.mkdir()
    wheelhouse.collect_wheels(folder, bundle.environment, index, lambda *_: None)
    return replace(index, wheelhouse=str(folder))


@pytest.fixture(scope="module")
def built(embedded, base, index, tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedded")
    image = build(embedded, folder / "bundle", base, index, folder / "wheels")
    return embedded.images.tag(image, "modelpack-test/embedded:1")


def debian_package(house: Path, content: str) -> None:
    """Puts a library into a wheelhouse, for the image."""
    (house / "debian" / "image").mkdir(parents=True, exist_ok=True)
    files = {"./usr/lib/libshop.so.1": "->libshop.so.1.2", "./usr/lib/libshop.so.1.2": content}
    deb(house / "debian" / "image", files)


@pytest.fixture(scope="module", params=["full base", "slim base"])
def twins(request, engine, embedded, base, index, tmp_path_factory):  # noqa: PLR0917
    """The same bundle, built from a wheelhouse by the engine `oci` and by Docker."""
    folder = tmp_path_factory.mktemp("twins")
    bundle = engine_bundles.make(folder / "bundle", base, system_packages=("libshop1",))
    bundle = replace(bundle, slim_base=request.param == "slim base")
    house, gathered = folder / "house", folder / "gathered"
    wheelhouse.fill(house, bundle.environment, base, index, lambda *_: None)
    debian_package(house, "a library")
    offline = IndexSettings(wheelhouse=str(house))
    gathered.mkdir()
    wheelhouse.collect_wheels(gathered, bundle.environment, offline, lambda *_: None)
    ours = embedded.builder.build(bundle, IndexSettings(wheelhouse=str(gathered)), ignore)
    theirs = engine.builder.build(bundle, offline, ignore)
    yield ours, theirs
    embedded.images.remove_untagged(ours)
    engine.images.remove_untagged(theirs)


@pytest.mark.engine
def test_the_same_bundle_gives_the_same_files_by_docker(engine, embedded, twins):
    """Path, kind, mode, owner, size, time, target and content of every file in `/`."""
    with (
        embedded.images.open_image(twins[0].id) as ours,
        engine.images.open_image(twins[1].id) as theirs,
    ):
        expected, found = (
            filesystem.merge_layers(map(filesystem.layer_listing, im.layers))
            for im in (theirs, ours)
        )
        assert list(found) == list(expected)
        assert [path for path in found if found[path] != expected[path]] == []
        assert ours.config["created"] == theirs.config["created"] == engine_bundles.IMAGE_DATE
        assert {found[path].mtime for path in found if path.startswith("app/")} == {MTIME}
        config, own = theirs.config["config"], ours.config["config"]
    assert {k: v for k, v in config.items() if v and k != "ArgsEscaped"} == own
    assert found["usr/lib/libshop.so.1"].target == "libshop.so.1.2"
    assert "var/lib/dpkg/status.d/libshop1" in found


@pytest.mark.engine
def test_other_debian_packages_make_another_layer(embedded, base, index, tmp_path):
    bundle = engine_bundles.make(tmp_path / "bundle", base, system_packages=("libshop1",))
    (tmp_path / "wheels").mkdir()
    wheelhouse.collect_wheels(tmp_path / "wheels", bundle.environment, index, lambda *_: None)
    gathered = IndexSettings(wheelhouse=str(tmp_path / "wheels"))
    with pytest.raises(
        BuildFailedError, match="packages of the image are missing: libshop1"
    ) as caught:
        embedded.builder.build(bundle, gathered, ignore)
    assert "--offline DIR" in caught.value.hint
    digests = set()
    for content in ("one", "other", "one"):
        debian_package(tmp_path / "wheels", content)
        image = embedded.builder.build(bundle, gathered, ignore)
        digests.add(image.id)
        with embedded.images.open_image(image.id) as contents:
            assert filesystem.read(contents, "usr/lib/libshop.so.1.2") == content.encode()
        embedded.images.remove_untagged(image)
    assert len(digests) == 2


@pytest.mark.engine
def test_two_builds_with_nothing_in_the_cache_give_one_digest(  # noqa: PLR0917
    built, archive, base, index, tmp_path, monkeypatch
):
    """In another folder, with another store."""
    for name in ("CACHE", "DATA"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    engine = select_engine("oci")
    engine.builder.find_base_image((base.python,), f"docker-archive:{archive}")
    again = build(engine, tmp_path / "b", base, index, tmp_path / "wheels")
    monkeypatch.undo()
    assert again.id == built.id
    expected = select_engine("oci").images.state.find(built.reference)
    assert engine.images.state.find(again.id)["digest"] == expected["digest"]


@pytest.mark.engine
def test_source_date_epoch_is_the_date_of_the_image(embedded, built, base, index, tmp_path):
    """It changes the configuration, and no layer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "86400")
        other = build(embedded, tmp_path / "b", base, index, tmp_path / "wheels")
    with (
        embedded.images.open_image(other.id) as dated,
        embedded.images.open_image(built.id) as usual,
    ):
        assert dated.config["created"] == dated.config["history"][-1]["created"]
        assert dated.config["created"] == "1970-01-02T00:00:00Z"
        assert dated.config["rootfs"] == usual.config["rootfs"]
    embedded.images.remove_untagged(other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# With the date:\n# --build-arg SOURCE_DATE_EPOCH=86400\nFROM x\n", 86400),
        ("# For the same id: --build-arg SOURCE_DATE_EPOCH=315532800\n", MTIME),
        ("RUN echo --build-arg SOURCE_DATE_EPOCH=1\n", None),
        ("# --build-arg SOURCE_DATE_EPOCH=-1\n", None),
        ("# --build-arg SOURCE_DATE_EPOCH=1e3\n", None),
    ],
)
def test_date_of_the_image_is_in_a_comment(text, expected, tmp_path):
    (tmp_path / "Dockerfile").write_text(text)
    assert modelpack_dockerfile.image_time(tmp_path / "Dockerfile") == expected
    assert modelpack_dockerfile.image_time(tmp_path / "missing") is None


@pytest.mark.engine
def test_docker_podman_and_skopeo_read_an_exported_image(embedded, built, tmp_path):
    file, folder = tmp_path / "image.tar", tmp_path / "layout"
    embedded.images.export(built.reference, file)
    embedded.images.export(built.reference, folder)
    with pytest.raises(UsageError, match="already exists"):
        embedded.images.export(built.reference, file)
    for tool in ("docker", "podman"):
        loaded = subprocess.run(
            [tool, "load", "-i", file], capture_output=True, text=True, check=True
        )
        assert built.reference in loaded.stdout
        shown = [tool, "inspect", built.reference]
        (inspected,) = json.loads(subprocess.run(shown, capture_output=True, check=True).stdout)
        healthcheck = {"docker": inspected["Config"], "podman": inspected}[tool]["Healthcheck"]
        assert healthcheck["Test"] == ["CMD", "python", "-m", "modelpack.serving.health"]
        subprocess.run([tool, "rmi", built.reference], capture_output=True, check=True)
    for location in (f"docker-archive:{file}", f"oci-archive:{file}", f"oci:{folder}"):
        command = ["skopeo", "inspect", "--config", location]
        config = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        assert config["config"]["User"] == "65532:65532"
        with oci.open_image(location) as image, embedded.images.open_image(built.id) as expected:
            assert image.config == expected.config


@pytest.mark.engine
def test_image_runs_in_docker_and_in_bubblewrap(embedded, built, monkeypatch, tmp_path):
    from waiting import get_when_ready  # noqa: PLC0415

    for engine in ("docker", "bubblewrap"):
        if engine == "bubblewrap":
            monkeypatch.setattr("modelpack.engines.daemonless.run._ENGINES", ())
        embedded.images.remove_untagged(built)
        with embedded.runner.run(built.reference) as service:
            assert service.engine == engine
            assert get_when_ready(f"{service.url}/readyz") == b"ready" or service.is_running()
            assert service.stop(timeout=10) == 0
    embedded.images.remove_untagged(built)


def test_error_without_namespaces_does_not_suggest_to_install_bubblewrap(monkeypatch, tmp_path):
    """A container of a CI job has the program, but forbids it to create namespaces."""
    (tmp_path / "bwrap").write_text("#!/bin/sh\nexit 1\n")
    runner = daemonless_run.BubblewrapRunner(tmp_path / "root", {})
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoEngineError) as caught:
        runner.require_available()
    assert caught.value.hint == ("Run: apt-get install bubblewrap, or skip the test: --no-smoke")
    (tmp_path / "bwrap").chmod(0o755)
    bubblewrap.succeeds.cache_clear()
    with pytest.raises(NoEngineError, match="forbids namespaces to bubblewrap") as caught:
        runner.require_available()
    assert caught.value.hint == "Use a privileged container, or skip the test: --no-smoke"


def test_error_without_a_sandbox_comes_before_the_build(tmp_path):
    (tmp_path / "bwrap").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    environ = {
        "PATH": str(tmp_path),
        "DOCKER_HOST": f"unix://{tmp_path}/none",
        "HOME": str(tmp_path),
    }
    command = [
        sys.executable,
        "-m",
        "modelpack",
        "package",
        str(SVC / "model.joblib"),
        "--engine",
        "oci",
    ]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == NoEngineError.exit_code
    assert "forbids namespaces to bubblewrap" in done.stderr
    assert "inspect" in done.stderr
    assert "environment" not in done.stderr


@pytest.mark.engine
def test_layers_are_shared_and_unreferenced_ones_are_removed(
    embedded, built, base, index, tmp_path
):
    blobs = embedded.images.state.store.path / "blobs" / "sha256"
    before = {path.name for path in blobs.iterdir()}
    bundle = engine_bundles.make(tmp_path / "bundle", base)
    (tmp_path / "bundle" / "model" / "model.pkl").write_bytes(b"another")
    image = embedded.builder.build(bundle, index, ignore)
    added = {path.name for path in blobs.iterdir()} - before
    assert len(added) == 3  # its last layer, its configuration, its manifest
    embedded.images.remove_untagged(image)
    assert {path.name for path in blobs.iterdir()} == before


@pytest.mark.engine
def test_an_edited_bundle_is_followed_or_refused(embedded, base, index, tmp_path):
    bundle = engine_bundles.make(tmp_path / "bundle", base)
    path = tmp_path / "bundle" / "Dockerfile"
    text = path.read_text()
    path.write_text(f"{text}\nLABEL mine=1\n")
    index = with_wheels(embedded, bundle, index, tmp_path / "wheels")
    image = embedded.builder.build(bundle, index, ignore)
    assert image.labels["mine"] == "1"
    embedded.images.remove_untagged(image)
    path.write_text(f"{text}\nRUN echo\n")
    with pytest.raises(BuildFailedError, match="RUN echo"):
        embedded.builder.build(bundle, index, ignore)


# --- Debian packages -----------------------------------------------------------------------------


def test_sources_are_read_with_the_keys_of_the_base():
    text = (
        "# deb file:/x ./\n"
        "deb [arch=amd64 signed-by=/k/a.gpg,/k/b.gpg] http://x y main\n"
        "Signed-By: /k/a.gpg\nURIs: http://x/\n"
    )
    assert apt.host_sources(text, Path("/root")) == (
        "deb [arch=amd64 signed-by=/root/k/a.gpg,/root/k/b.gpg] http://x y main\n"
        "Signed-By: /root/k/a.gpg\nURIs: http://x/\n"
    )


@pytest.fixture(scope="module")
def unpacked_base(embedded, base):
    """The base, unpacked."""
    if shutil.which("apt-get") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no apt-get here")
    with embedded.images.state.base_images.open(
        base.reference, "linux/amd64", base.python
    ) as found:
        yield found


@pytest.mark.engine
def test_debian_packages_are_fetched_by_the_sources_of_the_base(
    unpacked_base, embedded, index, tmp_path
):
    base = BaseImage("any", unpacked_base.python, "user")
    packages = DebianPackages(base, "linux/amd64", {"image": ("libgomp1",)})
    embedded.builder.download_debian_packages(packages, tmp_path / "debian", index, ignore)
    (found,) = (tmp_path / "debian" / "image").iterdir()
    assert found.name.startswith("libgomp1_")
    with pytest.raises(BuildFailedError, match="Unable to locate package libnone0"):
        apt.fetch(unpacked_base, ["libnone0"], tmp_path / "none", index)
    assert not (tmp_path / "none").exists()


@pytest.fixture
def other(unpacked_base, tmp_path):
    """A base like `opened`, to be changed."""
    found = replace(unpacked_base)
    found.__dict__["root"] = tmp_path / "root"  # instead of the unpacked image
    for name in ("etc/apt", "var/lib/dpkg", "usr/share/keyrings"):
        shutil.copytree(unpacked_base.root / name, found.root / name, symlinks=True)
    return found


@pytest.mark.engine
def test_unsigned_packages_are_not_fetched(other, index, tmp_path):
    for name in ("usr/share/keyrings", "etc/apt/trusted.gpg.d"):
        for path in (other.root / name).iterdir():
            path.unlink()
            path.touch()
    with pytest.raises(BuildFailedError, match="is not signed"):
        apt.fetch(other, ["libgomp1"], tmp_path / "debs", index)
    assert not (tmp_path / "debs").exists()


@pytest.mark.engine
def test_sources_that_name_programs_are_refused(other, index, tmp_path):
    with (other.root / "etc/apt/sources.list").open("a") as file:
        file.write("\ndeb ssh://there/debian x main\n")
    with pytest.raises(BuildFailedError, match="sources of another kind: ssh"):
        apt.fetch(other, ["libgomp1"], tmp_path / "debs", index)


# --- another platform ----------------------------------------------------------------------------


def foreign_base(folder: Path, version: str) -> str:
    """Create the layout of a base image for arm64 whose interpreter only prints its version."""
    python = version.rpartition(".")[0]
    program = b"\x7fELF\x02\x01" + bytes(12) + (183).to_bytes(2, "little") + bytes(60)
    layer = folder / "layer.tar"
    layer.write_bytes(
        images.tar(
            images.file(f"usr/local/bin/python{python}", program + f"\0{version}\0".encode()),
            images.link("usr/local/bin/python3", f"python{python}"),
            images.file(f"usr/local/lib/python{python}/os.py", b"x = 1\n"),
            images.folder("tmp"),
        )
    )
    diff_id = images.digest(layer.read_bytes())
    config = {
        "architecture": "arm64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }
    image = oci.Image(config, (oci.Layer(diff_id, in_file(layer)),))
    oci.layout.write_layout(folder / "layout", [image], "modelpack.invalid/python:test")
    return f"oci:{folder / 'layout'}"


@pytest.mark.engine
def test_image_for_another_platform_is_built_and_checked_statically(home, base, index, tmp_path):
    from modelpack.engines import interpreters  # noqa: PLC0415
    from modelpack.smoke import static  # noqa: PLC0415

    python = next(version for version in engine_bundles.PYTHONS if interpreters.find(version))
    found = interpreters.find(python)
    command = [str(found), "-c", "import platform; print(platform.python_version())"]
    version = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    engine = select_engine("oci")
    location = foreign_base(tmp_path, version)
    with pytest.raises(UsageError, match="for linux/arm64, and not for linux/amd64"):
        engine.builder.find_base_image((python,), location)
    base = engine.builder.find_base_image((python,), location, platform="linux/arm64")
    bundle = engine_bundles.make(tmp_path / "bundle", base, platform="linux/arm64")
    pins = dict(wheelhouse.artifacts.pins_of(bundle.environment.lock))
    bundle = replace(bundle, environment=replace(bundle.environment, requirements=pins))
    (tmp_path / "wheels").mkdir()
    wheelhouse.collect_wheels(tmp_path / "wheels", bundle.environment, index, lambda *_: None)
    image = engine.builder.build(
        bundle, replace(index, wheelhouse=str(tmp_path / "wheels")), ignore
    )
    checks = []
    with engine.images.open_image(image.id) as contents:
        static.check_image(contents, image.id, bundle.environment, (), checks.append)
    assert [check.name for check in checks if check.passed] == ["processor", "versions", "image"]
    assert "libc.so.6" in next(c.detail for c in checks if c.name == "libraries")
    assert base_images.HOST_PLATFORM == "linux/amd64"
    engine.images.remove_untagged(image)
