"""Write the pages of docs/reference from the code.

`make reference` writes them again, and `tests/scripts/test_reference.py` compares them.
Keys, routes, names, types and defaults are those of the code. A variable or a label that is in the
code, and not in a table below, is an error.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import re
import sys
import tempfile
import textwrap
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import modelpack
from modelpack import errors, serving
from modelpack.api import service as api_service
from modelpack.cli.manual import EXIT_CODES

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "reference"
SOURCES = sorted((ROOT / "modelpack").rglob("*.py"))
IN_IMAGES = ("assembly", "serving")
"""Folders of modelpack/ that run in images. docs/service.md has their variables."""

VARIABLES = {
    "Package index": {
        "UV_DEFAULT_INDEX, UV_INDEX_URL, UV_INDEX, UV_EXTRA_INDEX_URL": "indexes of uv",
        "UV_INSECURE_HOST": "hosts of indexes without a valid certificate",
        "UV_KEYRING_PROVIDER": "`subprocess`: credentials from the `keyring` command",
        "UV_CONFIG_FILE": "file in place of uv's configuration files",
        "UV_CACHE_DIR": "cache of uv",
        "UV_CONCURRENT_DOWNLOADS, UV_HTTP_RETRIES, UV_HTTP_TIMEOUT": "downloads of uv",
        "UV_SYSTEM_CERTS": "whether uv trusts the certificates of the system",
        "PIP_CONFIG_FILE": "configuration file of pip; `PIP_` and an option, as for pip",
        "SSL_CERT_FILE, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE": "CA certificates",
        "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY": "proxies",
        "NETRC": "file with credentials (default: `~/.netrc`)",
        "VIRTUAL_ENV, CONDA_PREFIX": "the environment that may have saved the model",
    },
    "Engines and registries": {
        "DOCKER_HOST, DOCKER_CONTEXT": "the daemon of Docker",
        "DOCKER_CONFIG": "folder of Docker's `config.json`, with the credentials of registries",
        "BUILDX_BUILDER": "the builder of buildx",
        "REGISTRY_AUTH_FILE": "credentials of `podman login`",
        "MODELPACK_PLAIN_HTTP": "hosts that are reached without TLS, separated by commas",
        "COSIGN_PASSWORD": "password of the private key of `push`",
        "SOURCE_DATE_EPOCH": "date of the image in seconds since 1970 (default: of the release)",
    },
    "Models by address": {
        "MLFLOW_TRACKING_URI, MLFLOW_REGISTRY_URI": "the MLflow server",
        "MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD, MLFLOW_TRACKING_TOKEN": "credentials",
        "MLFLOW_TRACKING_SERVER_CERT_PATH": "CA certificates of the server",
        "MLFLOW_TRACKING_CLIENT_CERT_PATH, MLFLOW_TRACKING_INSECURE_TLS, MLFLOW_TRACKING_AUTH, "
        "MLFLOW_TRACKING_AWS_SIGV4": "not supported, which a message states",
        "MODELPACK_ARTIFACT_FOLDERS": "folders of artifacts that may be read on this machine",
    },
    "Terminal and folders": {
        "NO_COLOR": "if set, print without colors",
        "COLUMNS": "width of tables and help, if the output is no terminal",
        "XDG_CACHE_HOME, XDG_DATA_HOME, XDG_CONFIG_HOME, XDG_CONFIG_DIRS, XDG_RUNTIME_DIR": (
            "folders of caches, of images of the `oci` engine, and of configuration files"
        ),
    },
}  # fmt: skip
"""Title -> names of variables that the commands read -> what they set."""
INTERNAL = {
    "MLFLOW_DISABLE_TELEMETRY", "MODELPACK_INTERPRETER", "MODELPACK_LIBRARY", "MODELPACK_PARITY",
    "MODELPACK_PIP_CONF", "MODELPACK_PROOF", "MODELPACK_RAISING", "MODELPACK_SHARD",
    "PIP_BREAK_SYSTEM_PACKAGES",
    "UV_FIND_LINKS", "UV_INDEX_STRATEGY", "UV_NO_CACHE", "UV_NO_CONFIG", "UV_OFFLINE",
    "UV_INDEX_", "UV_PYTHON_INSTALL_DIR",
}  # fmt: skip
"""Variables that modelpack sets for its own processes, or removes."""
VARIABLE = re.compile(
    r"(?:MODELPACK|UV|PIP|MLFLOW|DOCKER|COSIGN|XDG)_[A-Z0-9_]+|(?:HTTPS?|ALL|NO)_PROXY|NETRC|NO_COLOR"
    r"|COLUMNS|SSL_CERT_FILE|(?:REQUESTS|CURL)_CA_BUNDLE|VIRTUAL_ENV|CONDA_PREFIX|BUILDX_BUILDER"
    r"|REGISTRY_AUTH_FILE|SOURCE_DATE_EPOCH"
)
LABELS = {
    "org.opencontainers.image.title": "class of the model",
    "org.opencontainers.image.description": "library and task of the model",
    "org.opencontainers.image.base.name": "reference of the base image",
    "org.opencontainers.image.base.digest": "its digest, if it has one",
    "dev.modelpack.version": "version of modelpack that rendered the image",
    "dev.modelpack.base.origin": "`registry`, `local` or `user`",
    "dev.modelpack.base.slim": "`true` with `--slim-base`",
    "dev.modelpack.framework": "library of the model, with its version",
    "dev.modelpack.estimator": "class of the model, with its module",
    "dev.modelpack.python": "Python version",
    "dev.modelpack.model.sha256": "digests of the files of the model, separated by commas",
    "dev.modelpack.sbom.sha256": "digest of `/app/sbom.cdx.json`",
    "dev.modelpack.provenance.sha256": "digest of `/app/provenance.json`",
    "dev.modelpack.parity": "the [parity check](../parity.md) that the image passed",
    "dev.modelpack.compiled.from": "digests of the files that a compiled model was made from",
    "dev.modelpack.compiled.rows": "rows that both models predict",
    "dev.modelpack.compiled.ulp": "largest difference between both models, in ulp",
    "dev.modelpack.compiled.bound": "bound of the difference, in ulp",
    "dev.modelpack.startup": "module that runs [before the model is loaded](../code.md)",
    "dev.modelpack.smoke": "containers of a smoke test, which are removed at its end",
    "com.amazonaws.sagemaker.capabilities.accept-bind-to-port": (
        "`true`: the image listens on `SAGEMAKER_BIND_TO_PORT`"
    ),
}
LABEL = re.compile(r"(?:dev\.modelpack|org\.opencontainers\.image|com\.amazonaws)\.[\w.-]*\w")
NOT_IN_IMAGES = {"org.opencontainers.image.base", "org.opencontainers.image.ref.name"}


# --- Markdown ------------------------------------------------------------------------------------


def page(title: str, introduction: str, *parts: str) -> str:
    note = "<!-- Written by scripts/make_reference.py -->"
    return "\n\n".join([f"# {title}", note, introduction, *parts]) + "\n"


def table(header: str, rows: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> str:
    names = header.split(" | ")
    lines = [f"| {header} |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(" ".join(cell.split()) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def code(text: object) -> str:
    return "`" + str(text).replace("|", "\\|") + "`"


# --- Pages ---------------------------------------------------------------------------------------


def exit_codes() -> str:
    classes: dict[int, list[str]] = {}
    for name, kind in vars(errors).items():
        if inspect.isclass(kind) and "exit_code" in vars(kind):
            classes.setdefault(kind.exit_code, []).append(code(name))
    rows = [
        (str(number), meaning, ", ".join(classes.get(number, [])))
        for number, meaning in EXIT_CODES.items()
    ]
    return page(
        "Exit codes",
        "Every command ends with one of these codes. [Python](../python.md#errors) raises the "
        "exceptions, which are in `modelpack.errors`. [`predict` in an image](../service-batch.md"
        "#rows-without-a-prediction) has other codes.",
        table("code | meaning | exception", rows),
    )


def variables() -> str:
    named = {name for group in VARIABLES.values() for key in group for name in key.split(", ")}
    settings = (ROOT / "docs" / "service.md").read_text()
    commands = [path for path in SOURCES if path.relative_to(ROOT).parts[1] not in IN_IMAGES]
    used = {name for name in constants(VARIABLE, commands) if f"`{name}`" not in settings}
    require_same("variables", named, used - INTERNAL)
    parts = []
    for title, group in VARIABLES.items():
        rows = [(", ".join(map(code, key.split(", "))), meaning) for key, meaning in group.items()]
        parts.append(f"## {title}\n\n{table('variable | sets', rows)}")
    return page(
        "Environment variables",
        "The commands read these variables. The variables of a running service are in [the "
        "service](../service.md#settings), and those that split a batch job in [batch "
        "predictions](../deploy/batch.md#other-platforms). [Offline builds](../places.md"
        "#package-index) has the order in which settings of indexes are used.",
        *parts,
    )


def labels() -> str:
    template = (ROOT / "templates" / "Dockerfile.j2").read_text()
    used = constants(LABEL, SOURCES) | set(LABEL.findall(template))
    require_same("labels", set(LABELS), used - NOT_IN_IMAGES)
    rows = [(code(name), meaning) for name, meaning in LABELS.items()]
    return page(
        "Labels of images",
        "`docker inspect --format '{{ json .Config.Labels }}' IMAGE` prints the labels. "
        "[Deployments](../deploy/kubernetes.md) repeat those of the model as annotations.",
        table("label | value", rows),
    )


def routes() -> str:
    """Write the routes of the OpenAPI document, which a test compares with the application."""
    document = openapi()
    parts = []
    for tag in document["tags"]:
        rows = []
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if operation.get("tags") == [tag["name"]]:
                    rows.append((code(f"{method.upper()} {path}"), *_operation(operation)))
        heading = f"## {tag['name']}\n\n{tag['description']}"
        if rows:
            heading += "\n\n" + table("route | what it does | request | statuses", rows)
        parts.append(heading)
    return page(
        "HTTP routes",
        "Every image serves these routes, and describes them for its own model in "
        "[`/openapi.json`](../service-openapi.md). Each section is a protocol, by its name in "
        "`create_app(service, protocols=[...])`. Errors are "
        "[problem+json](../service.md#bad-input-status-by-server); any request can also get 400, "
        "408, 413, 414, 417, 431, 500 or 503. [gRPC](../service-grpc.md) has a separate page.",
        *parts,
    )


def _operation(operation: Mapping[str, typing.Any]) -> tuple[str, str, str]:
    usual = {"400", "408", "413", "414", "417", "431", "500", "503"}
    media = [code(name) for name in operation.get("requestBody", {}).get("content", {})]
    statuses = [status for status in operation["responses"] if status not in usual]
    return operation["summary"], ", ".join(media), ", ".join(statuses)


def openapi() -> dict[str, typing.Any]:
    """Return the document of a small service, whose paths are those of every model."""
    sys.path += [str(ROOT / "tests" / "support")]
    import flask_clients  # noqa: PLC0415 - of the tests
    import serving_models  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        client = flask_clients.client_for(serving_models.iris(), Path(folder))
        document: dict[str, typing.Any] = client.get("/openapi.json").get_json()
    return document


def json_documents() -> str:
    from modelpack import types as values  # noqa: PLC0415 - the same name as the standard library's
    from modelpack.comparison.report import Difference  # noqa: PLC0415
    from modelpack.pipeline import (  # noqa: PLC0415
        apply,
        deploy,
        deploy_job,
        doctor,
        package,
        predict,
        push,
        scan,
        verify,
    )

    whole = {"inspect": values.ModelSpec, "smoke": values.SmokeReport}
    objects: dict[str, list[str]] = {
        "package": returned_keys(package.PackageResult.to_json),
        "scan": returned_keys(scan.scan_report),
        "verify": returned_keys(verify.Verification.to_json),
        "diff": ["schema", "differing", "breaking", *names(Difference)],
        "push": returned_keys(push.PushResult.to_json),
        "predict -o FILE": ["target", "output", *names(predict.PredictResult)],
        "deploy": returned_keys(deploy.DeployResult.to_json),
        "deploy --batch": returned_keys(deploy_job.JobResult.to_json),
        "deploy --status": returned_keys(apply.Deployed.to_json),
        "doctor": [f"an array of objects with {', '.join(map(code, names(doctor.Finding)))}"],
    }
    rows = [
        (code(f"modelpack {command} --json"), f"those of [{kind.__name__}](#{kind.__name__.lower()})")  # noqa: E501
        for command, kind in whole.items()
    ] + [
        (code(f"modelpack {command} --json"),
         ", ".join(key if " " in key else code(key) for key in keys))
        for command, keys in objects.items()
    ]  # fmt: skip
    kinds: dict[str, type] = {}
    for kind in (*whole.values(), values.Code, values.Proof, Difference):
        collect(kind, kinds)
    return page(
        "JSON documents",
        "`--json` prints one document on stdout. These are its keys. Later versions add keys, and "
        "keep these. `smoke --report FILE` writes the document of `smoke`.",
        "A command whose result is a failure also prints it: `inspect` of a refused model, "
        "`package` and `smoke` of a failed smoke test, `scan`, `verify` and `diff`. Other errors "
        "print nothing on stdout. In both cases, the message is on stderr, and the [exit "
        "code](exit-codes.md) is not 0.",
        table("command | keys", rows),
        "In `package`, `model` is the document of `inspect`, and `smoke` that of `smoke`. The "
        "types below are those of Python: a tuple is an array, a mapping is an object, and None is "
        "null.",
        *map(field_table, kinds.values()),
    )


def names(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def returned_keys(function: Callable[..., object]) -> list[str]:
    """Return the keys of the object that a function returns."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    returned = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return)]
    keys: list[str] = []
    for node in returned:
        assert isinstance(node, ast.Dict), ast.unparse(node or tree)
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant):
                keys.append(str(key.value))
            elif isinstance(value, ast.IfExp) and isinstance(value.body, ast.Dict):
                keys += [
                    str(each.value) for each in value.body.keys if isinstance(each, ast.Constant)
                ]
            else:
                assert "vars(self.changes)" in ast.unparse(value), ast.unparse(value)
                keys += names(importable("modelpack.deployment.folder").WriteResult)
    return keys


