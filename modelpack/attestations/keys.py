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

_LONGEST = 2**16  # bytes of a file with a key
_SHORTEST_RSA = 2048
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
    """A private key, and the `verifier` of what it signs."""

    def __init__(self, key: Private) -> None:
        self._key = key
        self.verifier = Verifier(key.public_key())

    def sign(self, message: bytes) -> bytes:
        signature: bytes = self._key.sign(message, *_algorithm(self._key.public_key()))
        return signature


def signer(path: Path, password: Password) -> Signer:
    """The private key in a file; `password` is asked where it takes one.

    Raises:
        UsageError: there is none that can be used, or the password is another one.
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
    """The public key in a file.

    Raises:
        UsageError: there is none that can be used.
    """
    from cryptography.hazmat.primitives import serialization as formats  # noqa: PLC0415

    pem = _read(path)
    if "PRIVATE KEY-----" in pem:
        raise UsageError(
            f"{path} is a private key, and a public one is enough to verify.",
            hint=f"cosign public-key --key {path} > cosign.pub",
        )
    try:
        key: Any = formats.load_pem_public_key(pem.encode())
        _algorithm(key)
    except _failures() as error:
        raise _unusable(path, "public", error) from error
    return Verifier(key)


def _algorithm(key: Public) -> tuple[Any, ...]:
    """What `sign` and `verify` of such a key take beside the message.

    Raises:
        ValueError: it is of another kind.
    """
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import (  # noqa: PLC0415
        ec,
        ed25519,
        padding,
        rsa,
    )

    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return (ec.ECDSA(hashes.SHA256()),)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return ()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _SHORTEST_RSA:
        return padding.PKCS1v15(), hashes.SHA256()
    raise ValueError("it is of another kind")


def _failures() -> tuple[type[Exception], ...]:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415

    return (ValueError, TypeError, UnsupportedAlgorithm)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST).decode("utf-8", "replace")
    except OSError as error:
        raise UsageError(
            f"The key {path} cannot be read: {error.strerror}.",
            hint="`cosign generate-key-pair` makes cosign.key and cosign.pub.",
        ) from error


def _unusable(path: Path, kind: str, error: Exception) -> UsageError:
    return UsageError(
        f"{path} holds no {kind} key that can be used: {str(error).partition(chr(10))[0]}.",
        hint=f"Take one in PEM: {_KINDS}. `cosign generate-key-pair` makes a pair.",
    )


# Source: github.com/secure-systems-lab/go-securesystemslib, encrypted/encrypted.go: JSON with the
# parameters of scrypt, a salt, and a secretbox of NaCl; cosign wraps it in PEM.
_SEALED_KINDS = ("ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY")
_PEM = re.compile(rf"-----BEGIN ({'|'.join(_SEALED_KINDS)})-----\s(.*?)-----END \1-----", re.DOTALL)
_MEMORY = 2**28
"""Bytes that scrypt may take: a file may ask for more than there is."""


def is_encrypted(pem: str) -> bool:
    return bool(_PEM.search(pem))


def decrypt_key(pem: str, password: bytes) -> bytes:
    """The key in DER, as PKCS #8.

    Raises:
        UsageError: the password is another one, or the file is damaged.
    """
    try:
        sealed = _PEM.findall(pem)[0][1]
        return _opened(json.loads(base64.b64decode(sealed)), password)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise UsageError(
            f"The private key cannot be read: {error}.",
            hint="Is it whole? `cosign generate-key-pair` makes another one.",
        ) from error


def _opened(document: Any, password: bytes) -> bytes:
    from nacl.exceptions import CryptoError  # noqa: PLC0415 - for those alone who sign
    from nacl.secret import SecretBox  # noqa: PLC0415

    kdf, cipher = document["kdf"], document["cipher"]
    if (kdf["name"], cipher["name"]) != ("scrypt", "nacl/secretbox"):
        raise ValueError("it is sealed in a way that is not known")
    box = SecretBox(_stretched(password, kdf))
    sealed, nonce = (base64.b64decode(x) for x in (document["ciphertext"], cipher["nonce"]))
    try:
        return box.decrypt(sealed, nonce)
    except CryptoError:
        raise UsageError(
            "The password does not open the private key.",
            hint="It is read from COSIGN_PASSWORD, or asked for on a terminal.",
        ) from None


def _stretched(password: bytes, kdf: Any) -> bytes:
    n, r, p = (int(kdf["params"][name]) for name in ("N", "r", "p"))
    salt = base64.b64decode(kdf["salt"])
    return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32)
