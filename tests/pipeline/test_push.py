"""`modelpack push` from a real engine to real registries."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing

import docker
import images
import pytest
import registries

from modelpack import oci
from modelpack.engines import select_engine
from modelpack.engines.docker import transfers
from modelpack.engines.podman import engine as podman_engine
from modelpack.errors import BuildFailedError, NoEngineError, UsageError
from modelpack.oci import archive, filesystem, layout
from modelpack.oci.registry.client import connect
from modelpack.pipeline import push as pipeline_push
from modelpack.pipeline.options import Observer, Options
from modelpack.pipeline.stages import Pipeline

pytestmark = pytest.mark.engine


CONFIG = {"Cmd": ["/none"], "Healthcheck": {"Test": ["CMD", "/none"]}}


class Log(Observer):
    def __init__(self) -> None:
        self.transfers: list[tuple[str, int, int]] = []

    def transfer(self, layer: str, done: int, total: int) -> None:
        self.transfers.append((layer, done, total))


def load(folder, name: str, files: dict[str, bytes], engine: str = "docker") -> None:
    """An image of one layer a file."""
    layers = [images.layer(images.file(path, data)) for path, data in files.items()]
    config = {"os": "linux", "architecture": "amd64", "config": CONFIG}
    rootfs = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
    layout.write_layout(
        folder / "layout", [oci.Image({**config, "rootfs": rootfs}, tuple(layers))], name
    )
    archive.write(folder / "archive", folder / "layout")
    command = [engine, "load", "-qi", folder / "archive"]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def client():
    with closing(docker.from_env()) as client:
        yield client


@pytest.fixture
def names(client):
    """A function that makes names, which are gone afterwards."""
    image_name = []

    def name(host: str) -> str:
        image_name.append(f"{host}/team/it:{secrets.token_hex(6)}")
        return image_name[-1]

    yield name
    for each in image_name:
        if client.images.list(each):
            client.images.remove(each)


@pytest.fixture(scope="module")
def image_name(tmp_path_factory, client):
    """The name of an image that modelpack could have made, with random content."""
    name = f"modelpack-test/push:{secrets.token_hex(6)}"
    files = {"big": secrets.token_bytes(3 * 2**20), "app/modelpack.json": b'{"schema": 1}'}
    load(tmp_path_factory.mktemp("made"), name, files)
    yield name
    client.images.remove(name)


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    """Use a home directory without a login."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def push(reference: str, other: str | None = None, observer: Observer | None = None):
    return pipeline_push.push(Pipeline(Options(engine="docker"), observer), reference, other)


def modelpack(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "modelpack", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, **options)


def test_an_image_is_pushed_by_the_command(image_name, registry, names):
    name = names(registry)
    done = modelpack("push", image_name, "--as", name, "--json")
    assert done.returncode == 0, done.stderr
    pushed = json.loads(done.stdout)
    assert pushed["reference"] == f"{name.rpartition(':')[0]}@{pushed['digest']}"
    assert pushed["size_bytes"] > 3 * 2**20
    assert len(pushed["layers"]["pushed"]) == 2
    assert not pushed["layers"]["existing"]
    assert "push" in done.stderr
    assert "2 layers, 0 already in the registry" in done.stderr
    with oci.open_image(pushed["reference"]) as image:
        assert image.digest == pushed["digest"]
        assert json.loads(filesystem.read(image, "app/modelpack.json")) == {"schema": 1}

    again = modelpack("push", name, "--quiet")
    assert (again.stdout, again.stderr) == (f"{pushed['reference']}\n", "")


def test_progress_contains_each_layer(image_name, registry, names):
    first, again = Log(), Log()
    name = names(registry)
    pushed = push(image_name, name, first)
    assert push(name, observer=again).digest == pushed.digest
    for layer, existed in pushed.layers.items():
        mine = [transfer[1:] for transfer in first.transfers if transfer[0] == layer]
        if not existed:
            assert mine[0][0] == 0
            assert mine == sorted(mine)
            assert mine[-1][0] == mine[-1][1]
    assert [done == total for _, done, total in again.transfers] == [True] * 2


def test_a_bar_on_a_terminal(image_name, registry, names):
    command = f"{sys.executable} -m modelpack push {image_name} --as {names(registry)}"
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run(
        ["script", "-qec", command, "/dev/null"],
        env=environ,
        capture_output=True,
        check=True,
        text=True,
    )
    assert "layers, " in done.stdout
    assert "\u2501" in done.stdout


def test_credentials_of_docker_login_are_used(image_name, names, tmp_path):
    with registries.run_registry_with_passwords(tmp_path) as host:
        name = names(host)
        with pytest.raises(UsageError, match="requires a login") as caught:
            push(image_name, name)
        assert caught.value.hint == f"docker login {host}"
        login(tmp_path, host, registries.USER, "wrong")
        with pytest.raises(UsageError, match="requires a login") as caught:
            push(image_name, name)
        assert "wrong" not in str(caught.value.__cause__) + caught.value.message
        login(tmp_path, host, registries.USER, registries.PASSWORD)
        assert push(image_name, name).digest.startswith("sha256:")


def login(folder, host: str, user: str, password: str) -> None:
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


