"""Signing and verifying keys.

ECDSA on P-256 and RSA (PKCS #1 v1.5) sign the SHA-256 of a message, Ed25519 the message itself.
Source: github.com/sigstore/sigstore, pkg/signature/signer.go.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelpack.errors import UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    Public = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
    Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

Password = Callable[[], str]

_MAX_FILE_BYTES = 2**16
_MIN_RSA_BITS = 2048
_KINDS = "ECDSA on P-256, Ed25519, or RSA of 2048 bits or more"


class Verifier:
    """A public key."""

    def __init__(self, key: Public) -> None:
        self._key = key

    def accepts(self, message: bytes, signature: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - 30 ms

        try:
            self._key.verify(signature, message, *_algorithm(self._key))
        except InvalidSignature:
            return False
        return True


class Signer:
    """A private key, and the `verifier` for its signatures."""

    def __init__(self, key: Private) -> None:
        self._key = key
        self.verifier = Verifier(key.public_key())

    def sign(self, message: bytes) -> bytes:
        signature: bytes = self._key.sign(message, *_algorithm(self._key.public_key()))
        return signature


def signer(path: Path, password: Password) -> Signer:
    """Read a private key; `password` is called if the file is encrypted.

    Raises:
        UsageError: The file has no supported private key, or the password is wrong.
    """
    from cryptography.hazmat.primitives import serialization as formats  # noqa: PLC0415

    pem = _read(path)
    try:
        if is_encrypted(pem):
            der = decrypt_key(pem, password().encode())
            key: Any = formats.load_der_private_key(der, None)
        elif "BEGIN ENCRYPTED PRIVATE KEY" in pem:
            key = formats.load_pem_private_key(pem.encode(), password().encode())
        else:
            key = formats.load_pem_private_key(pem.encode(), None)
        _algorithm(key.public_key())
    except _failures() as error:
        raise _unusable(path, "private", error) from error
    return Signer(key)


def verifier(path: Path) -> Verifier:
    """Read a public key. Raise UsageError if the file has no supported public key."""
    from cryptography.hazmat.primitives import serialization as formats  # noqa: PLC0415

    pem = _read(path)
    if "PRIVATE KEY-----" in pem:
        raise UsageError(
            f"{path} is a private key, but verification needs a public key.",
            hint=f"Run: cosign public-key --key {path} > cosign.pub",
        )
    try:
        key: Any = formats.load_pem_public_key(pem.encode())
        _algorithm(key)
    except _failures() as error:
        raise _unusable(path, "public", error) from error
    return Verifier(key)


def _algorithm(key: Public) -> tuple[Any, ...]:
    """Return the other arguments of `sign` and `verify` for this key, or raise ValueError."""
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa  # noqa: PLC0415

    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return (ec.ECDSA(hashes.SHA256()),)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return ()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _MIN_RSA_BITS:
        return padding.PKCS1v15(), hashes.SHA256()
    raise ValueError("its kind is not supported")


def _failures() -> tuple[type[Exception], ...]:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415

    return (ValueError, TypeError, UnsupportedAlgorithm)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise UsageError(
            f"The key {path} cannot be read: {error.strerror}.",
            hint="`cosign generate-key-pair` creates cosign.key and cosign.pub.",
        ) from error


def _unusable(path: Path, kind: str, error: Exception) -> UsageError:
    return UsageError(
        f"{path} has no supported {kind} key: {str(error).partition(chr(10))[0]}.",
        hint=f"Use a PEM file with {_KINDS}, for example of `cosign generate-key-pair`.",
    )


# Source: github.com/secure-systems-lab/go-securesystemslib, encrypted/encrypted.go: JSON with the
# parameters of scrypt, a salt, and a secretbox of NaCl; cosign wraps it in PEM.
_ENCRYPTED_KINDS = ("ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY")
_PEM = re.compile(
    rf"-----BEGIN ({'|'.join(_ENCRYPTED_KINDS)})-----\s(.*?)-----END \1-----", re.DOTALL
)
_MAX_SCRYPT_BYTES = 2**28
"""Memory for scrypt, whose parameters are from the file."""


def is_encrypted(pem: str) -> bool:
    return bool(_PEM.search(pem))


def decrypt_key(pem: str, password: bytes) -> bytes:
    """Decrypt a key to PKCS #8 in DER. Raise UsageError for a wrong password or a damaged file."""
    try:
        encrypted = _PEM.findall(pem)[0][1]
        return _decrypt(json.loads(base64.b64decode(encrypted)), password)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise UsageError(
            f"The private key cannot be read: {error}.",
            hint="`cosign generate-key-pair` creates a new one.",
        ) from error


def _decrypt(document: Any, password: bytes) -> bytes:
    from nacl.exceptions import CryptoError  # noqa: PLC0415 - only for signing
    from nacl.secret import SecretBox  # noqa: PLC0415

    kdf, cipher = document["kdf"], document["cipher"]
    if (kdf["name"], cipher["name"]) != ("scrypt", "nacl/secretbox"):
        raise ValueError("its encryption is not supported")
    box = SecretBox(_derive_key(password, kdf))
    encrypted, nonce = (base64.b64decode(x) for x in (document["ciphertext"], cipher["nonce"]))
    try:
        return box.decrypt(encrypted, nonce)
    except CryptoError:
        raise UsageError(
            "The password does not decrypt the private key.",
            hint="Set COSIGN_PASSWORD, or enter it on a terminal.",
        ) from None


def _derive_key(password: bytes, kdf: Any) -> bytes:
    n, r, p = (int(kdf["params"][name]) for name in ("N", "r", "p"))
    salt = base64.b64decode(kdf["salt"])
    return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=_MAX_SCRYPT_BYTES, dklen=32)
