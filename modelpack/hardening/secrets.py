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

from modelpack import files as modelpack_files
from modelpack import oci
from modelpack.files import atomic_write_text
from modelpack.oci import filesystem, streams, tar
from modelpack.oci.streams import HashingReader, Readable
from modelpack.types import IndexSettings, Violation

SHORTEST = 6
"""Bytes: a shorter one is found by chance in any library."""

_WORD = re.compile("[a-z]{0,12}")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_NO_PASSWORDS = {"", "x-oauth-basic", "x-token-auth"}  # with these, the user's name is the secret


@dataclass(frozen=True)
class KnownSecret:
    """`what` it is, in words that do not tell it. `is_file`: all of a file's content."""

    what: str
    content: bytes
    is_file: bool = False


def known_secrets(index: IndexSettings, environ: Mapping[str, str]) -> tuple[KnownSecret, ...]:
    """`environ`: where proxies are set that the build was given. What cannot be read was not."""
    found = {needle.content: needle for needle in _all(index, environ)}
    return tuple(n for content, n in found.items() if len(content) >= SHORTEST)


def _all(index: IndexSettings, environ: Mapping[str, str]) -> Iterator[KnownSecret]:
    urls = {"the index": (index.index_url, *index.extra_index_urls)}
    urls["the proxy"] = (
        index.proxy,
        *(value for name, value in environ.items() if name.upper() in _PROXIES),
    )
    for of_what, given in urls.items():
        for url in filter(None, given):
            yield from _of_url(urlsplit(url if "://" in url else f"//{url}"), of_what)
    if index.netrc:
        yield from _of_netrc(Path(index.netrc))
    if index.ca_bundle:
        with suppress(OSError):
            yield KnownSecret("the file of authorities", Path(index.ca_bundle).read_bytes(), True)


def _of_url(url: SplitResult, of_what: str) -> Iterator[KnownSecret]:
    user, password = url.username or "", url.password or ""
    if password in _NO_PASSWORDS:
        yield from _written(user, f"the token of {of_what}")
        return
    yield from _written(password, f"the password of {of_what}")
    yield KnownSecret(f"the credentials of {of_what}", f"{user}:{password}@".encode())
    yield _basic(unquote(user), unquote(password), of_what)


def _of_netrc(path: Path) -> Iterator[KnownSecret]:
    try:
        machines = netrc.netrc(path).hosts
        content = path.read_bytes()
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return
    yield KnownSecret("the netrc file", content, True)
    for login, _, password in machines.values():
        yield from _written(password or "", "a password of netrc")
        yield _basic(login or "", password or "", "netrc")


def _written(secret: str, what: str) -> Iterator[KnownSecret]:
    """As it stands in a URL, and as it is meant; unless it is a word that any text may have."""
    for form in (secret, unquote(secret)):
        if not _WORD.fullmatch(form):
            yield KnownSecret(what, form.encode())


def _basic(user: str, password: str, of_what: str) -> KnownSecret:
    """As HTTP's basic authentication sends it (RFC 7617)."""
    told = base64.b64encode(f"{user}:{password}".encode()) if password else b""
    return KnownSecret(f"the credentials of {of_what}, in base64", told)


# What was found in a layer is kept on disk, in words that tell no secret, by a digest of the
# secrets that takes its time to make, so that nobody guesses them by it.
CONFIGURATION = "configuration"
_CHUNK = 2**22
_PUBLIC = "/certifi/cacert.pem"  # authorities that everyone knows, which may be the user's too


def find_leaks(
    config: Mapping[str, Any], layers: Sequence[oci.Layer], given: Sequence[KnownSecret]
) -> Iterator[Violation]:
    """`config`: the configuration with history, environment and labels. A violation is told with
    the path of the file that holds the secret, or else with the place of its layer.

    Raises:
        UsageError: a layer is damaged.
    """
    if not given:
        return
    told = json.dumps(config, ensure_ascii=False).encode(errors="surrogatepass")
    yield from (_leak(CONFIGURATION, needle) for needle in _in(told, given))
    key = _key(given)
    for number, layer in enumerate(layers, 1):
        for leak in _of_layer(layer, given, key):
            yield leak if leak.where else replace(leak, where=f"layer {number} above the base")


