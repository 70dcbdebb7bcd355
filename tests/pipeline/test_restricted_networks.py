"""Places without freedom: an index behind a company's authority, password and proxy; no network at
all; distributions without wheels; another platform. With real pips in real builds.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import engine_bundles
import indexes
import pytest
import requests
from waiting import get_when_ready

from modelpack.bundle.manifest import debian_packages
from modelpack.engines import DebianPackages, interpreters
from modelpack.engines.docker import buildx
from modelpack.engines.docker.engine import DockerEngine
from modelpack.engines.local_base import build_base
from modelpack.environment import index_settings, resolve, wheelhouse
from modelpack.errors import BuildFailedError, EnvironmentNotResolvedError, NoEngineError
from modelpack.inspection import inspect
from modelpack.types import BaseImage, Bundle, Environment, IndexSettings

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
IRIS = ROOT / "sample_models" / "iris"
CANARY = "canary-5e19"
PASSWORD = f"{CANARY}:{CANARY}"
SPEC = replace(engine_bundles.SPEC, framework_version=None, requirements={})
STACK = ("flask", "gunicorn", "numpy", "orjson", "prometheus-client")
OLD, NEW = "3.7", "3.13"
JSON = {"Content-Type": "application/json"}


@dataclass
class Company:
    """An index with an authority of its own and a password. `right`, `wrong`: files of authorities;
    `lock`: of a distribution that the index alone has.
    """

    index: indexes.Index
    right: Path
    wrong: Path
    lock: str

    @property
    def settings(self) -> IndexSettings:
        return IndexSettings(with_password(self.index.url), ca_bundle=str(self.right))


@pytest.fixture(scope="module")
def company(tmp_path_factory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("authorities")
    (right, server), (wrong, _) = (indexes.authority(folder / name) for name in ("one", "other"))
    right.write_text(f"{right.read_text()}# {CANARY}\n")
    index = indexes.Index(password=PASSWORD)
    *_, digest = (index.add(indexes.wheel(name)) for name in (*STACK, "private-package"))
    with indexes.serve_index(index, server):
        yield Company(index, right, wrong, f"private-package==1.0 --hash=sha256:{digest}\n")


@pytest.fixture
def bare(monkeypatch, tmp_path) -> None:
    """Nothing of this machine's settings, and nothing that uv has seen before."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")) or name in {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_NO_CONFIG", "1")


def with_password(url: str) -> str:
    return url.replace("://", f"://{PASSWORD}@")


def lock(settings: IndexSettings, *requirements: str, python: str = NEW) -> Environment:
    return resolve(SPEC, python, index=settings, requirements=requirements)


# --- the lock ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("setting", ["--ca-cert", "PIP_CERT", "SSL_CERT_FILE"])
def test_lock_trusts_the_ca_from_every_setting(company, monkeypatch, setting):
    certificate = str(company.right)
    if setting != "--ca-cert":
        monkeypatch.setenv(setting, certificate)
    url, ca_cert = with_password(company.index.url), certificate if setting == "--ca-cert" else None
    settings = index_settings(index_url=url, ca_cert=ca_cert)
    assert lock(settings, "private-package").requirements["private-package"] == "1.0"


