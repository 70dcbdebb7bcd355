"""Models by address: registered models and runs of MLflow, and files of HTTPS.

    fetched = fetch("models:/churn@champion", folder, on_bytes=show)

`mlflow.py` resolves an address with the REST API of a server, `artifacts.py` copies the files of a
model, and `web.py` downloads a single file. All requests are those of `http.py`, which limits them.
Nothing of a model is read here.
"""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"(?:models|runs):/|[A-Za-z][A-Za-z0-9+.-]*://")
_KNOWN = re.compile(r"(?:models|runs):/|https?://", re.IGNORECASE)
_WEB = re.compile(r"https?://", re.IGNORECASE)


def is_address(text: str) -> bool:
    """Return whether a MODEL argument is an address, and not a path."""
    return _ADDRESS.match(text) is not None


def is_known_address(text: str) -> bool:
    """Return whether a TARGET argument is an address of a kind that modelpack fetches."""
    return _KNOWN.match(text) is not None


def is_web_address(text: str) -> bool:
    """Return whether an address is that of a file, of which --sha256 gives the digest."""
    return _WEB.match(text) is not None
