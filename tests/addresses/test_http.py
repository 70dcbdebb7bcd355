"""Limits of requests, on servers that respond as no honest one does."""

from __future__ import annotations

import datetime
import io
import ipaddress
import json
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fake_servers import Response, as_json, redirect, run_fake_server

from modelpack.addresses import http, servers
from modelpack.addresses.http import Access, Client, Rejected
from modelpack.errors import EnvironmentNotResolvedError, ModelRefusedError, UsageError

SECRET = Access("Bearer secret", advice="Set the token.")


def read(server, path="/x", limit=1_000):
    """Return the bytes at a path of a server, as `copy` writes them."""
    file = io.BytesIO()
    with Client(server.url, SECRET) as client:
        client.copy(f"{server.url}{path}", file, limit, lambda *_: None)
    return file.getvalue()


def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(bytes(10_000))


def drip(handler):
    handler.send_response(200)
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b"{")
        handler.wfile.flush()
        time.sleep(0.02)


def cut(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b"half")


def test_endless_body_is_refused(server):
    server["/x"] = endless
    with pytest.raises(ModelRefusedError, match="sends more than 1,000 bytes"):
        read(server)
    with Client(server.url, SECRET) as client, pytest.raises(ModelRefusedError, match="4,194,304"):
        client.document("/x", {})


def test_announced_size_does_not_raise_the_limit(server):
    server["/x"] = Response(bytes(1_001))
    with pytest.raises(ModelRefusedError, match="sends more than 1,000 bytes"):
        read(server)


def test_slow_body_ends_at_the_limit_of_time(server, monkeypatch):
    monkeypatch.setattr(http, "MAX_SECONDS", 0.2)
    server["/x"] = drip
    started = time.monotonic()
    with pytest.raises(EnvironmentNotResolvedError, match="takes more than"):
        read(server)
    assert time.monotonic() - started < 2


def test_cut_body_is_read_again_and_its_begin_is_dropped(server):
    server["/x"] = [cut, cut, Response(b"whole")]
    assert read(server) == b"whole"
    server["/x"] = cut
    with pytest.raises(EnvironmentNotResolvedError, match="breaks the connection"):
        read(server)


def test_busy_server_gets_five_requests(server):
    server["/x"] = [Response(status=503, headers={"Retry-After": "0"}), Response(b"there")]
    assert read(server) == b"there"
    server.requests.clear()
    server["/x"] = Response(status=429)
    with pytest.raises(EnvironmentNotResolvedError, match="responds with 429 after 5 attempts"):
        read(server)
    assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"<html>", UsageError), (b"[]", UsageError), (b"[" * 100_000, UsageError),
     (b'{"a": ' * 50_000, UsageError), (b'{"a": ' + b"9" * 10_000 + b"}", UsageError),
     (b'{"a": "' + b"x" * 2**22 + b'"}', ModelRefusedError), (b"\xff\xfe", UsageError)],
)  # fmt: skip
def test_document_that_is_no_object_is_an_error(body, kind, server):
    server["/x"] = Response(body)
    with Client(server.url, SECRET) as client, pytest.raises(kind):
        client.document("/x", {})


@pytest.mark.parametrize("status", [401, 403])
def test_denied_access_has_the_advice(status, server):
    server["/x"] = as_json({"message": "no \x1b[2J right"}, status)
    with pytest.raises(UsageError, match=rf"denies access \({status}\): no \\x1b") as error:
        read(server)
    assert error.value.hint == "Set the token."


def test_client_error_has_the_code_of_mlflow(server):
    with pytest.raises(Rejected) as error:
        read(server)
    assert (error.value.status, error.value.code) == (404, "RESOURCE_DOES_NOT_EXIST")
    server["/x"] = Response(b"[" * 100_000, 404)
    with pytest.raises(Rejected):
        read(server)


