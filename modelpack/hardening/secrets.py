"""Secret scanning: known values and known patterns."""

from __future__ import annotations

import base64
import hashlib
import json
import netrc
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from modelpack import cache, oci
from modelpack.oci import filesystem, streams, tar
from modelpack.oci.streams import HashingReader, Readable
from modelpack.types import IndexSettings, Violation

MIN_BYTES = 6
"""Shorter secrets appear by chance in libraries."""

_WORD = re.compile("[a-z]{0,12}")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_NO_PASSWORDS = {"", "x-oauth-basic", "x-token-auth"}  # with these, the user name is the secret


@dataclass(frozen=True)
class KnownSecret:
    """A secret of a build. `what` describes it without revealing it; `is_file`: a whole file."""

    what: str
    content: bytes
    is_file: bool = False


def known_secrets(index: IndexSettings, environ: Mapping[str, str]) -> tuple[KnownSecret, ...]:
    """Return the secrets of a build with these settings and proxy variables.

    Files that cannot be read are left out, as the build cannot read them either.
    """
    secrets = {secret.content: secret for secret in _iterate(index, environ)}
    return tuple(secret for content, secret in secrets.items() if len(content) >= MIN_BYTES)


def _iterate(index: IndexSettings, environ: Mapping[str, str]) -> Iterator[KnownSecret]:
    urls = {"the index": (index.index_url, *index.extra_index_urls)}
    urls["the proxy"] = (
        index.proxy,
        *(value for name, value in environ.items() if name.upper() in _PROXIES),
    )
    for owner, texts in urls.items():
        for url in filter(None, texts):
            yield from _url_secrets(urlsplit(url if "://" in url else f"//{url}"), owner)
    if index.netrc:
        yield from _netrc_secrets(Path(index.netrc))
    if index.ca_bundle:
        with suppress(OSError):
            yield KnownSecret("the CA certificates", Path(index.ca_bundle).read_bytes(), True)


def _url_secrets(url: SplitResult, owner: str) -> Iterator[KnownSecret]:
    user, password = url.username or "", url.password or ""
    if password in _NO_PASSWORDS:
        yield from _forms(user, f"the token of {owner}")
        return
    yield from _forms(password, f"the password of {owner}")
    yield KnownSecret(f"the credentials of {owner}", f"{user}:{password}@".encode())
    yield _basic(unquote(user), unquote(password), owner)


def _netrc_secrets(path: Path) -> Iterator[KnownSecret]:
    try:
        machines = netrc.netrc(path).hosts
        content = path.read_bytes()
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return
    yield KnownSecret("the netrc file", content, True)
    for login, _, password in machines.values():
        yield from _forms(password or "", "a password of netrc")
        yield _basic(login or "", password or "", "netrc")


def _forms(secret: str, what: str) -> Iterator[KnownSecret]:
    """Yield a secret as written in a URL and decoded, unless it is a word of any text."""
    for form in (secret, unquote(secret)):
        if not _WORD.fullmatch(form):
            yield KnownSecret(what, form.encode())


def _basic(user: str, password: str, owner: str) -> KnownSecret:
    """Return the credentials in HTTP basic authentication (RFC 7617)."""
    encoded = base64.b64encode(f"{user}:{password}".encode()) if password else b""
    return KnownSecret(f"the credentials of {owner}, in base64", encoded)


# Leaks of a layer are cached without the secrets, by their `cache_key`.
CONFIGURATION = "configuration"
_CHUNK = 2**22
_PUBLIC = "/certifi/cacert.pem"  # public CA certificates, which the user may have set


def find_leaks(
    config: Mapping[str, Any],
    layers: Sequence[oci.Layer],
    secrets: Sequence[KnownSecret],
    key: str,
) -> Iterator[Violation]:
    """Yield a violation for each secret in the configuration or a layer.

    A violation contains the path of the file with the secret, or else the position of the layer.

    Raises:
        UsageError: A layer is damaged.
    """
    if not secrets:
        return
    text = json.dumps(config, ensure_ascii=False).encode(errors="surrogatepass")
    yield from (_leak(CONFIGURATION, secret) for secret in _secrets_in(text, secrets))
    for number, layer in enumerate(layers, 1):
        for leak in _layer_leaks(layer, secrets, key):
            yield leak if leak.where else replace(leak, where=f"layer {number} above the base")


def _leak(where: str, secret: KnownSecret) -> Violation:
    return Violation(where, f"contains {secret.what}")


def _layer_leaks(layer: oci.Layer, secrets: Sequence[KnownSecret], key: str) -> Sequence[Violation]:
    """Return the leaks of a layer; `where` is empty for those outside of files."""
    name = f"{key}-{layer.diff_id.replace(':', '-')}.json"
    with suppress(OSError, ValueError, TypeError):
        return [Violation(*row) for row in json.loads(cache.read("leaks", name))]
    leaks = [
        *_whole_files(layer, secrets),
        *_searched(layer, [each for each in secrets if not each.is_file]),
    ]
    cache.write("leaks", name, json.dumps([(leak.where, leak.what) for leak in leaks]))
    return leaks


def _whole_files(layer: oci.Layer, secrets: Sequence[KnownSecret]) -> Iterator[Violation]:
    files = {
        hashlib.sha256(secret.content).hexdigest(): secret for secret in secrets if secret.is_file
    }
    for entry in filesystem.layer_listing(layer):
        if entry.sha256 in files and not entry.path.endswith(_PUBLIC):
            yield _leak(entry.path, files[entry.sha256])


