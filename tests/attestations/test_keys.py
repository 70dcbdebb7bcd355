"""Keys: cosign's own, others in PEM; what they sign cosign verifies, and the other way round."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from modelpack.attestations import keys
from modelpack.errors import UsageError

PASSWORD = "Straße 7"


def never() -> str:
    raise AssertionError("no password is asked for")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, cosign_command: str) -> Path:
    """With cosign's own pair of keys."""
    folder = tmp_path_factory.mktemp("keys")
    cosign(folder, "generate-key-pair")
    return folder


def cosign(folder: Path, *arguments: str, fails: bool = False) -> None:
    environ = {**os.environ, "COSIGN_PASSWORD": PASSWORD}
    command = ["cosign", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode != 0) == fails, done.stderr


def test_signature_by_a_cosign_key_is_verified_by_both_programs(folder: Path) -> None:
    signer = keys.signer(folder / "cosign.key", lambda: PASSWORD)
    verifier = keys.verifier(folder / "cosign.pub")
    (folder / "blob").write_bytes(b"text")
    (folder / "other").write_bytes(b"Text")
    signature = signer.sign(b"text")
    assert verifier.accepts(b"text", signature)
    assert not verifier.accepts(b"Text", signature)
    (folder / "sig").write_bytes(base64.b64encode(signature))
    options = ("verify-blob", "--key=cosign.pub", "--insecure-ignore-tlog", "--signature=sig")
    cosign(folder, *options, "blob")
    cosign(folder, *options, "other", fails=True)


def test_signature_by_cosign_is_verified(folder: Path) -> None:
    (folder / "blob").write_bytes(b"text")
    options = ("sign-blob", "-y", "--key=cosign.key", "--tlog-upload=false")
    cosign(folder, *options, "--output-signature=theirs", "blob")
    signature = base64.b64decode((folder / "theirs").read_bytes())
    assert keys.verifier(folder / "cosign.pub").accepts(b"text", signature)


def test_the_older_name_of_an_encrypted_key_is_accepted(folder: Path, tmp_path: Path) -> None:
    text = (folder / "cosign.key").read_text()
    assert "ENCRYPTED SIGSTORE PRIVATE KEY" in text
    (tmp_path / "old.key").write_text(text.replace("SIGSTORE", "COSIGN"))
    signer = keys.signer(tmp_path / "old.key", lambda: PASSWORD)
    assert keys.verifier(folder / "cosign.pub").accepts(b"a", signer.sign(b"a"))


KINDS: dict[str, Callable[[], Any]] = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
}
PKCS8 = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
PUBLIC = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("password", ["", PASSWORD])
def test_cosign_verifies_signatures_by_other_pem_keys(
    tmp_path: Path, kind: str, password: str, cosign_command: str
) -> None:
    key = KINDS[kind]()
    sealed = (
        serialization.BestAvailableEncryption(password.encode())
        if password
        else serialization.NoEncryption()
    )
    (tmp_path / "key").write_bytes(key.private_bytes(*PKCS8, sealed))
    (tmp_path / "key.pub").write_bytes(key.public_key().public_bytes(*PUBLIC))
    signer = keys.signer(tmp_path / "key", (lambda: password) if password else never)
    signature = signer.sign(b"text")
    assert keys.verifier(tmp_path / "key.pub").accepts(b"text", signature)
    (tmp_path / "blob").write_bytes(b"text")
    (tmp_path / "sig").write_bytes(base64.b64encode(signature))
    options = ("verify-blob", "--key=key.pub", "--insecure-ignore-tlog", "--signature=sig")
    cosign(tmp_path, *options, "blob")


# --- what cannot be used -------------------------------------------------------------------------


def test_another_password_is_a_usage_error(folder: Path) -> None:
    with pytest.raises(UsageError, match="does not decrypt") as refused:
        keys.signer(folder / "cosign.key", lambda: "another")
    assert "COSIGN_PASSWORD" in refused.value.hint


def sealed_with(folder: Path, **parameters: Any) -> str:
    lines = (folder / "cosign.key").read_text().strip().splitlines()
    head, *body, foot = [line for line in lines if line]
    document = json.loads(base64.b64decode("".join(body)))
    document["kdf"]["params"].update(parameters)
    text = base64.b64encode(json.dumps(document).encode()).decode()
    return f"{head}\n{text}\n{foot}\n"


@pytest.mark.parametrize(
    "parameters", [{"N": 2**40}, {"N": 3}, {"r": 2**30}, {"p": -1}, {"N": "x"}, {"N": None}]
)
def test_scrypt_cost_of_an_encrypted_key_is_limited(
    folder: Path, tmp_path: Path, parameters: dict[str, Any]
) -> None:
    (tmp_path / "key").write_text(sealed_with(folder, **parameters))
    with pytest.raises(UsageError, match="cannot be read"):
        keys.signer(tmp_path / "key", lambda: PASSWORD)


KIND = "ENCRYPTED SIGSTORE PRIVATE KEY"
SEALED = f"-----BEGIN {KIND}-----\n{{}}\n-----END {KIND}-----"
BODIES = [b"", b"{", b"[]", b"[" * 20_000, b'{"kdf": 1}', b'{"kdf": {"name": "md5"}}', b"\xff"]


@pytest.mark.parametrize("body", BODIES)
def test_damaged_keys_are_usage_errors(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "key").write_text(SEALED.format(base64.b64encode(body).decode()))
    with pytest.raises(UsageError):
        keys.signer(tmp_path / "key", lambda: PASSWORD)
    (tmp_path / "key").write_bytes(body)
    for read in (keys.verifier, lambda path: keys.signer(path, never)):
        with pytest.raises(UsageError, match="has no supported"):
            read(tmp_path / "key")


@pytest.mark.parametrize(
    "make",
    [
        lambda: ec.generate_private_key(ec.SECP384R1()),
        lambda: rsa.generate_private_key(65537, 1024),
    ],
)
def test_key_algorithms_are_distinguished(tmp_path: Path, make: Callable[[], Any]) -> None:
    key = make()
    (tmp_path / "key").write_bytes(key.private_bytes(*PKCS8, serialization.NoEncryption()))
    (tmp_path / "pub").write_bytes(key.public_key().public_bytes(*PUBLIC))
    reads = (
        lambda: keys.signer(tmp_path / "key", never),
        lambda: keys.verifier(tmp_path / "pub"),
    )
    for read in reads:
        with pytest.raises(UsageError, match="its kind is not supported") as refused:
            read()
        assert "P-256" in refused.value.hint


def test_a_private_key_does_not_verify(folder: Path) -> None:
    with pytest.raises(UsageError, match="is a private key") as refused:
        keys.verifier(folder / "cosign.key")
    assert "cosign public-key" in refused.value.hint


def test_missing_key_is_a_usage_error(tmp_path: Path) -> None:
    for read in (keys.verifier, lambda path: keys.signer(path, never)):
        with pytest.raises(UsageError, match="No such file"):
            read(tmp_path / "nowhere")
