"""The MLflow servers and their credentials, from the variables and the file of MLflow's client.

Source: mlflow/utils/credentials.py and mlflow/utils/rest_utils.py of MLflow 3.17.
"""

from __future__ import annotations

import base64
import configparser
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from modelpack.errors import ModelNotSupportedError, UsageError

from .http import Access, Client, public

TRACKING, REGISTRY = "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"
_USERNAME, _PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
_TOKEN = "MLFLOW_TRACKING_TOKEN"  # noqa: S105 - the name of a variable
_INSECURE, _AUTHORITIES = "MLFLOW_TRACKING_INSECURE_TLS", "MLFLOW_TRACKING_SERVER_CERT_PATH"
_CERTIFICATE = "MLFLOW_TRACKING_CLIENT_CERT_PATH"
_OTHER = ("MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4")
_ADVICE = f"Set {_USERNAME} and {_PASSWORD}, or {_TOKEN}, of a user who may read the model."


def tracking_server() -> Client:
    """Return a client of the server that has runs and proxies artifacts.

    Raises:
        UsageError: No server is configured, or a variable has no valid value.
        ModelNotSupportedError: It is no server that modelpack supports.
    """
    return _client(_variable(TRACKING) or _variable(REGISTRY))


def registry_server() -> Client:
    """Return a client of the server that has registered models.

    Raises:
        UsageError, ModelNotSupportedError: As `tracking_server`.
    """
    return _client(_variable(REGISTRY) or _variable(TRACKING))


def _client(uri: str) -> Client:
    if not uri:
        raise UsageError(
            f"No MLflow server is configured: {TRACKING} is not set.",
            hint=f"Set its address: {TRACKING}=https://mlflow.example.com",
        )
    if urlsplit(uri).scheme not in {"http", "https"}:
        _require_server(uri)
    for name in _OTHER:
        if _variable(name).lower() not in {"", "false", "0"}:
            raise ModelNotSupportedError(
                f"modelpack does not support {name}, which is set.",
                hint="Download the folder with `mlflow artifacts download`, and give the folder.",
            )
    return Client(public(uri), _access(uri))


def _require_server(uri: str) -> None:
    """Raise the error of a store without a server: a folder, a database, or Databricks."""
    kind = uri.partition(":")[0] if ":" in uri or uri.startswith("databricks") else "path"
    if kind in {"databricks", "databricks-uc", "uc"}:
        raise ModelNotSupportedError(
            f"modelpack does not read the registry of Databricks ({ascii(kind)[1:-1]}).",
            hint="Download the folder with `mlflow artifacts download`, and give the folder.",
        )
    raise UsageError(
        f"{TRACKING} or {REGISTRY} names a store that is no server ({ascii(kind)[1:-1]}).",
        hint="Give the folder of the model in the store, or start a server for it: mlflow server"
        " --backend-store-uri URI",
    )


def _access(uri: str) -> Access:
    authorities = _variable(_AUTHORITIES)
    is_insecure = _variable(_INSECURE).lower() in {"true", "1"}
    if authorities and is_insecure:
        raise UsageError(
            f"{_INSECURE} and {_AUTHORITIES} are both set, and contradict each other.",
            hint=f"Unset one of them, such as {_INSECURE}.",
        )
    for name, path in ((_AUTHORITIES, authorities), (_CERTIFICATE, _variable(_CERTIFICATE))):
        if path and not Path(path).exists():
            raise UsageError(
                f"{name} names {path}, which does not exist.", hint="Correct the path, or unset it."
            )
    verify: bool | str = authorities or not is_insecure
    return Access(_authorization(uri), verify, _variable(_CERTIFICATE) or None, _ADVICE)


def _authorization(uri: str) -> str:
    """Return the header of the credentials in the URL, else of a user, else of a token."""
    if header := url_authorization(uri):
        return header
    username, password = _from_file()
    username, password = _variable(_USERNAME) or username, _variable(_PASSWORD) or password
    if username and password:
        return _basic(username, password)
    token = _variable(_TOKEN)
    if not token.isascii() or not token.isprintable():
        raise UsageError(
            f"{_TOKEN} contains characters that no token has.", hint="Copy the token again."
        )
    return f"Bearer {token}" if token else ""


def url_authorization(url: str) -> str:
    """Return the header of the user in a URL, or ""."""
    parts = urlsplit(url)
    if parts.username is None:
        return ""
    return _basic(unquote(parts.username), unquote(parts.password or ""))


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _from_file() -> tuple[str, str]:
    path = Path("~/.mlflow/credentials").expanduser()
    parser = configparser.ConfigParser()
    try:
        parser.read(path, "utf-8")
        names = (_USERNAME.lower(), _PASSWORD.lower())
        username, password = (parser.get("mlflow", name, fallback="") for name in names)
    except (configparser.Error, OSError, ValueError):
        raise UsageError(
            f"{path} is not a file of credentials of MLflow.",
            hint=f"Correct it, or remove it and set {_USERNAME} and {_PASSWORD}.",
        ) from None
    return username, password


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip()