def collect(kind: object, kinds: dict[str, type]) -> None:
    """Add a dataclass and those of its fields to `kinds`, by name."""
    for argument in typing.get_args(kind):
        collect(argument, kinds)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type) and kind.__name__ not in kinds:
        kinds[kind.__name__] = kind
        for hint in hints(kind).values():
            collect(hint, kinds)


def hints(kind: type) -> dict[str, typing.Any]:
    module = vars(sys.modules[kind.__module__])
    return typing.get_type_hints(kind, {**module, **vars(typing)})


def field_table(kind: type) -> str:
    documented = attributes(kind)
    rows = [
        (code(field.name.removesuffix("_")), code(type_name(hints(kind)[field.name])),
         documented.get(field.name, ""))
        for field in dataclasses.fields(kind)
    ]  # fmt: skip
    if kind.__name__ in DERIVED:
        rows += [(code(name), code("str" if name == "status" else "bool"), meaning)
                 for name, meaning in DERIVED[kind.__name__].items()]  # fmt: skip
    summary = inspect.getdoc(kind).split("\n\n")[0] if inspect.getdoc(kind) else ""
    return f"## {kind.__name__}\n\n{summary}\n\n" + table("key | type | value", rows)


DERIVED = {
    "SmokeReport": {
        "passed": "whether a prediction was tested, and no check failed",
        "status": "`passed`, `failed` or `untested`",
    },
    "Check": {"status": "`passed`, `failed` or `not run`"},
}
"""Keys that `to_json` of modelpack/types.py adds."""


