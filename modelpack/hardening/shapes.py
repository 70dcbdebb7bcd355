"""What secrets look like: files that are known to hold them, and texts of a known form.

Forms are those that the issuers document, each with a beginning that is cheap to look for; of words
like "password" too many files speak.
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
    rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----\s+[A-Za-z0-9+/=:,\- \r\n]{64}": (
        "a private key"
    ),
    rb"(?<![A-Za-z0-9+/])A(?:KI|SI)A[A-Z2-7]{16}(?![A-Za-z0-9+/=])": "a key of AWS",
    rb"(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{36,255}(?![A-Za-z0-9])": "a token of GitHub",
    rb"(?<![A-Za-z0-9])github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}": "a token of GitHub",
    rb"(?<![A-Za-z0-9])glpat-[A-Za-z0-9_-]{20}": "a token of GitLab",
    rb"(?<![A-Za-z0-9])xox[abeoprs]-[0-9]{8,}-[A-Za-z0-9-]{16,}": "a token of Slack",
    rb"(?<![A-Za-z0-9_-])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])": "a key of Google",
    rb'"type":\s*"service_account"': "an account of Google Cloud",
    rb"(?<![A-Za-z0-9])pypi-AgEI[A-Za-z0-9_-]{50,}": "a token of PyPI",
    rb"(?<![A-Za-z0-9])hf_[A-Za-z]{34}(?![A-Za-z0-9])": "a token of Hugging Face",
    rb"(?<![A-Za-z0-9])sk_live_[A-Za-z0-9]{24,}": "a key of Stripe",
    rb"https?://[^\s/:@\"'<>{}$%]{1,64}:[^\s/:@\"'<>{}$*]{3,128}@[A-Za-z0-9.-]+\.[A-Za-z]": (
        "a URL with a password"
    ),
}
"""Text, as a pattern -> what it is."""

_FILES = [(re.compile(pattern), what) for pattern, what in FILES.items()]
_PATHS = [(re.compile(pattern), what) for pattern, what in PATHS.items()]
_TEXTS = [(re.compile(pattern), what) for pattern, what in TEXTS.items()]
_BEGINNINGS = re.compile(
    rb"PRIVATE KEY|A[KS]IA|gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|service_account|pypi-AgEI"
    rb"|hf_[A-Za-z]|sk_live_|https?://[^\s/]{3,200}@"
)
"""One pass that most files end with: each of the texts has one of these."""


def named(path: str) -> Iterator[str]:
    """What a path says that lies there, if that is a secret."""
    for part in path.split("/"):
        yield from (what for pattern, what in _FILES if pattern.fullmatch(part))
    yield from (what for pattern, what in _PATHS if pattern.fullmatch(path))


def found(content: bytes) -> Iterator[str]:
    """What is in a content that looks like a secret."""
    if _BEGINNINGS.search(content):
        yield from (what for pattern, what in _TEXTS if pattern.search(content))
