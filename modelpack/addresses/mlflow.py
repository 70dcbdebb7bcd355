"""Addresses of MLflow: registered models, logged models and runs, by the REST API of a server.

An address is resolved once: an alias that moves meanwhile does not mix two versions.
Source: mlflow/store/artifact/utils/models.py and runs_artifact_repo.py of MLflow 3.17.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from modelpack.errors import UsageError

from .http import Client, Rejected
from .servers import registry_server, tracking_server

_API = "/api/2.0/mlflow"
_MODEL = re.compile(r"models:/{1,3}([^/]+?)(?:/([^/]+)|@([^/@]+))?/?")
_RUN = re.compile(r"runs:/{1,3}([^/]+)/(.+?)/?")
_FORMS = "models:/NAME/VERSION, models:/NAME@ALIAS, models:/NAME/latest or runs:/ID/PATH"
_MAX_SHOWN = 200
_MAX_ALIASES = 10
_MAX_OUTPUTS = 100


@dataclass(frozen=True)
class Resolved:
    """The folder or file that an address means.

    Attributes:
        address: The address of exactly this version.
        artifacts: Its URI in the artifact store.
        name: Of the model, or of the file.
        version: Of a registered model, else "".
        run: The id of the run that logged it, if known.
        server: The address of the server that resolved it.
    """

    address: str
    artifacts: str
    name: str
    version: str
    run: str
    server: str


def resolve(address: str) -> Resolved:
    """Return the version that an address means now.

    Raises:
        UsageError: The address is not valid, or the server does not have the model.
        ModelpackError: As `Client.document`.
    """
    if run := _RUN.fullmatch(address):
        with tracking_server() as client:
            return _run(client, run[1], run[2])
    model = _MODEL.fullmatch(address)
    if model is None or not model[1].strip():
        raise UsageError(
            f"{ascii(address)[1:-1][:_MAX_SHOWN]} is not a valid address of MLflow.",
            hint=f"Give {_FORMS}.",
        )
    name, suffix, alias = model.groups()
    if suffix is None and alias is None:
        with tracking_server() as client:
            return _logged(client, name)
    with registry_server() as client:
        return _registered(client, address, name, suffix or "", alias or "")


def _registered(client: Client, address: str, name: str, suffix: str, alias: str) -> Resolved:
    try:
        is_number = re.fullmatch(r"\d{1,18}", suffix, re.ASCII)
        version = suffix if is_number else _version(client, name, suffix, alias)
        query = {"name": name, "version": version}
        described = _get(client, "/model-versions/get", query, "model_version")
        uri = client.document(f"{_API}/model-versions/get-download-uri", query).get("artifact_uri")
    except Rejected as rejected:
        raise _missing(client, address, rejected, _known(client, name)) from None
    if not isinstance(uri, str) or not uri:
        uri = _text(described, "source")
    run = _text(described, "run_id")
    return Resolved(f"models:/{name}/{version}", uri, name, version, run, client.url)


def _version(client: Client, name: str, suffix: str, alias: str) -> str:
    """Return the version of an alias, of a stage, or the latest one."""
    if alias:
        query = {"name": name, "alias": alias}
        return _number(_get(client, "/registered-models/alias", query, "model_version"))
    stages = [] if suffix.lower() == "latest" else [suffix]
    body = {"name": name, **({"stages": stages} if stages else {})}
    document = client.document(f"{_API}/registered-models/get-latest-versions", {}, body)
    listed = document.get("model_versions")
    numbers = [_number(each) for each in listed] if isinstance(listed, list) else []
    if not numbers:
        raise Rejected(404, "", "it has no such version")
    return max(numbers, key=int)


def _known(client: Client, name: str) -> str:
    """Return which aliases and versions a model has, for a hint; "" if it does not exist."""
    try:
        model = _get(client, "/registered-models/get", {"name": name}, "registered_model")
    except Rejected:
        return ""
    aliases, latest = model.get("aliases"), model.get("latest_versions")
    listed = [_text(each, "alias") for each in aliases] if isinstance(aliases, list) else []
    numbers = [_number(each) for each in latest] if isinstance(latest, list) else []
    names = ", ".join(ascii(f"@{each}")[1:-1] for each in listed[:_MAX_ALIASES])
    newest = f"version {max(numbers, key=int)} is the newest" if numbers else "it has no version"
    return f"Of {ascii(name)[1:-1]}, {newest}{f'; its aliases are {names}' if names else ''}."


def _logged(client: Client, model: str) -> Resolved:
    """Return a model that MLflow 3 logged, by its id."""
    address = f"models:/{model}"
    try:
        document = client.document(f"{_API}/logged-models/{quote(model, safe='')}", {})
    except Rejected as rejected:
        hint = f"For a registered model, add the version or the alias: {address}/1 or"
        hint += f" {address}@ALIAS"
        raise _missing(client, address, rejected, hint) from None
    info = _mapping(_mapping(document.get("model")).get("info"))
    name, run = _text(info, "name") or model, _text(info, "source_run_id")
    return Resolved(address, _text(info, "artifact_uri"), name, "", run, client.url)


def _run(client: Client, run: str, path: str) -> Resolved:
    """Return an artifact of a run, or a model that MLflow 3 logged in it."""
    address = f"runs:/{run}/{path}"
    try:
        document = _get(client, "/runs/get", {"run_id": run}, "run")
        name, _, rest = path.partition("/")
        uri = _model_of_run(client, document, name)
    except Rejected as rejected:
        hint = "Check the id of the run on the page of the server."
        raise _missing(client, address, rejected, hint) from None
    if not uri:
        uri, rest = _text(_mapping(document.get("info")), "artifact_uri"), path
    uri = f"{uri.rstrip('/')}/{rest}" if rest else uri
    return Resolved(address, uri, path.rpartition("/")[2], "", run, client.url)


def _model_of_run(client: Client, run: Mapping[str, Any], name: str) -> str:
    """Return the artifacts of the model that a run logged by this name, or ""."""
    outputs = _mapping(run.get("outputs")).get("model_outputs")
    for output in outputs[:_MAX_OUTPUTS] if isinstance(outputs, list) else []:
        model = quote(_text(_mapping(output), "model_id"), safe="")
        document = client.document(f"{_API}/logged-models/{model}", {})
        info = _mapping(_mapping(document.get("model")).get("info"))
        if _text(info, "name") == name:
            return _text(info, "artifact_uri")
    return ""


def _get(client: Client, path: str, query: Mapping[str, str], key: str) -> Mapping[str, Any]:
    return _mapping(client.document(f"{_API}{path}", query).get(key))


def _missing(client: Client, address: str, rejected: Rejected, hint: str) -> UsageError:
    reason = f"it responds with {rejected.status}"
    if rejected.message:
        reason = ascii(rejected.message)[1:-1][:_MAX_SHOWN].rstrip(".")
    return UsageError(
        f"The MLflow server {client.url} does not have"
        f" {ascii(address)[1:-1][:_MAX_SHOWN]}: {reason}.",
        hint=hint or "Check the name, and that the address of the server is right.",
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(document: object, key: str) -> str:
    value = _mapping(document).get(key)
    return value if isinstance(value, str) else ""


def _number(document: object) -> str:
    """Return the version in a document; "0" if it has none."""
    value = _mapping(document).get("version")
    text = str(value) if isinstance(value, str | int) else ""
    return text if re.fullmatch(r"\d{1,18}", text, re.ASCII) else "0"
