"""The registry client, with docker-registry and with hostile servers."""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import images
import proxies
import pytest
import registries

from modelpack import oci
from modelpack.errors import BuildFailedError, UsageError
from modelpack.oci import filesystem, layout
from modelpack.oci.image import INDEX, MANIFEST, Descriptor, blob_from_bytes
from modelpack.oci.registry import http, referrers
from modelpack.oci.registry import push as registry_push
from modelpack.oci.registry.client import RemoteStore, connect

PASSWORD = "s3cret-canary"


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    """Use a home directory without a login, and no waiting times."""
    for name in ("DOCKER_CONFIG", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("REGISTRY_AUTH_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(http, "PAUSES", (0.01,) * 4)
    monkeypatch.setattr(registry_push, "PAUSES", (0.01,) * 4)


def login(
    folder, host: str, user: str = registries.USER, password: str = registries.PASSWORD, **more
) -> None:
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth, **more}}}))


@pytest.fixture
def image(tmp_path):
    """A layout of one image with a layer of 3 MB and a small one; its manifest."""
    layers = [
        images.layer(images.file("big", secrets.token_bytes(3 * 2**20))),
        images.layer(images.file("app/small", b"small")),
    ]
    rootfs = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
    config = {"os": "linux", "architecture": "amd64", "rootfs": rootfs}
    top = layout.write_layout(tmp_path / "layout", [oci.Image(config, tuple(layers))])
    return layout.LayoutStore(tmp_path / "layout"), top


def push(image, name: str, **options) -> list[tuple[str, int, int]]:
    progress: list[tuple[str, int, int]] = []
    with connect(name, **options) as repository:
        assert registry_push.push(*image, repository, lambda *it: progress.append(it)) == image[1]
    return progress


def small(name: str, **options) -> bytes:
    with oci.open_image(name, **options) as image:
        return filesystem.read(image, "app/small")


# --- a registry as it should be


def test_an_image_is_pushed_and_pulled_with_the_same_digest(image, registry):
    name = f"{registry}/a/b:1"
    progress = push(image, name)
    layers = {layer for layer, _, _ in progress}
    assert len(layers) == 2
    assert [it for it in progress if it[1] == 0 and it[2]] != []
    with oci.open_image(name) as found:
        assert found.digest == image[1].digest
        assert filesystem.read(found, "app/small") == b"small"
        assert len(filesystem.read(found, "big")) == 3 * 2**20
    assert small(f"{registry}/a/b@{image[1].digest}") == b"small"
    assert all(done == total for _, done, total in push(image, f"{registry}/a/b:2"))


def test_real_tools_read_a_pushed_image(image, registry):
    images.require_tool("skopeo")
    push(image, f"{registry}/a/tools:1")
    command = ["skopeo", "inspect", "--tls-verify=false", f"docker://{registry}/a/tools:1"]
    assert json.loads(subprocess.check_output(command))["Digest"] == image[1].digest


def test_large_blobs_go_in_parts(image, registry, monkeypatch):
    monkeypatch.setattr(registry_push, "PART", 2**20)
    progress = [
        done for layer, done, total in push(image, f"{registry}/a/parts:1") if total > 2**20
    ]
    assert progress == sorted(progress)
    assert small(f"{registry}/a/parts:1") == b"small"


def test_images_for_several_platforms(tmp_path, registry):
    built = []
    for architecture in ("amd64", "arm64"):
        layer = images.layer(images.file("app/small", architecture.encode()))
        config = {
            "os": "linux",
            "architecture": architecture,
            "rootfs": {"diff_ids": [layer.diff_id]},
        }
        built.append(oci.Image(config, (layer,)))
    top = layout.write_layout(tmp_path / "layout", built)
    push((layout.LayoutStore(tmp_path / "layout"), top), f"{registry}/a/both:1")
    assert small(f"{registry}/a/both:1", platform="linux/arm64") == b"arm64"


def test_missing_images_are_reported(registry):
    with pytest.raises(UsageError, match="has no a/none:1"):
        small(f"{registry}/a/none:1")
    with connect(f"{registry}/a/none") as repository:
        assert repository.find_manifest("1") is None
        assert not repository.has_blob("sha256:" + "a" * 64)


# --- referrers


def test_referrers_are_stored_by_tag_without_the_referrers_api(image, registry):
    push(image, f"{registry}/a/referred:1")
    with connect(f"{registry}/a/referred:1") as repository:
        subject, _ = repository.manifest()
        assert referrers.referrers(repository, subject.digest) == []
        for kind in ("application/x", "application/y", "application/x"):
            descriptor = referrers.attach(
                repository, subject, kind, [blob_from_bytes(b"1", "text/plain")], {"a": kind}
            )
        assert len(referrers.referrers(repository, subject.digest)) == 2
        (found,) = referrers.referrers(repository, subject.digest, "application/x")
        assert found == descriptor
        document = json.loads(repository.manifest(found.digest)[1])
        assert document["subject"]["digest"] == subject.digest
        tagged, _ = repository.manifest(subject.digest.replace(":", "-"))
        assert tagged.media_type == INDEX


