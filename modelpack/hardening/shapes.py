"""What secrets look like: files that are known to hold them, and texts of a known form.

Forms are those that the issuers document; of words like "password" too many files speak.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

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


def named(path: str) -> Iterator[str]:
    """What a path says that lies there, if that is a secret."""
    for part in path.split("/"):
        yield from (what for pattern, what in _FILES if pattern.fullmatch(part))
    yield from (what for pattern, what in _PATHS if pattern.fullmatch(path))


def found(content: bytes) -> Iterator[str]:
    """What is in a content that looks like a secret."""
    for what, some, form in _TEXTS:
        if any(each in content for each in some) and form.search(content):
            yield what