def _leak(where: str, needle: KnownSecret) -> Violation:
    return Violation(where, f"holds {needle.what}")


def _of_layer(layer: oci.Layer, given: Sequence[KnownSecret], key: str) -> Sequence[Violation]:
    """`where`: empty for what is in no content of a file."""
    place = (
        modelpack_files.cache_directory("leaks") / f"{key}-{layer.diff_id.replace(':', '-')}.json"
    )
    with suppress(OSError, ValueError, TypeError):
        return [Violation(*row) for row in json.loads(place.read_text("utf-8"))]
    leaks = [*_whole_files(layer, given), *_searched(layer, [n for n in given if not n.is_file])]
    with suppress(OSError):
        atomic_write_text(place, json.dumps([(leak.where, leak.what) for leak in leaks]))
    return leaks


def _whole_files(layer: oci.Layer, given: Sequence[KnownSecret]) -> Iterator[Violation]:
    files = {
        hashlib.sha256(needle.content).hexdigest(): needle for needle in given if needle.is_file
    }
    for entry in filesystem.layer_listing(layer):
        if entry.sha256 in files and not entry.path.endswith(_PUBLIC):
            yield _leak(entry.path, files[entry.sha256])


def _searched(layer: oci.Layer, given: Sequence[KnownSecret]) -> Iterator[Violation]:
    """Of all bytes of its tar first, with the names and attributes of its files."""
    with layer.open() as stream:
        leaked = _of_stream(stream, given)
    unplaced = set(leaked)
    for path, needle in _placed(layer, leaked) if leaked else ():
        unplaced.discard(needle)
        yield _leak(path, needle)
    yield from (_leak("", needle) for needle in given if needle in unplaced)


def _placed(layer: oci.Layer, given: Iterable[KnownSecret]) -> Iterator[tuple[str, KnownSecret]]:
    with layer.open() as stream:
        for entry, content in tar.members(HashingReader(stream, streams.LAYER)):
            if content is not None:
                yield from ((entry.path, needle) for needle in _of_stream(content, given))


def _of_stream(stream: Readable, given: Iterable[KnownSecret]) -> set[KnownSecret]:
    leaked: set[KnownSecret] = set()
    overlap = max((len(needle.content) for needle in given), default=0)
    data = b""
    while overlap and (more := stream.read(_CHUNK)):
        data = data[-overlap:] + more
        leaked.update(_in(data, given))
    return leaked


def _in(data: bytes, given: Iterable[KnownSecret]) -> Iterator[KnownSecret]:
    return (needle for needle in given if not needle.is_file and needle.content in data)


def _key(given: Sequence[KnownSecret]) -> str:
    salt = modelpack_files.cache_directory("leaks") / "salt"
    with suppress(FileExistsError), salt.open("xb") as file:
        file.write(os.urandom(16))
    contents = sorted(hashlib.sha256(needle.content).digest() for needle in given)
    return hashlib.scrypt(
        b"".join(contents), salt=salt.read_bytes(), n=2**14, r=8, p=1, dklen=16
    ).hex()


# Forms are those that the issuers document; of words like "password" too many files speak.
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
"""Name of a file or folder, as a pattern -> what it is."""

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
    "a token of Slack": (
        (b"xox",),
        rb"(?<![A-Za-z0-9])xox[abeoprs]-[0-9]{8,}-[A-Za-z0-9-]{16,}",
    ),
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
"""What it is -> some bytes that it always has one of, which are quick to look for; its form."""

_FILES = [(re.compile(pattern), what) for pattern, what in FILES.items()]
_PATHS = [(re.compile(pattern), what) for pattern, what in PATHS.items()]
_TEXTS = [(what, some, re.compile(form)) for what, (some, form) in TEXTS.items()]


def secret_file_kinds(path: str) -> Iterator[str]:
    """What a path says that lies there, if that is a secret."""
    for part in path.split("/"):
        yield from (what for pattern, what in _FILES if pattern.fullmatch(part))
    yield from (what for pattern, what in _PATHS if pattern.fullmatch(path))


def secret_patterns(content: bytes) -> Iterator[str]:
    """What is in a content that looks like a secret."""
    for what, some, form in _TEXTS:
        if any(each in content for each in some) and form.search(content):
            yield what
