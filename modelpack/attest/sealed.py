"""Opens the private keys that cosign seals with a password.

Source: github.com/secure-systems-lab/go-securesystemslib, encrypted/encrypted.go: JSON with the
parameters of scrypt, a salt, and a secretbox of NaCl; cosign wraps it in PEM.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

from modelpack.errors import UsageError

_KINDS = ("ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY")
_PEM = re.compile(rf"-----BEGIN ({'|'.join(_KINDS)})-----\s(.*?)-----END \1-----", re.DOTALL)
_MEMORY = 2**28
"""Bytes that scrypt may take: a file may ask for more than there is."""


def is_sealed(pem: str) -> bool:
    return bool(_PEM.search(pem))


def opened(pem: str, password: bytes) -> bytes:
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
