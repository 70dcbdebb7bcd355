"""Real images, built and run by Podman as it is here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import docker
import engine_bundles
import pytest
from waiting import get_when_ready

from modelpack.engines import BuildCache, select_engine
from modelpack.engines.docker.connection import build_image
from modelpack.engines.docker.engine import DockerEngine
from modelpack.engines.local_base import build_base
from modelpack.engines.podman import build
from modelpack.engines.podman import service as podman_service
from modelpack.engines.protocol import StepEvent
from modelpack.errors import BuildFailedError, NoEngineError, UsageError
from modelpack.oci import filesystem
from modelpack.types import BaseImage, Bundle, Image, IndexSettings

pytestmark = pytest.mark.engine
IRIS = Path(__file__).parents[3] / "sample_models/iris/model.joblib"
NAME = f"modelpack-test/podman-{os.getpid()}:1"


@pytest.fixture(scope="module")
def client(podman: DockerEngine) -> docker.DockerClient:
    return podman.builder.host.client


@pytest.fixture(scope="module")
def bundle(podman_base: BaseImage, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return engine_bundles.make(tmp_path_factory.mktemp("echo") / "bundle", podman_base)


@pytest.fixture(scope="module")
def image(
    podman: DockerEngine, client: docker.DockerClient, bundle: Bundle, index: IndexSettings
) -> Iterator[Image]:
    yield podman.images.tag(podman.builder.build(bundle, index, lambda _: None), NAME)
    client.images.remove(f"localhost/{NAME}")


def run(podman: DockerEngine, *command: str) -> str:
    done = subprocess.run(
        ["podman", *command],
        env=podman.builder.host.environ,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def containers(podman: DockerEngine) -> list[str]:
    return run(podman, "ps", "--all", "--quiet", "--filter=label=dev.modelpack.smoke=1").split()


@pytest.mark.slow
def test_a_model_becomes_an_image_that_passes_every_check(
    podman: DockerEngine, podman_base: BaseImage, client: docker.DockerClient
) -> None:
    name = NAME.replace("podman-", "podman-iris-")
    command = [sys.executable, "-m", "modelpack", "package", str(IRIS), "--engine=podman", "--json"]
    command += [f"--tag={name}", f"--base-image={podman_base.reference}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["image"]["reference"] == f"localhost/{name}"
    assert result["smoke"]["engine"] == "podman"
    assert {check["name"]: check["detail"] for check in result["smoke"]["checks"]}[
        "health"
    ] == "healthy"
    predict = [sys.executable, "-m", "modelpack", "predict", name, "--engine=podman", "-q"]
    rows = b"5.1,3.5,1.4,0.2\n"
    predicted = subprocess.run(predict, input=rows, capture_output=True, check=False)
    assert predicted.stdout.splitlines()[1:] == [b"setosa"], predicted.stderr
    client.images.remove(f"localhost/{name}")
    assert not containers(podman)


def test_the_service_runs_hardened_and_ends_well(
    podman: DockerEngine, image: Image, client: docker.DockerClient
) -> None:
    with podman.runner.run(NAME) as service:
        get_when_ready(f"{service.url}/readyz")
        host = client.api.inspect_container(service._container.id)["HostConfig"]
        assert host["ReadonlyRootfs"]
        assert host["Memory"] == host["MemorySwap"] == 2**31
        assert host["PidsLimit"] == 256
        assert service.url.startswith("http://127.0.0.1:")
        assert (service.health(), service.engine) == ("healthy", "podman")
        assert service.user_id() == json.loads(get_when_ready(f"{service.url}/process"))["uid"] > 0
        assert "Listening at" in service.logs()
        memory = service.memory_bytes()
        assert memory is None or 10_000_000 < memory < 2**31
        seconds = service.cpu_seconds()
        assert (seconds is None) == (memory is None)
        assert seconds is None or 0.05 < seconds < 100
        assert service.stop(timeout=10) == 0
        assert (service.is_running(), service.user_id()) == (False, None)


def test_it_serves_any_user(podman: DockerEngine, image: Image) -> None:
    options = "--rm --detach --read-only --cap-drop ALL --security-opt no-new-privileges"
    user = "--user 12345:0 --tmpfs /tmp --publish 127.0.0.1::8080"
    container = run(podman, "run", *options.split(), *user.split(), image.id)
    try:
        address = run(podman, "port", container, "8080")
        assert json.loads(get_when_ready(f"http://{address}/process"))["uid"] == 12345
    finally:
        run(podman, "rm", "--force", container)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, ValueError])
def test_no_container_outlives_the_block(
    podman: DockerEngine, image: Image, interruption: type[BaseException]
) -> None:
    def use() -> None:
        with podman.runner.run(image.id):
            assert containers(podman)
            raise interruption

    with pytest.raises(interruption):
        use()
    assert not containers(podman)


def test_a_killed_modelpack_leaves_no_container_and_no_service(
    podman: DockerEngine, image: Image
) -> None:
    program = (
        "import sys, time\n"
        "from modelpack.engines import select_engine as select\n"
        "with select('podman').runner.run(sys.argv[1]) as service:\n"
        "    print(service._container.client.api.base_url, flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, image.id]
    forwarded = _forwarded_ports()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline()
        assert len(_forwarded_ports() - forwarded) == 1
        services = _services(parent.pid)
        assert (len(containers(podman)), len(services)) == (1, 1)
        parent.kill()
    waited = threading.Event()
    for _ in range(100):
        if (
            not containers(podman)
            and not Path(f"/proc/{services[0]}/cmdline").exists()
            and _forwarded_ports() <= forwarded
        ):
            break
        waited.wait(0.1)
    assert not containers(podman)
    assert not Path(f"/proc/{services[0]}/cmdline").exists()
    # A rule that is left sends the next program that listens there to a container that is gone.
    assert _forwarded_ports() <= forwarded


def _forwarded_ports() -> set[str]:
    """Return the firewall rules by which ports of this machine lead to containers of Podman."""
    programs = (["iptables", "-t", "nat", "-S"], ["nft", "list", "ruleset"])
    return {
        line.strip()
        for program in programs
        if shutil.which(program[0])
        for line in subprocess.run(
            program, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        if re.search(r"--dport \d+ .*--comment|tcp dport \d+ .*comment", line) and "podman" in line
    }


def _services(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [
        int(pid) for pid in children if b"\0service\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def test_references_are_local_and_match_completely(
    podman: DockerEngine, image: Image, bundle: Bundle
) -> None:
    """Podman itself would take "podman-7:1" for any "HOST/modelpack-test/podman-7:1"."""
    assert image.reference == f"localhost/{NAME}"
    manifest = json.loads((bundle.directory / "modelpack.json").read_text())
    assert podman.images.read_manifest(NAME) == podman.images.read_manifest(image.id) == manifest
    with pytest.raises(UsageError, match="Podman has no image podman-") as caught:
        podman.images.read_manifest(NAME.partition("/")[2])
    assert caught.value.hint.startswith("podman pull ")
    with pytest.raises(UsageError, match="not a valid image reference"):
        podman.images.tag(image, "No/Such")


def test_base_image_is_not_taken_from_another_registry(
    podman: DockerEngine, podman_base: BaseImage
) -> None:
    python = podman_base.python
    found = podman.builder.find_base_image([python], podman_base.reference)
    assert (found.reference, found.python, found.digest) == (podman_base.reference, python, None)
    with pytest.raises(NoEngineError, match=f"The base image python:{python}-slim is not"):
        podman.builder.find_base_image([python], f"python:{python}-slim", pull=False)


def test_image_description_equals_that_of_docker(image: Image, podman_base: BaseImage) -> None:
    assert image.labels["org.opencontainers.image.base.name"] == podman_base.reference
    assert image.size_bytes > 10_000_000
    assert image.layers[-1].created_by.startswith("/bin/sh -c #(nop) COPY")


def test_the_same_bundle_gives_the_same_files_and_settings_as_with_docker(
    podman: DockerEngine, engine: DockerEngine, image: Image, bundle: Bundle, index: IndexSettings
) -> None:
    built = engine.builder.build(bundle, index, lambda _: None)
    try:
        with engine.images.open_image(built.id) as theirs, podman.images.open_image(NAME) as ours:
            files, expected = (
                filesystem.merge_layers(map(filesystem.layer_listing, each.layers))
                for each in (ours, theirs)
            )
            assert files == expected
            # Docker has an empty layer for WORKDIR, and keeps variables in another order.
            assert {layer.diff_id for layer in ours.layers} < {e.diff_id for e in theirs.layers}
            settings = {**ours.config["config"], "Env": sorted(ours.config["config"]["Env"])}
            docker_config = theirs.config["config"]
            assert settings == {**docker_config, "Env": sorted(docker_config["Env"])}
            assert theirs.config["created"] == engine_bundles.IMAGE_DATE
            assert ours.config["created"] == "1980-01-01T00:00:00Z"  # that of its files
    finally:
        engine.images.remove_untagged(built)


def test_a_second_build_is_the_same_image_and_runs_nothing(
    podman: DockerEngine, image: Image, bundle: Bundle, index: IndexSettings
) -> None:
    events: list[StepEvent] = []
    assert podman.builder.build(bundle, index, events.append).id == image.id
    steps = {event.name: event.state for event in events if " RUN " in event.name}
    assert steps
    assert {*steps.values()} == {"cached"}


def test_steps_whose_layers_were_removed_are_taken_from_a_cache_in_a_registry(
    podman: DockerEngine, registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "registries.conf"
    settings.write_text(f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n')
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(settings))
    context = tmp_path / "context"
    context.mkdir()
    (context / "file").write_text(str(uuid.uuid4()))
    (context / "Dockerfile").write_text("FROM scratch\nCOPY file /1\nCOPY file /2\n")
    cache, results = f"type=registry,ref={registry}/steps,mode=max", []
    for location in (BuildCache((), (cache,)), BuildCache((cache,))):
        events: list[StepEvent] = []
        options, variables = build.cache_options(location, {})
        environ = {**podman.builder.host.environ, **variables}
        id_ = build_image(build, context, events.append, environ=environ, options=options)
        steps = {event.name: event.state for event in events if "COPY" in event.name}
        results.append((id_, [*steps.values()]))
        run(podman, "rmi", id_)
    (exported, first), (imported, second) = results
    assert (first, second) == (["done", "done"], ["cached", "cached"])
    assert exported == imported


def test_build_fails_if_a_package_differs_from_the_lock(
    podman: DockerEngine, podman_base: BaseImage, tmp_path: Path, index: IndexSettings
) -> None:
    lock = f"itsdangerous==2.2.0 --hash=sha256:{'0' * 64}\n"
    wrong = engine_bundles.make(tmp_path / "bundle", podman_base, lock=lock)
    events: list[StepEvent] = []
    with pytest.raises(BuildFailedError, match="DO NOT MATCH THE HASHES") as caught:
        podman.builder.build(wrong, index, events.append)
    assert re.search(
        r"in the step \[\d+/\d+\] RUN .*assembly\.wheels.*exit status 1", caught.value.message
    )
    assert "locked" in caught.value.hint
    assert events[-1].state == "failed"


@pytest.mark.parametrize("where", ["RUN sleep 23.5", "FROM"])
def test_a_build_that_is_interrupted_leaves_nothing(
    podman: DockerEngine, podman_base: BaseImage, tmp_path: Path, where: str
) -> None:
    dockerfile = f"FROM {podman_base.reference} AS a\nRUN true\nRUN sleep 23.5\n"
    (tmp_path / "Dockerfile").write_text(f"{dockerfile}FROM a\nCOPY --from=a /etc/hostname /x\n")

    def interrupt(event: StepEvent) -> None:
        if where in event.name and event.state == "started":
            threading.Event().wait(0.7)  # for its command to run
            raise KeyboardInterrupt

    before = run(podman, "ps", "--all", "--external", "--quiet")
    with pytest.raises(KeyboardInterrupt):
        build.run(tmp_path, interrupt, environ=podman.builder.host.environ, options=["--no-cache"])
    assert run(podman, "ps", "--all", "--external", "--quiet") == before
    commands = subprocess.run(["ps", "-e", "-o", "args"], capture_output=True, check=True).stdout
    assert b"sleep 23.5" not in commands.splitlines()


def test_untagged_image_is_removed_without_its_base(
    podman: DockerEngine, image: Image, client: docker.DockerClient
) -> None:
    podman.images.remove_untagged(image)
    assert client.images.get(image.id).tags == [f"localhost/{NAME}"]
    podman.images.remove_untagged(replace(image, id="sha256:" + "0" * 64))


def test_an_image_is_pushed_as_it_is(podman: DockerEngine, image: Image, registry: str) -> None:
    name = f"{registry}/{NAME}"
    podman.images.tag(Image(NAME, NAME, 0, (), {}), name)
    layers: dict[str, int] = {}
    try:
        digest = podman.images.push(name, lambda layer, done, _: layers.__setitem__(layer, done))
        command = ["skopeo", "inspect", "--tls-verify=false", f"docker://{name}"]
        inspected = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        assert inspected["Digest"] == digest
        assert inspected["Labels"] == dict(image.labels)
        assert len(layers) >= 5
    finally:
        run(podman, "rmi", name)


@pytest.mark.slow
def test_local_base_image_is_built(podman: DockerEngine, podman_base: BaseImage) -> None:
    name = f"localhost/{NAME.replace('podman-', 'podman-base-')}"
    base = build_base(podman_base.python, reference=name, engine="podman", on_step=lambda _: None)
    try:
        found = podman.builder.find_base_image([base.python], base.reference)
        assert (found.python, found.digest) == (podman_base.python, None)
    finally:
        run(podman, "rmi", name)


# --- without an engine ---------------------------------------------------------------------------

OUTPUT = """\
[1/2] STEP 1/2: FROM base AS one
[1/2] STEP 2/2: RUN --mount=type=secret,id=ca true
--> Using cache 983b791b2a3d4bd70743c7daa8efc597811baa9fd21e3836d46c3efa3361eaa9
--> 983b791b2a3d
time="2026-01-01T00:00:00Z" level=warning msg="nothing to worry about"
[2/2] STEP 1/1: RUN pip install x
said \x1b[31mby\x1b[0m https://user:secret@host/
[2/2] STEP 2/2: COPY --from=one /a /b
Error: building at STEP "RUN pip install x": while running runtime: exit status 1
"""


def test_progress_of_the_builder_is_parsed() -> None:
    events: list[StepEvent] = []
    progress = build.Progress(events.append)
    progress.read(OUTPUT.splitlines(keepends=True))
    assert [(event.name, event.state) for event in events] == [
        ("[1/2] FROM base AS one", "started"),
        ("[1/2] FROM base AS one", "done"),
        ("[1/2] RUN true", "started"),
        ("[1/2] RUN true", "cached"),
        ("[2/2] RUN pip install x", "started"),
        ("[2/2] RUN pip install x", "done"),
        ("[2/2] COPY --from=one /a /b", "started"),
        ("[2/2] RUN pip install x", "failed"),
    ]
    assert (progress.failed_step, progress.error) == ("[2/2] RUN pip install x", "exit status 1")
    assert progress.output == ["said by https://***@host/"]


@pytest.mark.parametrize(
    ("capabilities", "limit", "limits"),
    [
        ("000001fffeffffff", 20000, 'default_ulimits = ["nofile=20000:20000", "nproc='),
        ("000001ffffffffff", 20000, ""),
        ("0000000000000000", -1, ""),
    ],
)
def test_limits_are_passed_to_podman_if_they_cannot_be_raised(
    capabilities: str, limit: int, limits: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "status").write_text(f"Name:\tx\nCapEff:\t{capabilities}\n")
    monkeypatch.setattr(podman_service, "_STATUS", tmp_path / "status")
    monkeypatch.setattr(podman_service, "_UNIFIED", tmp_path / "none")
    monkeypatch.setattr(podman_service.resource, "getrlimit", lambda _: (1, limit))
    text = podman_service.overrides()
    assert bool(text) == bool(limits)
    assert limits in text


def test_runtime_is_replaced_if_the_default_of_podman_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, runtime_name in (("podman", "crun"), ("runc", "")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {runtime_name}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "controllers").write_text("hugetlb\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(podman_service, "_UNIFIED", tmp_path / "controllers")
    assert '[engine]\nruntime = "runc"\n' in podman_service.overrides()
    (tmp_path / "controllers").write_text("\n")
    assert "runc" not in podman_service.overrides()


def test_the_users_own_settings_win(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(podman_service.shutil, "which", {"iptables": "/sbin/iptables"}.get)
    assert podman_service.podman_variables({})["NETAVARK_FW"] == "iptables"
    assert "NETAVARK_FW" not in podman_service.podman_variables({"NETAVARK_FW": "none"})


def test_error_of_podman_at_start_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "podman").write_text("#!/bin/sh\necho 'Error: no storage here' >&2; exit 125\n")
    (tmp_path / "podman").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(NoEngineError, match="does not start: Error: no storage here") as caught:
        select_engine("podman")
    assert "podman info" in caught.value.hint


LATE = """#!{python}
import http.server, socketserver, sys, time

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{{"ApiVersion": "1.41", "Os": "linux", "Arch": "amd64"}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "unix"

if sys.argv[1] != "system":
    sys.exit(1)
path = sys.argv[-1].removeprefix("unix://")
server = socketserver.UnixStreamServer(path, Answer, bind_and_activate=False)
server.server_bind()
time.sleep(0.5)  # the socket exists, but refuses connections
server.server_activate()
server.serve_forever()
"""


def test_a_service_that_does_not_listen_yet_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "podman").write_text(LATE.format(python=sys.executable))
    (tmp_path / "podman").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert select_engine("podman").name == "podman"