def test_podman_pushes_the_identical_image(registry, tmp_path):
    images.require_tool("podman")
    name = f"{registry}/team/it:{secrets.token_hex(6)}"
    files = {"big": secrets.token_bytes(2**20), "app/modelpack.json": b"{}"}
    load(tmp_path, name, files, "podman")
    try:
        first, again = (modelpack("push", name, "--engine=podman", "--json") for _ in range(2))
        inspecting = ["podman", "image", "inspect", "--format={{.Id}}", name]
        id_ = subprocess.check_output(inspecting, text=True).strip()
    finally:
        subprocess.run(["podman", "rmi", name], check=True, capture_output=True)
    assert first.returncode == 0, first.stderr
    pushed = json.loads(first.stdout)
    assert len(pushed["layers"]["pushed"]) == 2
    assert json.loads(again.stdout)["layers"]["existing"] == pushed["layers"]["pushed"]
    with oci.open_image(pushed["reference"]) as image:
        assert image.config["config"]["Healthcheck"] == CONFIG["Healthcheck"]
        assert filesystem.read(image, "app/modelpack.json") == b"{}"
    with connect(pushed["reference"]) as repository:
        assert json.loads(repository.manifest()[1])["config"]["digest"] == f"sha256:{id_}"


def test_podman_pushes_to_a_registry_with_login(tmp_path):
    images.require_tool("podman")
    load(tmp_path, name := "localhost/modelpack-test/it:1", {"app/modelpack.json": b"{}"}, "podman")
    (tmp_path / "registry").mkdir()
    try:
        with registries.run_registry_with_passwords(tmp_path / "registry") as host:
            engine = select_engine("podman")
            with pytest.raises(UsageError, match="requires a login"):
                podman_engine.push(name, f"{host}/team/it:1", lambda *_: None)
            login(tmp_path, host, registries.USER, registries.PASSWORD)
            assert podman_engine.push(name, f"{host}/team/it:1", lambda *_: None).startswith("sha")
            with pytest.raises(BuildFailedError, match="cannot save the image"):
                podman_engine.push("localhost/none", f"{host}/team/it:1", lambda *_: None)
            with pytest.raises(UsageError, match="not a valid image reference"):
                engine.images.push("a/B", lambda *_: None)
    finally:
        subprocess.run(["podman", "rmi", name], check=True, capture_output=True)


def test_foreign_image_is_refused(registry, names, tmp_path):
    name = names(registry)
    load(tmp_path, name, {"a": b"1"})
    done = modelpack("push", name)
    assert done.returncode == 2
    assert "was not created by modelpack" in done.stderr
    assert in_registry(name) is None


def in_registry(name: str):
    with connect(name) as repository:
        return repository.find_manifest()


@pytest.mark.parametrize(
    ("reference", "other", "why"),
    [
        ("modelpack-test/none:1", None, "Docker has no image"),
        ("modelpack-test/none@sha256:" + "a" * 64, None, "not a valid name of a new image"),
        ("a", "a/UPPER", "not a valid image reference"),
        ("-x", None, "not a valid image reference"),
    ],
)
def test_invalid_references_are_usage_errors(reference, other, why):
    with pytest.raises(UsageError, match=why):
        push(reference, other)


def test_reference_without_a_registry_is_reported_before_any_request():
    with pytest.raises(UsageError, match="iris:1 names no registry") as caught:
        push("iris:1")
    assert caught.value.hint == "modelpack push iris:1 --as REGISTRY/TEAM/iris:1"


def test_unknown_host_is_an_error(image_name, names):
    with pytest.raises(UsageError, match="the host does not exist"):
        push(image_name, names("registry.invalid"))


def test_a_port_without_a_registry(image_name, names):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(UsageError, match="nothing listens there"):
        push(image_name, names(f"127.0.0.1:{port}"))


def test_a_process_has_no_images(image_name):
    with pytest.raises(NoEngineError, match="cannot be pushed: the engine `process` has no images"):
        pipeline_push.push(Pipeline(Options(engine="process")), image_name)


def test_interrupt_ends_a_push_at_once(image_name, names):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        name = names(f"127.0.0.1:{silent.getsockname()[1]}")
        command = [sys.executable, "-m", "modelpack", "push", image_name, "--as", name]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        silent.settimeout(30)
        silent.accept()[0].close()
        connection, _ = silent.accept()
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert "interrupted" in process.communicate(timeout=30)[1]
        connection.close()
    assert process.returncode == 130
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("engine_message", "kind", "why", "hint"),
    [
        (
            "http: server gave HTTP response to HTTPS client",
            UsageError,
            "does not use TLS",
            "insecure-reg",
        ),
        (
            "tls: x509: certificate signed by unknown",
            UsageError,
            "trusted authority",
            "/certs.d/a.test/ca.crt",
        ),
        ("denied: requested access to x is denied", UsageError, "denies", "docker login a.test as"),
        (
            "unauthorized: authentication required",
            UsageError,
            "requires a login",
            "docker login a.test",
        ),
        ("net/http: TLS handshake timeout", UsageError, "in time", "later"),
        ("received unexpected HTTP status: 413", BuildFailedError, "too large", "limit"),
        ("received unexpected HTTP status: 500", BuildFailedError, "500", "Try again"),
        ("Put http://a.test/x?_state=s3cret: EOF", BuildFailedError, "a.test/x", "Try again"),
    ],
)
def test_errors_of_the_engine_are_explained(engine_message, kind, why, hint):
    problem = transfers.failure("a.test", engine_message)
    assert type(problem) is kind
    assert why in problem.message
    assert hint in problem.hint
    assert "s3cret" not in problem.message