def _searched(layer: oci.Layer, secrets: Sequence[KnownSecret]) -> Iterator[Violation]:
    """Search the tar of a layer, with names and attributes, and then its files for what it has."""
    with layer.open() as stream:
        leaked = _secrets_in_stream(stream, secrets)
    unlocated = set(leaked)
    for path, secret in _located(layer, leaked) if leaked else ():
        unlocated.discard(secret)
        yield _leak(path, secret)
    yield from (_leak("", secret) for secret in secrets if secret in unlocated)


def _located(layer: oci.Layer, secrets: Iterable[KnownSecret]) -> Iterator[tuple[str, KnownSecret]]:
    with layer.open() as stream:
        for entry, content in tar.members(HashingReader(stream, streams.LAYER)):
            if content is not None:
                yield from ((entry.path, secret) for secret in _secrets_in_stream(content, secrets))


def _secrets_in_stream(stream: Readable, secrets: Iterable[KnownSecret]) -> set[KnownSecret]:
    leaked: set[KnownSecret] = set()
    overlap = max((len(secret.content) for secret in secrets), default=0)
    data = b""
    while overlap and (more := stream.read(_CHUNK)):
        data = data[-overlap:] + more
        leaked.update(_secrets_in(data, secrets))
    return leaked


def _secrets_in(data: bytes, secrets: Iterable[KnownSecret]) -> Iterator[KnownSecret]:
    return (secret for secret in secrets if not secret.is_file and secret.content in data)


def cache_key(secrets: Sequence[KnownSecret]) -> str:
    """Return a digest of the secrets, "" without any, for the names of files in a cache.

    It is slow to compute, so that it does not help to guess the secrets.
    """
    if not secrets:
        return ""
    salt = cache.directory("leaks") / "salt"
    with suppress(FileExistsError), salt.open("xb") as file:
        file.write(os.urandom(16))
    cache.note_use(salt)
    contents = sorted(hashlib.sha256(secret.content).digest() for secret in secrets)
    return hashlib.scrypt(
        b"".join(contents), salt=salt.read_bytes(), n=2**14, r=8, p=1, dklen=16
    ).hex()


# The forms that issuers document. Words like "password" are in too many files.
FILES = {
    r"\.netrc|_netrc": "a netrc file",
    r"\.pypirc": "credentials for uploads to an index",
    r"pip\.conf": "settings of pip, which may hold credentials",
    r"\.git-credentials": "credentials of git",
    r"\.git": "a repository of git",
    r"id_(rsa|dsa|ecdsa|ed25519)": "a private key of SSH",
    r"\.env(\.\w+)?": "variables of an environment",
    r"\.pgpass": "passwords of PostgreSQL",
    r"\.dockercfg": "credentials of registries",
    r"\.htpasswd": "passwords of a web server",
    r"kubeconfig": "credentials of a cluster",
}
"""Pattern of a file or folder name -> kind."""

PATHS = {
    r"(.*/)?\.docker/config\.json": "credentials of registries",
    r"(.*/)?\.aws/credentials": "credentials of AWS",
    r"(.*/)?\.kube/config": "credentials of a cluster",
    r"(.*/)?\.config/pip/pip\.conf": "settings of pip, which may hold credentials",
    r"run/secrets/.+": "a secret of a build",
}

TEXTS = {
    "a private key": (
        (b"PRIVATE KEY",),
        rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----\s+[A-Za-z0-9+/=:,\- \r\n]{64}",
    ),
    "a key of AWS": (
        (b"AKIA", b"ASIA"),
        rb"(?<![A-Za-z0-9+/])A(?:KI|SI)A[A-Z2-7]{16}(?![A-Za-z0-9+/=])",
    ),
    "a token of GitHub": (
        (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_"),
        rb"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})"
        rb"(?![A-Za-z0-9])",
    ),
    "a token of GitLab": ((b"glpat-",), rb"(?<![A-Za-z0-9])glpat-[A-Za-z0-9_-]{20}"),
    "a token of Slack": ((b"xox",), rb"(?<![A-Za-z0-9])xox[abeoprs]-[0-9]{8,}-[A-Za-z0-9-]{16,}"),
    "a key of Google": ((b"AIza",), rb"(?<![A-Za-z0-9_-])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    "an account of Google Cloud": ((b"service_account",), rb'"type":\s*"service_account"'),
    "a token of PyPI": ((b"pypi-AgEI",), rb"pypi-AgEI[A-Za-z0-9_-]{50,}"),
    "a token of Hugging Face": ((b"hf_",), rb"(?<![A-Za-z0-9])hf_[A-Za-z]{34}(?![A-Za-z0-9])"),
    "a key of Stripe": ((b"sk_live_",), rb"sk_live_[A-Za-z0-9]{24,}"),
    "a URL with a password": (
        (b"://",),
        rb"https?://[^\s/:@\"'<>{}$%]{1,64}:[^\s/:@\"'<>{}$*]{3,128}@[A-Za-z0-9.-]+\.[A-Za-z]",
    ),
}
"""Kind -> bytes of which one is always present and found quickly; pattern."""

_FILES = [(re.compile(pattern), what) for pattern, what in FILES.items()]
_PATHS = [(re.compile(pattern), what) for pattern, what in PATHS.items()]
_TEXTS = [(what, some, re.compile(form)) for what, (some, form) in TEXTS.items()]


def secret_file_kinds(path: str) -> Iterator[str]:
    for part in path.split("/"):
        yield from (what for pattern, what in _FILES if pattern.fullmatch(part))
    yield from (what for pattern, what in _PATHS if pattern.fullmatch(path))


def secret_patterns(content: bytes) -> Iterator[str]:
    """Yield the kinds of secrets that a content looks like."""
    for what, some, form in _TEXTS:
        if any(each in content for each in some) and form.search(content):
            yield what