def modelpack(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "modelpack", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.usefixtures("bare")
def test_wrong_ca_has_a_specific_message_and_exit_code(company):
    index = ["--index-url", with_password(company.index.url), "--ca-cert", company.wrong]
    done = modelpack("lock", IRIS / "model.joblib", *index)
    assert done.returncode == 5
    assert "The certificate of the package index is not trusted" in done.stderr
    assert "--ca-cert FILE" in done.stderr
    assert CANARY not in done.stderr + done.stdout


@pytest.mark.usefixtures("bare")
def test_lock_uses_the_proxy_and_reports_its_refusals(company, monkeypatch):
    with indexes.run_proxy(indexes.Proxy(PASSWORD)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        lock(company.settings, "private-package")
        assert set(proxy.requested) == {company.index.host}
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace(f":{CANARY}@", ":wrong@"))
        monkeypatch.setenv("UV_NO_CACHE", "1")
        with pytest.raises(
            EnvironmentNotResolvedError, match="The proxy does not connect"
        ) as caught:
            lock(company.settings, "private-package")
    assert CANARY not in caught.value.message


@pytest.mark.usefixtures("bare")
def test_the_proxy_of_pip_counts_where_no_variable_names_one(company, tmp_path, monkeypatch):
    url, ca_cert = with_password(company.index.url), str(company.right)
    with indexes.run_proxy(indexes.Proxy(PASSWORD)) as proxy:
        (tmp_path / "pip.conf").write_text(f"[global]\nproxy = {proxy.url}\n")
        monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
        settings = index_settings(index_url=url, ca_cert=ca_cert)
        locked = lock(settings, "private-package")
        count = len(proxy.requested)
        wheelhouse.fill(tmp_path / "house", locked, NO_BASE, settings, lambda *_: None)
    assert 0 < count < len(proxy.requested)


@pytest.mark.usefixtures("bare")
def test_keyring_is_queried_as_by_pip_and_uv(company, tmp_path, monkeypatch):
    keyring, url = tmp_path / "keyring", company.index.url
    keyring.write_text(f'#!/bin/sh\n[ "$*" = "get {url} {CANARY}" ] && echo {CANARY}\n')
    keyring.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    user = url.replace("://", f"://{CANARY}@")
    assert index_settings(index_url=user).index_url == user
    monkeypatch.setenv("UV_KEYRING_PROVIDER", "subprocess")
    settings = index_settings(index_url=user, ca_cert=str(company.right))
    assert lock(settings, "private-package").requirements["private-package"] == "1.0"


# --- the build -----------------------------------------------------------------------------------

NO_BASE = BaseImage("python:3.13-slim", NEW, "registry")


@pytest.fixture
def make_bundle(engine, company, tmp_path) -> Callable[[str], Bundle]:
    """Render bundles with only the company's distribution, on the base of a Python version."""

    def make(python: str) -> Bundle:
        # The comment keeps what another test has built out of the way.
        lock = f"# {tmp_path.name}\n{company.lock}"
        return engine_bundles.make(
            tmp_path / "bundle", engine.builder.find_base_image([python]), lock=lock
        )

    return make


@pytest.mark.parametrize("python", [OLD, NEW])
@pytest.mark.parametrize("where", ["url", "netrc"])
def test_the_build_reaches_the_index_with_old_and_new_pips(
    engine, company, make_bundle, where, python
):
    """The pip of Python 3.7 is 22, that of 3.13 is 24 and trusts by other means."""
    bundle, settings = make_bundle(python), company.settings
    if where == "netrc":
        netrc = Path(f"{bundle.path}.netrc")
        netrc.write_text(f"machine localhost login {CANARY} password {CANARY}\n")
        settings = replace(settings, index_url=company.index.url, netrc=str(netrc))
    company.index.paths.clear()
    engine.images.remove_untagged(engine.builder.build(bundle, settings, lambda _: None))
    assert any(path.startswith("/files/private_package") for path in company.index.paths)


def test_a_wrong_authority_fails_the_build_with_its_own_hint(engine, company, make_bundle):
    settings = replace(company.settings, ca_bundle=str(company.wrong))
    refused(engine, make_bundle(NEW), settings, "--ca-cert FILE")


def test_a_wrong_password_fails_the_build_with_its_own_hint(engine, company, make_bundle):
    url = company.settings.index_url.replace(f":{CANARY}@", f":wrong-{CANARY}@")
    refused(engine, make_bundle(NEW), replace(company.settings, index_url=url), "credentials")


def refused(engine: DockerEngine, bundle: Bundle, settings: IndexSettings, hint: str) -> None:
    with pytest.raises(BuildFailedError) as caught:
        engine.builder.build(bundle, settings, lambda _: None)
    assert caught.value.exit_code == 6
    assert hint in caught.value.hint
    assert CANARY not in caught.value.message


class Processes:
    """The command lines of all processes of this machine, looked at again and again."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Processes:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes())
                except OSError:  # it has ended
                    continue


def test_no_secret_is_left_anywhere(engine, company, make_bundle, monkeypatch):
    """URL, netrc, CA bundle and proxy all hold the canary: it is in no layer, configuration or
    history of the image, in no file of the bundle, in no progress and on no command line.
    """
    bundle, events = make_bundle(NEW), []
    netrc = Path(f"{bundle.path}.netrc")
    netrc.write_text(f"machine other.test login {CANARY} password {CANARY}\n")
    settings = replace(company.settings, netrc=str(netrc))
    with indexes.run_proxy(indexes.Proxy(PASSWORD)) as proxy, Processes() as processes:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        image = engine.builder.build(bundle, settings, events.append)
    assert set(proxy.requested) == {company.index.host}
    try:
        kept = [*saved(image.id), *described(image.id), str(events).encode()]
    finally:
        engine.images.remove_untagged(image)
    kept += [path.read_bytes() for path in bundle.directory.rglob("*") if path.is_file()]
    kept += processes.seen
    controls = (
        b"NAME = 'private-package'",
        b"HEALTHCHECK",
        b"assembly.wheels",
        b"--secret=id=netrc",
    )
    assert [text for text in controls if not any(text in content for content in kept)] == []
    secret = base64.b64encode(PASSWORD.encode())
    assert [c[:200] for c in kept if CANARY.encode() in c or secret in c] == []


def saved(image: str) -> Iterator[bytes]:
    """Yield each file of each layer, and the other files of the image."""
    archive = subprocess.run(["docker", "save", image], check=True, capture_output=True).stdout
    for content in members(archive):
        try:
            yield from members(content)
        except tarfile.ReadError:
            yield content


def members(archive: bytes) -> list[bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return [tar.extractfile(member).read() for member in tar if member.isreg()]


def described(image: str) -> Iterator[bytes]:
    for command in (["history", "--no-trunc"], ["inspect"]):
        yield subprocess.run(["docker", *command, image], check=True, capture_output=True).stdout


# --- without a network ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Path:
    """A wheelhouse of the iris sample."""
    folder = tmp_path_factory.mktemp("wheelhouse") / "house"
    done = modelpack("lock", IRIS / "model.joblib", "--python", NEW, "--download", folder)
    assert done.returncode == 0, done.stderr
    return folder


def cut_off(*arguments: object) -> subprocess.CompletedProcess[str]:
    """In a network of its own, which has a loopback and nothing else."""
    script = 'ip link set lo up && exec "$0" "$@"'
    command = [sys.executable, "-m", "modelpack", *map(str, arguments)]
    dead = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    return subprocess.run(
        ["unshare", "--net", "sh", "-c", script, *command],
        env={**os.environ, **dead},
        capture_output=True,
        text=True,
        check=False,
    )


def test_bundle_is_the_same_without_a_network(house, tmp_path):
    model, chosen = IRIS / "model.joblib", ["--python", NEW]
    online, offline = tmp_path / "online", tmp_path / "offline"
    assert modelpack("bundle", model, *chosen, "-o", online).returncode == 0
    done = cut_off("bundle", model, *chosen, "-o", offline, "--offline", house)
    assert done.returncode == 0, done.stderr
    assert texts(online) == texts(offline)
    assert (house / "requirements.lock").read_text() == texts(offline)["requirements.lock"]


def texts(bundle: Path) -> dict[str, str]:
    names = ("Dockerfile", "requirements.lock", "modelpack.json", "app.py")
    return {name: (bundle / name).read_text() for name in names}


def test_without_a_network_the_image_is_built_and_predicts(engine, house):
    name = "modelpack-test/offline:1"
    done = cut_off("package", IRIS / "model.joblib", "--offline", house, "-t", name, "--no-smoke")
    assert done.returncode == 0, done.stderr
    try:
        with engine.runner.run(name) as service:
            get_when_ready(f"{service.url}/readyz")
            body = (IRIS / "request.json").read_bytes()
            answer = requests.post(f"{service.url}/predict", data=body, headers=JSON, timeout=10)
    finally:
        subprocess.run(["docker", "rmi", name], check=True, capture_output=True)
    assert answer.json() == json.loads((IRIS / "response.json").read_text())


def test_without_a_network_a_local_process_serves(house, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    options = ["--engine", "process", "--offline", house, "-o", tmp_path / "bundle"]
    done = cut_off("package", IRIS / "model.joblib", *options)
    assert done.returncode == 0, done.stderr
    assert "checks passed" in done.stderr


@pytest.mark.parametrize(
    ("options", "code", "message", "hint"),
    [
        (["--python", "3.11"], 5, "is for Python 3.13 on linux/amd64", "--download"),
        (["--requirement", "pandas"], 5, "pandas was not found", "--download"),
        (["--platform", "linux/arm64"], 5, "is for Python 3.13 on linux/amd64", "linux/arm64"),
        (["--base-image", "modelpack-test/none:1"], 8, "is not available locally", "docker pull"),
    ],
)
def test_missing_files_of_a_wheelhouse_are_reported_at_once(house, options, code, message, hint):
    done = cut_off("bundle", IRIS / "model.joblib", "--offline", house, "-o", "never", *options)
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    assert hint in done.stderr.partition("hint:")[2]
    assert not Path("never").exists()


def test_debian_packages_are_installed_from_the_wheelhouse(engine, company, index, tmp_path):
    base = engine.builder.find_base_image([NEW])
    lock = f"# debian\n{company.lock}"
    bundle = engine_bundles.make(
        tmp_path / "bundle", base, lock=lock, system_packages=("libgomp1",)
    )
    stages, house = debian_packages(bundle.model, bundle.environment), tmp_path / "house"
    wheelhouse.fill(house, bundle.environment, base, company.settings, lambda *_: None)
    packages = DebianPackages(base, bundle.environment.platform, stages)
    engine.builder.download_debian_packages(packages, house / "debian", index, lambda _: None)
    wheelhouse.write_manifest(house)
    image = engine.builder.build(bundle, IndexSettings(wheelhouse=str(house)), lambda _: None)
    run_in(image.id, "python -c 'import ctypes; ctypes.CDLL(\"libgomp.so.1\")'")
    assert "libgomp1" in run_in(image.id, "ls /var/lib/dpkg/status.d").split()
    engine.images.remove_untagged(image)


def run_in(image: str, script: str) -> str:
    command = ["docker", "run", "--rm", "--network=none", "--entrypoint=sh", image, "-ec", script]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# --- built from source ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base_with_headers(engine) -> Iterator[BaseImage]:
    """As official images are; a local one may have been made before it had them."""
    base = engine.builder.find_base_image([NEW])
    if "Python.h" in run_in(base.reference, f"ls /usr/local/include/python{NEW}* || true"):
        yield base
        return
    interpreter = interpreters.find(NEW)
    if interpreter and interpreter.is_relative_to("/usr/bin") and not os.environ.get("CI"):
        pytest.skip("the only interpreter here is the distribution's, which has no headers")
    built = build_base(NEW, reference="modelpack-test/headers:1", on_step=lambda _: None)
    yield built
    subprocess.run(["docker", "rmi", built.reference], check=True, capture_output=True)


def test_sdists_are_built_and_the_compiler_is_left_out(engine, base_with_headers, index, tmp_path):
    """One module in C, needed by what the user named, and one in Python."""
    sources = indexes.Index()
    sources.add(indexes.sdist("tiny-compiled", compiled=True))
    sources.add(indexes.sdist("tiny-pure"))
    sources.add(indexes.wheel("wrapper", requires=("tiny-compiled",)))
    with indexes.serve_index(sources):
        settings = replace(index, extra_index_urls=(sources.url,))
        locked = lock(settings, "wrapper", "tiny-pure")
        fields = {field: getattr(locked, field) for field in ("lock", "sdists", "build_lock")}
        bundle = engine_bundles.make(tmp_path / "bundle", base_with_headers, **fields)
        image = engine.builder.build(bundle, settings, lambda _: None)
    assert locked.sdists == ("tiny-compiled", "tiny-pure")
    script = "import tiny_compiled, tiny_pure; print(tiny_compiled.answer(), tiny_pure.answer())"
    assert run_in(image.id, f'python -c "{script}"; which gcc cc g++ || true').strip() == "42 42"
    found = run_in(image.id, "ls /opt/venv/lib/python*/site-packages")
    assert "setuptools" not in found
    engine.images.remove_untagged(image)


# --- another platform ----------------------------------------------------------------------------


def test_a_lock_for_arm64_takes_its_wheels(tmp_path, index):
    spec = inspect(IRIS / "model.joblib")
    for platform, machine in (("linux/amd64", "x86_64"), ("linux/arm64", "aarch64")):
        locked = resolve(spec, NEW, platform=platform, index=index)
        wheelhouse.fill(tmp_path / machine, locked, NO_BASE, index, lambda *_: None)
        wheels = [path.name for path in (tmp_path / machine).glob("*.whl")]
        assert len(wheels) == len(locked.requirements)
        assert {w.rpartition("-")[2] for w in wheels if machine not in w} == {"any.whl"}
    assert any("scikit_learn" in path.name for path in (tmp_path / "aarch64").iterdir())


def test_a_platform_that_the_engine_does_not_run_stops_before_the_test(engine, tmp_path):
    if "linux/arm64" in buildx.platforms(dict(os.environ)) or engine.platform == "linux/arm64":
        pytest.skip("this engine runs arm64")
    model, arm = IRIS / "model.joblib", ["--platform", "linux/arm64"]
    bundled = modelpack("bundle", model, *arm, "-o", tmp_path / "bundle")
    assert bundled.returncode == 0, bundled.stderr
    assert "modelpack.invalid" not in (tmp_path / "bundle" / "Dockerfile").read_text()
    done = modelpack("package", model, *arm)
    assert done.returncode == 8
    assert "--platform linux/arm64 --no-smoke" in done.stderr


def test_sources_are_not_compiled_for_a_platform_that_does_not_run(engine, base, tmp_path, index):
    if "linux/arm64" in buildx.platforms(dict(os.environ)) or engine.platform == "linux/arm64":
        pytest.skip("this engine runs arm64")
    bundle = engine_bundles.make(
        tmp_path / "bundle", base, platform="linux/arm64", sdists=("shop",), build_lock="x==1"
    )
    with pytest.raises(NoEngineError, match="shop must be built from source for linux/arm64"):
        engine.builder.build(bundle, index, lambda _: None)


def test_the_digest_of_a_base_for_another_platform_is_that_of_the_index(engine):
    """The registry is on the loopback, for which Docker needs no TLS."""
    platforms = [{"architecture": machine, "os": "linux"} for machine in ("amd64", "arm64")]
    kind = "application/vnd.oci.image.index.v1+json"
    entries = [
        {"mediaType": kind.replace("index", "manifest"), "digest": f"sha256:{'0' * 64}", "size": 9}
        for _ in platforms
    ]
    manifests = [{**e, "platform": p} for e, p in zip(entries, platforms, strict=True)]
    body = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": manifests}).encode()
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    with indexes.registry(body, kind) as host:
        base = engine.builder.find_base_image(
            ["3.13"], f"{host}/python:3.13-slim", platform="linux/arm64"
        )
        other = engine.builder.find_base_image(
            ["3.13"], f"{host}/python:3.13-slim", platform="linux/s390x"
        )
        single = engine.builder.find_base_image(
            ["3.13"], f"{host}/python:3.13-slim", platform="linux/arm64", pull=False
        )
    assert (base.digest, other.digest, single.digest) == (digest, None, None)
    assert base.reference == f"{host}/python:3.13-slim"