@pytest.mark.parametrize(
    ("target", "problem"),
    [("file:///etc/passwd", "without TLS, file:///etc/passwd"),
     ("http://example.com/x", "without TLS, http://example.com/x"),
     ("ftp://127.0.0.1/x", "without TLS, ftp"),
     ("http://user:secret@example.com/x?token=1", "http://example.com/x. Nothing"),
     ("http://[::1", "not valid"),
     ("/x", "redirects more than 5 times")],
)  # fmt: skip
def test_redirect_that_leaves_tls_or_never_ends_is_refused(target, problem, server):
    server["/x"] = redirect(target)
    with pytest.raises(ModelRefusedError, match=problem.replace("?", r"\?")) as error:
        read(server)
    assert "secret" not in error.value.message


def test_endless_body_of_a_redirect_is_not_read(server):
    def endless_redirect(handler):
        handler.send_response(302)
        handler.send_header("Location", "/y")
        handler.end_headers()
        while True:
            handler.wfile.write(bytes(10_000))

    server["/x"] = endless_redirect
    server["/y"] = Response(b"here")
    assert read(server) == b"here"


def test_redirect_to_another_server_has_no_credentials(server):
    with run_fake_server() as other:
        other["/y"] = Response(b"moved")
        server["/x"] = redirect(f"{other.url}/y?signature=1")
        assert read(server) == b"moved"
        assert "authorization" not in other.requests[0].headers
        assert other.requests[0].query == {"signature": "1"}
    assert server.requests[0].headers["authorization"] == "Bearer secret"


def test_redirect_on_the_same_server_keeps_the_credentials(server):
    server["/x"] = redirect("/y")
    server["/y"] = Response(b"here")
    assert read(server) == b"here"
    assert server.requests[1].headers["authorization"] == "Bearer secret"


def test_post_is_not_redirected(server):
    server["/x"] = redirect("/y")
    with Client(server.url, SECRET) as client, pytest.raises(ModelRefusedError, match="POST"):
        client.document("/x", {}, {"name": "churn"})


def test_netrc_is_not_used(server, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server["/x"] = Response(b"here")
    read(server)
    assert server.requests[0].headers["authorization"] == "Bearer secret"


def test_plain_http_needs_permission(monkeypatch):
    for url in ("http://example.com", "ftp://127.0.0.1/x", "http://127.0.0.1.example.com"):
        with pytest.raises(UsageError, match="without TLS"):
            Client(url, Access())
    monkeypatch.setenv("MODELPACK_PLAIN_HTTP", "a.example.com,example.com")
    Client("http://example.com", Access()).close()


def test_server_that_is_not_there_is_reported_at_once():
    client = Client("http://127.0.0.1:1", Access())
    with client, pytest.raises(EnvironmentNotResolvedError, match="connection refused") as error:
        client.document("/x", {})
    assert "0x" not in error.value.message


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a certificate of 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    signed = (
        builder.not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem = key.private_bytes(serialization.Encoding.PEM, *form)
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + pem)
    return path


def test_certificate_of_a_server_is_verified_unless_a_variable_forbids_it(certificate, monkeypatch):
    with run_fake_server(certificate) as server:
        server["/x"] = as_json({"a": 1})
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
        with pytest.raises(EnvironmentNotResolvedError, match="certificate is not valid") as error:
            servers.tracking_server().document("/x", {})
        assert "REQUESTS_CA_BUNDLE" in error.value.hint
        with monkeypatch.context() as patched:
            patched.setenv("REQUESTS_CA_BUNDLE", str(certificate))
            assert servers.tracking_server().document("/x", {}) == {"a": 1}
        monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(certificate))
        assert servers.tracking_server().document("/x", {}) == {"a": 1}
        monkeypatch.setenv("MLFLOW_TRACKING_INSECURE_TLS", "true")
        with pytest.raises(UsageError, match="contradict each other"):
            servers.tracking_server()
        monkeypatch.delenv("MLFLOW_TRACKING_SERVER_CERT_PATH")
        assert servers.tracking_server().document("/x", {}) == {"a": 1}
        assert json.dumps(server.requests[0].query) == "{}"


def test_redirect_from_tls_to_this_machine_without_tls_is_refused(certificate):
    with run_fake_server() as plain, run_fake_server(certificate) as server:
        server["/x"] = redirect(f"{plain.url}/y")
        client = Client(server.url, Access(verify=str(certificate)))
        with client, pytest.raises(ModelRefusedError, match="an address without TLS"):
            client.document("/x", {})
        assert not plain.requests
