"""Real images of tests/bundles/echo, built and run by the engine that is here."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import json
import socket
import subprocess
import tarfile
import threading
import time
import zipfile
from contextlib import nullcontext
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import certifi
import docker
import engine_bundles
import pytest
from waiting import get_when_ready

from modelpack import hardening
from modelpack.engines.docker import base_images
from modelpack.engines.docker.containers import Container
from modelpack.errors import BuildFailedError, NoEngineError, SmokeFailedError, UsageError
from modelpack.hardening import known_secrets

pytestmark = pytest.mark.engine
CANARY = "canary-7c1f"
LAST = ("modelpack.json", "sbom.cdx.json", "provenance.json", "model/model.pkl")
"""The files of the last layer."""


@pytest.fixture(scope="module")
def client():
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture(scope="module")
def reference(client):
    """A name that no other test run uses."""
    name = f"modelpack-test/echo:{hashlib.sha256(str(time.time_ns()).encode()).hexdigest()[:12]}"
    yield name
    if client.images.list(name):
        client.images.remove(name)  # by name: the same image may have others


@pytest.fixture(scope="module")
def private_wheel(tmp_path_factory):
    """The folder of an index with one package, and the line that locks it."""
    name, info = "private_package-1.0", "private_package-1.0.dist-info"
    folder = tmp_path_factory.mktemp("index")
    wheel = folder / "simple" / "private-package" / f"{name}-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{info}/METADATA", "Name: private-package\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return folder, f"private-package==1.0 --hash=sha256:{digest}\n"


@pytest.fixture(scope="module")
def private_index(client, private_wheel):
    """Serve that index, which requires a password. Builds can connect to it."""
    folder, _ = private_wheel
    password = base64.b64encode(f"{CANARY}:{CANARY}".encode()).decode()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args) -> None:
            super().__init__(*args, directory=folder)

        def do_GET(self) -> None:
            if self.headers["Authorization"] == f"Basic {password}":
                super().do_GET()
            else:
                self.send_error(401)

        def log_message(self, *_) -> None: ...

    gateway = client.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"]
    with ThreadingHTTPServer((gateway, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{CANARY}:{CANARY}@{gateway}:{server.server_port}/simple"
        server.shutdown()


@pytest.fixture(scope="module")
def bundle(base, private_wheel, tmp_path_factory):
    lock = (engine_bundles.ECHO / "requirements.lock").read_text() + private_wheel[1]
    return engine_bundles.make(tmp_path_factory.mktemp("echo") / "bundle", base, lock=lock)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory, index, private_index):
    """Index settings of which each part holds the canary."""
    folder = tmp_path_factory.mktemp("secrets")
    authorities = Path(index.ca_bundle or certifi.where()).read_text()
    (folder / "ca.pem").write_text(f"{authorities}\n# {CANARY}\n")
    (folder / "netrc").write_text(f"machine {CANARY}.test login {CANARY} password {CANARY}\n")
    return dataclasses.replace(
        index,
        extra_index_urls=(*index.extra_index_urls, private_index),
        trusted_hosts=(*index.trusted_hosts, urlsplit(private_index).hostname),
        ca_bundle=str(folder / "ca.pem"),
        netrc=str(folder / "netrc"),
    )


@pytest.fixture(scope="module")
def image(engine, bundle, reference, secrets):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", f"{CANARY}.test")
        return engine.images.tag(engine.builder.build(bundle, secrets, lambda _: None), reference)


@pytest.fixture(scope="module")
def config(client, image):
    return client.api.inspect_image(image.id)["Config"]


def test_image_description_equals_that_of_docker(image, client, reference, bundle):
    assert image.reference == reference
    assert client.images.get(reference).id == image.id
    assert image.size_bytes == client.images.get(reference).attrs["Size"]
    assert sum(layer.size_bytes for layer in image.layers) == pytest.approx(
        image.size_bytes, rel=0.01
    )
    last = [Path(bundle.directory, name) for name in LAST]
    assert image.layers[-1].size_bytes == sum(path.stat().st_size for path in last)


def test_it_runs_as_a_numeric_user_that_is_not_root(config):
    assert config["User"] == "65532:65532"


def test_it_starts_without_a_shell_and_ends_by_sigterm(config):
    assert config["Entrypoint"] == ["python", "-m", "modelpack.serving"]
    assert config["Cmd"] == ["serve"]
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"] == ["CMD", "python", "-m", "modelpack.serving.health"]
    assert list(config["ExposedPorts"]) == ["8080/tcp"]


def test_labels_describe_the_served_model(image, base):
    assert image.labels["org.opencontainers.image.title"] == "SVC"
    assert image.labels["org.opencontainers.image.base.name"] == base.reference
    assert image.labels["dev.modelpack.framework"] == "scikit-learn 1.3.2"
    assert image.labels["dev.modelpack.model.sha256"] == engine_bundles.SPEC.file.sha256
    assert image.labels["dev.modelpack.python"] == base.python


def layers(client, image) -> list[bytes]:
    """All that a registry would be given: each file of each layer, and the configuration."""
    contents = []
    saved = io.BytesIO(b"".join(client.images.get(image.id).save()))
    for content in _files(saved):
        try:
            contents.extend(_files(io.BytesIO(content)))
        except tarfile.ReadError:
            contents.append(content)
    return contents


def _files(archive: io.BytesIO) -> list[bytes]:
    with tarfile.open(fileobj=archive) as members:
        return [members.extractfile(member).read() for member in members if member.isreg()]


def test_no_secret_is_in_any_layer_nor_in_the_history(client, image):
    contents = layers(client, image)
    assert [c for c in contents if b"says what it is asked" in c], "the search finds nothing"
    assert [c for c in contents if b"HEALTHCHECK" in c], "the history was not searched"
    assert not [c[:200] for c in contents if CANARY.encode() in c]


def test_hardening_scan_finds_no_secret(engine, image, secrets):
    """They are looked for as the build was given them: test_scan.py shows that some are found."""
    known = known_secrets(secrets, {})
    assert {CANARY.encode(), Path(secrets.ca_bundle).read_bytes()} <= {n.content for n in known}
    with engine.images.open_image(image.reference) as contents:
        rulings = {ruling.rule: ruling for ruling in hardening.scan(contents, known)}
    assert rulings["build secrets"].passed
    assert rulings["secrets"].passed


def run_in(client, image, code: str) -> str:
    return client.containers.run(
        image.id, ["-c", code], entrypoint="python", remove=True, network_disabled=True
    ).decode()


def test_environment_contains_exactly_the_locked_distributions(client, image, bundle):
    listing = "import importlib.metadata as m; print(*[d.name.lower() for d in m.distributions()])"
    locked = [line.split("==")[0] for line in bundle.environment.lock.splitlines() if "==" in line]
    assert sorted(run_in(client, image, listing).split()) == sorted(locked)


def test_no_module_is_compiled_at_start(client, image):
    code = (
        "import os, sys, flask, gunicorn.app.base, http.client, modelpack.serving\n"
        "cached = [m.__cached__ for m in sys.modules.values() if getattr(m, '__cached__', None)]\n"
        "print(len(cached), [path for path in cached if not os.path.exists(path)])"
    )
    count, missing = run_in(client, image, code).split(maxsplit=1)
    assert int(count) > 100
    assert missing.strip() == "[]"


def test_files_belong_to_root_and_the_model_can_only_be_read(client, image):
    code = (
        "import os, stat\n"
        "for path in ('model/model.pkl', 'app.py', 'modelpack/serving/health.py', 'model'):\n"
        "    s = os.stat(path); print(s.st_uid, oct(stat.S_IMODE(s.st_mode)))"
    )
    assert run_in(client, image, code).splitlines() == [
        "0 0o444", "0 0o444", "0 0o444", "0 0o755"
    ]  # fmt: skip


def test_no_file_is_setuid_or_writable_outside_of_temporary_directories(client, image):
    code = (
        "import os, stat\n"
        "for folder, _, names in os.walk('/'):\n"
        "    if folder.startswith(('/proc', '/sys', '/dev')): continue\n"
        "    for path in [folder, *(os.path.join(folder, n) for n in names)]:\n"
        "        mode = os.lstat(path).st_mode\n"
        "        bad = 0o0002 if stat.S_ISDIR(mode) else 0o6002\n"
        "        if not stat.S_ISLNK(mode) and mode & bad: print(path)"
    )
    assert set(run_in(client, image, code).split()) <= {"/tmp", "/var/tmp", "/run/lock"}


def test_second_build_is_cached(engine, bundle, image, secrets):
    events = []
    again = engine.builder.build(bundle, secrets, events.append)
    assert again.id == image.id
    assert any("assembly.wheels" in event.name and event.state == "cached" for event in events)


def test_another_model_changes_only_the_last_layer(engine, bundle, image, index, client):
    model = bundle.directory / "model" / "model.pkl"
    before = model.read_bytes()
    model.write_bytes(b"another")
    try:
        changed = engine.builder.build(bundle, index, lambda _: None)
    finally:
        model.write_bytes(before)
    one, other = (client.images.get(i.id).attrs["RootFS"]["Layers"] for i in (image, changed))
    engine.images.remove_untagged(changed)
    assert one[:-1] == other[:-1]
    assert one[-1] != other[-1]


def test_image_used_by_another_container_is_not_removed(engine, image, client):
    """As where the same bundle is packaged twice at a time."""
    base = client.containers.create(image.id, command=["-"])
    nameless = base.commit(changes=["LABEL another=1"])
    base.remove()
    other = client.containers.create(nameless.id, command=["-"])
    try:
        engine.images.remove_untagged(dataclasses.replace(image, id=nameless.id))
        assert client.images.get(nameless.id)
    finally:
        other.remove()
    engine.images.remove_untagged(dataclasses.replace(image, id=nameless.id))
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get(nameless.id)


def test_only_untagged_images_are_removed(engine, image, client):
    engine.images.remove_untagged(image)
    assert client.images.get(image.id).id == image.id
    engine.images.remove_untagged(dataclasses.replace(image, id="sha256:" + "0" * 64))


def test_plain_docker_build_works_too(bundle, image, client):
    """Out of the cache: without secrets it may not reach the index here."""
    name = f"{image.reference}-plain"
    subprocess.run(["docker", "build", "-q", "-t", name, bundle.path], check=True)
    built = client.images.get(name)
    assert built.attrs["RootFS"] == client.images.get(image.id).attrs["RootFS"]
    assert built.id != image.id, "it was made at another time"
    client.images.remove(name)


def test_it_runs_hardened_and_ends_well(engine, image, client):
    with engine.runner.run(image.reference) as service:
        get_when_ready(f"{service.url}/readyz")
        host = client.api.inspect_container(service._container.id)["HostConfig"]
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert host["SecurityOpt"] == ["no-new-privileges"]
        assert host["Memory"] == host["MemorySwap"] > 0
        assert host["PidsLimit"] > 0
        assert [b["HostIp"] for b in host["PortBindings"]["8080/tcp"]] == ["127.0.0.1"]
        assert json.loads(get_when_ready(f"{service.url}/process"))["uid"] == 54321
        assert service.user_id() == 54321
        assert service.memory_bytes() > 10_000_000
        assert 0.05 < service.cpu_seconds() < 100
        assert "Listening at" in service.logs()
        deadline = time.monotonic() + 20
        while service.health() == "starting" and time.monotonic() < deadline:
            time.sleep(0.1)
        assert service.health() == "healthy"
        assert service.stop(timeout=10) == 0
        assert not service.is_running()
        assert service.user_id() is None


def test_a_service_that_does_not_end_is_killed(engine, image):
    with engine.runner.run(image.reference) as service:
        get_when_ready(f"{service.url}/readyz")
        service._container.pause()
        service._container.unpause()
        assert service.is_running()
        assert service.stop(timeout=0.001) == 137


def containers(client, image) -> list[object]:
    return client.containers.list(all=True, filters={"ancestor": image.id})


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, ValueError])
def test_no_container_outlives_the_block(engine, image, client, interruption):
    def use() -> None:
        with engine.runner.run(image.reference):
            assert containers(client, image)
            raise interruption

    with pytest.raises(interruption):
        use()
    assert not containers(client, image)


def test_service_runs_as_any_user_as_documented(image):
    options = "--rm --detach --read-only --cap-drop ALL --security-opt no-new-privileges"
    user = "--user 12345:0 --tmpfs /tmp --publish 127.0.0.1::8080"
    command = ["docker", "run", *options.split(), *user.split(), image.reference]
    container = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    try:
        address = subprocess.run(
            ["docker", "port", container, "8080"], check=True, capture_output=True, text=True
        ).stdout.strip()
        assert json.loads(get_when_ready(f"http://{address}/process"))["uid"] == 12345
    finally:
        subprocess.run(["docker", "rm", "--force", container], check=True, capture_output=True)


def test_the_manifest_is_read_out_of_the_image(engine, image, client, bundle):
    manifest = json.loads((bundle.directory / "modelpack.json").read_text())
    assert engine.images.read_manifest(image.reference) == manifest
    assert not containers(client, image)


def test_image_not_built_by_modelpack_is_a_usage_error(engine, base):
    with pytest.raises(UsageError, match="was not created by modelpack"):
        engine.images.read_manifest(base.reference)


@pytest.mark.parametrize(
    "use",
    [
        lambda engine: engine.runner.run("UPPER"),
        lambda engine: engine.images.open_image("UPPER"),
        lambda engine: engine.runner.query_model("UPPER", b"{}"),
        lambda engine: engine.images.pull_temporarily("UPPER"),
        lambda engine: nullcontext(engine.images.read_manifest("UPPER")),
    ],
)
def test_invalid_image_reference_is_a_usage_error(engine, use):
    with pytest.raises(UsageError, match="'UPPER' is not a valid image reference"), use(engine):
        pass


@pytest.mark.parametrize("use", ["run", "manifest"])
def test_missing_image_is_a_usage_error(engine, use):
    with pytest.raises(UsageError, match="no image modelpack-test/none:1"):  # noqa: PT012
        if use == "manifest":
            engine.images.read_manifest("modelpack-test/none:1")
        with engine.runner.run("modelpack-test/none:1"):
            pass


def test_build_fails_if_a_package_differs_from_the_lock(engine, base, tmp_path, index):
    lock = f"itsdangerous==2.2.0 --hash=sha256:{'0' * 64}\n"
    bundle = engine_bundles.make(tmp_path / "bundle", base, lock=lock)
    events = []
    with pytest.raises(BuildFailedError, match="DO NOT MATCH THE HASHES") as caught:
        engine.builder.build(bundle, index, events.append)
    assert "assembly.wheels" in caught.value.message.splitlines()[0]
    assert "locked" in caught.value.hint
    assert events[-1].state == "failed"


def test_error_of_a_container_that_cannot_start_contains_the_reason(engine, base, tmp_path, client):
    (tmp_path / "Dockerfile").write_text(f'FROM {base.reference}\nENTRYPOINT ["/none"]\n')
    name = "modelpack-test/no-entrypoint:1"
    subprocess.run(["docker", "build", "-q", "-t", name, str(tmp_path)], check=True)
    with pytest.raises(SmokeFailedError, match="/none"), engine.runner.run(name):
        pass
    client.images.remove(name)


def test_error_of_a_container_that_ended_contains_its_last_lines(base, client):
    ended = client.containers.create(
        base.reference, ["python", "-c", "raise SystemExit('because')"]
    )
    try:
        ended.start()
        ended.wait()
        with pytest.raises(SmokeFailedError, match=r"exit code 1\..*\nbecause"):
            Container(ended, base.reference)
    finally:
        ended.remove(force=True)


def test_local_base_image_is_not_pulled(engine, base):
    found = engine.builder.find_base_image([base.python], reference=base.reference)
    assert (found.reference, found.python, found.origin) == (base.reference, base.python, "user")


def test_a_base_with_another_python_is_a_usage_error(engine, base):
    with pytest.raises(UsageError, match=f"has Python {base.python}; the model needs one of 3.6"):
        engine.builder.find_base_image(["3.6"], reference=base.reference)


def test_failed_pull_of_a_base_image_is_reported_and_not_repeated(engine):
    reference = "registry.invalid/python:3.11"
    with pytest.raises(NoEngineError, match=r"registry\.invalid"):
        engine.builder.find_base_image(["3.11"], reference=reference)
    began = time.perf_counter()
    with pytest.raises(NoEngineError, match=r"registry\.invalid"):
        engine.builder.find_base_image(["3.11"], reference=reference)
    assert time.perf_counter() - began < 0.05


def test_pull_from_an_unresponsive_registry_times_out(engine, monkeypatch):
    monkeypatch.setattr(base_images, "_TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        reference = f"127.0.0.1:{silent.getsockname()[1]}/python:3.11"
        began = time.perf_counter()
        with pytest.raises(NoEngineError, match=r"does not respond within 0\.5 s"):
            engine.builder.find_base_image(["3.11"], reference=reference)
    assert time.perf_counter() - began < 60


def test_missing_base_image_is_an_error_with_the_command_to_build_one(engine):
    with pytest.raises(NoEngineError, match=r"python:3\.99-slim") as caught:
        engine.builder.find_base_image(["3.99"])
    assert caught.value.hint == "modelpack base build --python 3.99"