def attributes(kind: object) -> dict[str, str]:
    """Return what the section `Attributes:` of a docstring says of each name."""
    return dict(section(inspect.getdoc(kind) or "", "Attributes"))


def section(docstring: str, name: str) -> list[tuple[str, str]]:
    """Return the entries of a section of a docstring in Google's style."""
    match = re.search(rf"^{name}:\n((?: .*\n?|\n)+)", docstring, re.MULTILINE)
    if not match:
        return []
    text = inspect.cleandoc("\n" + match[1])
    return re.findall(r"^([\w.]+): (.*(?:\n +.*)*)", text, re.MULTILINE)


def type_name(hint: object) -> str:
    text = (
        hint
        if isinstance(hint, str)
        else getattr(hint, "__name__", "")
        if isinstance(hint, type)
        else ""
    )
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " | ".join(map(type_name, typing.get_args(hint)))
    if typing.get_args(hint) or not text:
        text = re.sub(r"\b(?:\w+\.)+(?=\w)", "", str(hint))
    return text.replace("NoneType", "None").replace("str | int | float | bool | None", "Scalar")


def python() -> str:
    functions = [f"modelpack.{name}" for name in modelpack.__all__ if name != "__version__"]
    parts = [described(name, getattr(modelpack, name.split(".")[1])) for name in functions]
    served = api_service.ServedModel
    parts.append(described("modelpack.api.service.ServedModel", served))
    parts += [
        described(f"ServedModel.{name}", member, level=3)
        for name, member in vars(served).items()
        if inspect.isfunction(member) and not name.startswith("_") and inspect.getdoc(member)
    ]
    plugin = importable("modelpack.api.pytest_plugin")
    parts.append(
        described("modelpack_service", plugin.ServiceFactory.__call__, note="A fixture of pytest.")
    )
    parts += [
        described(f"modelpack.serving.{name}", getattr(serving, name)) for name in serving.__all__
    ]
    parts.append(described("Service.predict", serving.Service.predict, level=3))
    parts.append(described("modelpack.errors.ModelpackError", errors.ModelpackError))
    return page(
        "Python API",
        "These functions and classes are public. [Python](../python.md) shows them in use. "
        "`modelpack.serving` is for the [`app.py` of a bundle](../howto/app.md); the other "
        "modules are internal.",
        *parts,
    )