# --- connections that break


@pytest.mark.parametrize("part", [2**20, 2**26])
def test_a_push_goes_on_where_a_connection_broke(image, registry, monkeypatch, part):
    monkeypatch.setattr(registry_push, "PART", part)
    with proxies.break_connections(registry, after=700_000, times=2) as host:
        push(image, f"{host}/a/broken{part}:1")
    assert small(f"{registry}/a/broken{part}:1") == b"small"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_) -> None: ...

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Uploads(Handler):
    """Keeps half of the second part, and then closes the connection."""

    received: ClassVar = bytearray()
    starts: ClassVar[list[int]] = []

    def do_HEAD(self) -> None:
        self.answer(404)

    def do_POST(self) -> None:
        self.answer(202, Location="/v2/a/upload")

    def do_GET(self) -> None:
        self.answer(204, Location="/v2/a/upload", Range=f"0-{len(self.received) - 1}")

    def do_PATCH(self) -> None:
        start, _, end = self.headers["Content-Range"].partition("-")
        data = self.rfile.read(int(self.headers["Content-Length"]))
        assert (int(start), int(end) - int(start) + 1) == (len(self.received), len(data))
        self.starts.append(int(start))
        if len(self.starts) == 2:
            self.received.extend(data[: len(data) // 2])
            self.close_connection = True
        else:
            self.received.extend(data)
            self.answer(202, Location="/v2/a/upload")

    def do_PUT(self) -> None:
        self.received.extend(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(201)


def test_a_push_resumes_within_a_part(monkeypatch):
    monkeypatch.setattr(registry_push, "PART", 1000)
    data = secrets.token_bytes(3456)
    with serving_by(Uploads) as host, connect(f"{host}/a") as repository:
        registry_push.upload(repository, blob_from_bytes(data, "text/plain"), lambda *_: None)
    assert Uploads.starts == [0, 1000, 1500, 2500][: len(Uploads.starts)]
    assert bytes(Uploads.received) == data
    assert len(Uploads.starts) > 2


def test_a_push_ends_if_connections_break_again_and_again(image, registry):
    with (
        proxies.break_connections(registry, after=700_000, times=99) as host,
        pytest.raises(BuildFailedError, match="stopped responding: the connection breaks"),
    ):
        push(image, f"{host}/a/ends:1")


def test_a_pull_goes_on_where_a_connection_broke(image, registry):
    push(image, f"{registry}/a/pulled:1")
    with (
        proxies.break_connections(registry, after=700_000, times=2, answers=True) as host,
        oci.open_image(f"{host}/a/pulled:1") as found,
    ):
        assert len(filesystem.read(found, "big")) == 3 * 2**20


# --- authentication


def test_password_is_sent_on_a_challenge(image, tmp_path):
    images.require_tool("docker-registry")
    folder = tmp_path / "registry"
    folder.mkdir()
    with registries.run_registry_with_passwords(folder) as host:
        with pytest.raises(UsageError, match="requires a login") as caught:
            push(image, f"{host}/a/b:1")
        assert caught.value.hint == f"docker login {host}"
        login(tmp_path, host, password=PASSWORD)
        with pytest.raises(UsageError, match="requires a login") as caught:
            push(image, f"{host}/a/b:1")
        assert PASSWORD not in caught.value.message + repr(caught.value.__context__)
        login(tmp_path, host)
        push(image, f"{host}/a/b:1")
        assert small(f"{host}/a/b:1") == b"small"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """The files of a key and of a self-signed certificate for localhost."""
    folder = tmp_path_factory.mktemp("authority")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem"
    )
    command += " -out cert.pem -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder


@contextmanager
def serving(get, *, tls=None, method: str = "GET"):
    """A server that answers by `get(handler)`; gives its host and its requests."""
    requests: list[BaseHTTPRequestHandler] = []

    def do(handler: Handler) -> None:
        requests.append(handler)
        get(handler)

    with serving_by(type("Asked", (Handler,), {f"do_{method}": do}), tls) as host:
        yield host, requests


@contextmanager
def serving_by(handler: type[Handler], tls=None):
    """The host of a server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls / "cert.pem", tls / "key.pem")
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def jwt(authority, claims: dict) -> str:
    """Signed as docker-registry wants it."""
    lines = (authority / "cert.pem").read_text().splitlines()
    header = {"typ": "JWT", "alg": "RS256", "x5c": ["".join(lines[1:-1])]}
    parts = [
        base64.urlsafe_b64encode(json.dumps(it).encode()).rstrip(b"=") for it in (header, claims)
    ]
    command = ["openssl", "dgst", "-sha256", "-sign", authority / "key.pem"]
    signature = subprocess.check_output(command, input=b".".join(parts))
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def token(authority, handler: Handler) -> None:
    """Send a token to clients with the password or the identity token."""
    body = handler.rfile.read(int(handler.headers.get("Content-Length", 0))).decode()
    query = parse_qs(body or urlsplit(handler.path).query)
    known = base64.b64encode(f"{registries.USER}:{registries.PASSWORD}".encode()).decode()
    if handler.headers.get("Authorization") != f"Basic {known}" and query.get("refresh_token") != [
        PASSWORD
    ]:
        handler.answer(401)
        return
    kind, name, actions = query["scope"][0].split(":")
    access = [{"type": kind, "name": name, "actions": actions.split(",")}]
    now = int(time.time())
    claims = {
        "iss": "test",
        "aud": "registry",
        "sub": "",
        "exp": now + 60,
        "nbf": now - 9,
        "iat": now,
        "jti": "1",
    }
    issued = jwt(authority, {**claims, "access": access})
    handler.answer(200, json.dumps({"token": issued}).encode())


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_token_is_requested_for_the_challenged_scope(image, tmp_path, authority, method):
    images.require_tool("docker-registry")
    folder = tmp_path / "registry"
    folder.mkdir()
    with serving(partial(token, authority), method=method) as (server, requests):
        settings = {
            "REGISTRY_AUTH_TOKEN_REALM": f"http://{server}/token",
            "REGISTRY_AUTH_TOKEN_SERVICE": "registry",
            "REGISTRY_AUTH_TOKEN_ISSUER": "test",
            "REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE": str(authority / "cert.pem"),
        }
        with registries.run_registry(folder, settings) as host:
            login(
                tmp_path,
                host,
                password="wrong",
                **({"identitytoken": "no"} if method == "POST" else {}),
            )
            with pytest.raises(UsageError, match="returns no token"):
                push(image, f"{host}/a/b:1")
            login(tmp_path, host, **({"identitytoken": PASSWORD} if method == "POST" else {}))
            push(image, f"{host}/a/b:1")
            assert small(f"{host}/a/b:1") == b"small"
    assert len(requests) < 6  # a token serves as long as it is taken


# --- servers that mean harm, or fail


def test_credentials_are_not_sent_to_redirect_targets(tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login me password {PASSWORD}\n")
    elsewhere = serving(lambda it: it.answer(200, b"{}"))
    with elsewhere as (other, reached):

        def get(handler: Handler) -> None:
            if not handler.headers["Authorization"]:
                handler.answer(401, WWW_Authenticate='Basic realm="x"')
            else:
                handler.answer(307, Location=f"http://{other}/x?secret=1")

        with serving(get) as (host, requests):
            login(tmp_path, host)
            with connect(f"{host}/a/b") as repository:
                assert repository.manifest()[1] == b"{}"
    assert requests[-1].headers["Authorization"].startswith("Basic ")
    assert [it.headers["Authorization"] for it in reached] == [None]


def test_no_redirect_leads_out_of_tls(authority, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority / "cert.pem"))
    monkeypatch.setattr(http, "is_loopback", lambda _: False)
    get = lambda it: it.answer(302, Location="http://127.0.0.1/x")  # noqa: E731
    with (
        serving(get, tls=authority) as (host, _),
        connect(f"{host}/a") as repository,
        pytest.raises(UsageError, match="leads to an address without TLS"),
    ):
        repository.manifest()


def test_no_password_goes_to_a_server_of_tokens_without_tls(tmp_path):
    challenge = 'Bearer realm="http://tokens.invalid/",service="x"'
    with (
        serving(lambda it: it.answer(401, WWW_Authenticate=challenge)) as (host, _),
        connect(f"{host}/a") as repository,
        pytest.raises(UsageError, match="leads to an address without TLS"),
    ):
        repository.manifest()


def test_redirects_without_end(registry):
    get = lambda it: it.answer(302, Location="/v2/x")  # noqa: E731
    with (
        serving(get) as (host, _),
        connect(f"{host}/a") as repository,
        pytest.raises(UsageError, match="redirects too often"),
    ):
        repository.manifest()


def test_certificate_of_unknown_authority_is_rejected(authority, monkeypatch):
    monkeypatch.setattr(http, "is_loopback", lambda _: False)
    with serving(lambda it: it.answer(200, b"{}"), tls=authority) as (host, _):
        with connect(f"{host}/a") as repository, pytest.raises(UsageError) as caught:
            repository.manifest()
        assert "no trusted authority has signed its certificate" in caught.value.message
        assert f"/etc/docker/certs.d/{host}/ca.crt" in caught.value.hint
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority / "cert.pem"))
        with connect(f"{host}/a") as repository:
            assert repository.manifest()[1] == b"{}"


def test_plain_http_to_another_machine_needs_an_option(image, registry, monkeypatch):
    monkeypatch.setattr(http, "is_loopback", lambda _: False)
    with pytest.raises(UsageError, match="it does not use TLS") as caught:
        push(image, f"{registry}/a/plain:1")
    assert caught.value.hint == f"To allow that, set MODELPACK_PLAIN_HTTP={registry}"
    push(image, f"{registry}/a/plain:1", plain_http=True)
    monkeypatch.setenv("MODELPACK_PLAIN_HTTP", f"a.test,{registry}")
    assert small(f"{registry}/a/plain:1") == b"small"


def test_a_registry_of_this_machine_that_speaks_tls(image, tmp_path, authority, monkeypatch):
    images.require_tool("docker-registry")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority / "cert.pem"))
    folder = tmp_path / "registry"
    folder.mkdir()
    settings = {
        "REGISTRY_HTTP_TLS_CERTIFICATE": str(authority / "cert.pem"),
        "REGISTRY_HTTP_TLS_KEY": str(authority / "key.pem"),
    }
    with registries.run_registry(folder, settings) as host:
        push(image, f"{host}/a/b:1")
        assert small(f"{host}/a/b:1") == b"small"


@pytest.mark.parametrize(
    ("status", "kind", "why"),
    [
        (403, UsageError, "denies access to a/b: DENIED: no"),
        (404, UsageError, "has no a/b:1: DENIED: no"),
        (413, BuildFailedError, "too large"),
        (418, BuildFailedError, "responds with status 418: DENIED: no"),
        (503, BuildFailedError, "responds with status 503: DENIED: no"),
    ],
)
def test_error_of_a_registry_is_explained(image, status, kind, why):
    body = json.dumps(
        {"errors": [{"code": "DENIED", "message": "no\n\x1b[0m" + "x" * 999}]}
    ).encode()
    with (
        serving(lambda it: it.answer(status, body), method="PUT") as (host, _),
        connect(f"{host}/a/b:1") as repository,
        pytest.raises(kind, match=why) as caught,
    ):
        repository.put_manifest(b"{}", MANIFEST, "1")
    assert type(caught.value) is kind or kind is BuildFailedError
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 500


def test_an_answer_that_breaks_off():
    def get(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "9")
        handler.end_headers()
        handler.wfile.write(b"{")
        handler.close_connection = True

    with (
        serving(get) as (host, _),
        connect(f"{host}/a") as repository,
        pytest.raises(BuildFailedError, match="stopped responding"),
    ):
        repository.manifest()


def test_request_to_a_busy_registry_is_retried():
    with serving(
        lambda it: it.answer(200 if len(requests) > 2 else 503, b"{}", Retry_After="0")
    ) as it:
        host, requests = it
        with connect(f"{host}/a") as repository:
            assert repository.manifest()[1] == b"{}"
    assert len(requests) == 3


def test_no_registry_makes_modelpack_wait_for_hours(monkeypatch):
    pauses = []
    values = ["-1", "soon", "20", "99999"]
    monkeypatch.setattr(http, "time", SimpleNamespace(sleep=pauses.append))
    with (
        serving(lambda it: it.answer(503, Retry_After=values.pop() if values else "")) as (host, _),
        connect(f"{host}/a") as repository,
        pytest.raises(BuildFailedError, match="503"),
    ):
        repository.manifest()
    assert pauses == [30.0, 20.0, 0.01, 0.01]


def test_manifest_with_another_digest_is_refused():
    with (
        serving(lambda it: it.answer(200, b"{}")) as (host, _),
        connect(f"{host}/a") as repository,
        pytest.raises(UsageError, match="instead of"),
    ):
        repository.manifest(images.digest(b"1"))


@pytest.mark.parametrize("body", [b"22", b"1", b"1" * 99])
def test_blob_with_another_digest_is_refused(body, tmp_path):
    blob = Descriptor("text/plain", images.digest(b"11"), 2)
    with (
        serving(lambda it: it.answer(200, body)) as (host, _),
        connect(f"{host}/a") as repository,
    ):
        store = RemoteStore(repository, tmp_path)
        with pytest.raises(UsageError, match="something else for"), store.blob(blob):
            pass
    assert not list(tmp_path.glob("*.partial"))


def test_unknown_host_is_an_error():
    with pytest.raises(UsageError, match="the host does not exist"):
        small("registry.invalid/a:1")