def importable(name: str) -> types.ModuleType:
    __import__(name)
    return sys.modules[name]


SECTIONS = {
    "Args": "parameter | value",
    "Attributes": "attribute | value",
    "Raises": "exception | when",
}
"""Sections of docstrings, and the heads of their tables."""


def described(
    name: str, value: Callable[..., object] | type, level: int = 2, note: str = ""
) -> str:
    docstring = inspect.getdoc(value) or ""
    title = f"{'#' * level} {name}\n\n" + (f"{note}\n\n" if note else "")
    text = title + f"```text\n{signature(name, value)}\n```\n\n" + docstring.split("\n\n")[0]
    for heading, header in SECTIONS.items():
        entries = [(code(entry), meaning) for entry, meaning in section(docstring, heading)]
        if entries:
            text += f"\n\n{table(header, entries)}"
    returns = re.search(r"^Returns:\n((?: +.*\n?)+)", docstring, re.MULTILINE)
    return text + (f"\n\nReturns: {inspect.cleandoc(returns[1])}" if returns else "")


def signature(name: str, value: Callable[..., object] | type) -> str:
    parameters = inspect.signature(value).replace(return_annotation=inspect.Signature.empty)
    shown = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in parameters.parameters.values()
        if parameter.name != "self"
    ]
    text = str(parameters.replace(parameters=shown))
    if len(text) > 80:
        text = "(\n    " + text[1:-1].replace(", ", ",\n    ") + ",\n)"
    return (name.rsplit(".", maxsplit=1)[-1] if inspect.isclass(value) else name) + text


# --- The code ------------------------------------------------------------------------------------


def constants(pattern: re.Pattern[str], paths: Sequence[Path]) -> set[str]:
    """Return the strings in files of Python that match a pattern."""
    return {text for path in paths for text in strings(path) if pattern.fullmatch(text)}


@functools.cache
def strings(path: Path) -> frozenset[str]:
    return frozenset(
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def require_same(what: str, described_: set[str], used: set[str]) -> None:
    if described_ != used:
        raise SystemExit(
            f"make_reference: {what} without a description: {sorted(used - described_)}; "
            f"described, and not in the code: {sorted(described_ - used)}"
        )


PAGES = {
    "exit-codes.md": exit_codes,
    "http.md": routes,
    "json.md": json_documents,
    "labels.md": labels,
    "python.md": python,
    "variables.md": variables,
}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, write in PAGES.items():
        (FOLDER / file).write_text(write())
