"""Options of several commands, and the `Options` built from them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from modelpack.addresses import is_address
from modelpack.cli import config
from modelpack.cli.help import set_section
from modelpack.errors import UsageError
from modelpack.pipeline.options import FAIL_ON, Options

if TYPE_CHECKING:
    from modelpack.pipeline.deploy_job import JobRequest
    from modelpack.pipeline.deploy_request import DeployRequest
    from modelpack.pipeline.predict import PredictRequest

FILE = click.Path(path_type=Path)

F = TypeVar("F", bound=Callable[..., None])


def _section(name: str, *options: Callable[[F], F]) -> tuple[Callable[[F], F], ...]:
    """Put options into a section of the help."""

    def with_section(option: Callable[[F], F]) -> Callable[[F], F]:
        def decorate(command: F) -> F:
            decorated = option(command)
            set_section(decorated.__click_params__[-1], name)  # type: ignore[attr-defined]
            return decorated

        return decorate

    return tuple(map(with_section, options))


# Values of options. Tests compare them with the tables, whose modules take long to import.
ENGINES = ("docker", "podman", "oci", "process")
ROW_FORMATS = "csv, json, jsonl, npy, parquet"
PLATFORMS = ("compose", "swarm", "kubernetes", "kserve")
PROXY_IMAGE = "nginx:1.30-alpine"
BATCH_FORMATS = ("csv", "jsonl", "json", "npy", "arrow", "parquet")


class _Model(click.Path):
    """A path, or an address as text, since paths have no double slash."""

    def convert(self, value: Any, *_: object) -> str | Path:
        return str(value) if is_address(str(value)) else Path(value)


TARGET = click.Path()
"""Completed as a path. Its value is the text, which may name an image."""


def _read_settings(
    ctx: click.Context, _: click.Parameter, models: tuple[str | Path, ...]
) -> tuple[str | Path, ...]:
    """Read the settings next to the model. Nothing is next to an address."""
    if isinstance(models[0], str):
        return models
    group = ctx.find_root().command
    assert isinstance(group, click.Group)  # noqa: S101 - as every command is one of it
    everything = [param for command in group.commands.values() for param in command.params]
    known = [param for param in everything if isinstance(param, click.Option)]
    mine = {param.name for param in ctx.command.params}
    found = config.read(models[0], known)
    ctx.default_map = {name: value for name, value in found.items() if name in mine}
    return models


def read_settings_of_target(ctx: click.Context, param: click.Parameter, target: str) -> str:
    """Read the settings next to a model file. Their `output` is a bundle, not predictions."""
    from modelpack.pipeline.sources import is_model
    from modelpack.pipeline.targets import PREDICT, classify

    path = classify(target, PREDICT).path
    if path and is_model(path):
        _read_settings(ctx, param, (path,))
        (ctx.default_map or {}).pop("output", None)
    return target


SHA256 = _section(
    "Model",
    click.option(
        "--sha256",
        metavar="HEX",
        multiple=True,
        help="SHA-256 digest of the file at an https:// address (repeat for several addresses)",
    ),
)
MODEL = (
    click.argument(
        "models",
        metavar="MODEL...",
        type=_Model(),
        nargs=-1,
        required=True,
        is_eager=True,
        callback=_read_settings,
    ),
    *SHA256,
)
TRUST = _section(
    "Model",
    click.option(
        "--select",
        metavar="KEY",
        multiple=True,
        help="Estimator to select from a file with several (repeat for a pipeline of them)",
    ),
    click.option(
        "--trust",
        metavar="MODULE:NAME",
        multiple=True,
        help="Name outside the allowlist that the file may refer to (can be repeated)",
    ),
    click.option(
        "--code",
        metavar="PATH",
        type=FILE,
        multiple=True,
        help="Folder of the author's modules, or a script, whose definitions are trusted",
    ),
)
TEXTS = _section(
    "Model",
    click.option(
        "--title",
        metavar="TEXT",
        help="Title on the page of the service (default: the one in the record)",
    ),
    click.option(
        "--description",
        metavar="TEXT",
        help="Description below the title (default: the one in the record)",
    ),
)
INDEX = _section(
    "Environment",
    click.option(
        "--index-url", metavar="URL", help="Package index (default: the one of pip or uv)"
    ),
    click.option("--ca-cert", type=FILE, help="CA certificates for the package index (PEM file)"),
    click.option(
        "--offline",
        metavar="WHEELHOUSE",
        type=FILE,
        help="Use only this folder of `lock --download`, and no network",
    ),
)
BASE = _section(
    "Environment",
    click.option(
        "--base-image",
        metavar="REF",
        help="Base image (default: the official slim Python image; --engine oci also accepts"
        " docker-archive:FILE, oci-archive:FILE and oci:FOLDER)",
    ),
)
ENVIRONMENT = _section(
    "Environment",
    click.option(
        "--python", metavar="X.Y", help="Python version (default: one that fits the file)"
    ),
    *BASE,
    click.option(
        "--requirement",
        "requirements",
        metavar="NAME==X",
        multiple=True,
        help="Additional or overriding requirement (can be repeated)",
    ),
    click.option(
        "-r",
        "--requirements-file",
        type=FILE,
        multiple=True,
        help="Requirements file (can be repeated)",
    ),
    click.option(
        "--platform",
        metavar="OS/ARCH",
        help="linux/amd64 or linux/arm64 (default: the one of the engine; `package --engine oci`"
        " accepts both, separated by a comma)",
    ),
    *INDEX,
)
GRPC = _section(
    "Environment",
    click.option(
        "--grpc", is_flag=True, help="Serve gRPC, too, on port 8081 (adds grpcio and protobuf)"
    ),
)
COMPILED = _section(
    "Model",
    click.option(
        "--compiled",
        is_flag=True,
        help="Serve the model as numbers, without its library and without pickle",
    ),
)
SLIM = _section(
    "Environment",
    click.option(
        "--slim-base",
        is_flag=True,
        help="Remove from the base image what the service does not need, such as the shell",
    ),
)
CACHE = _section(
    "Cache",
    click.option(
        "--cache-from",
        metavar="CACHE",
        multiple=True,
        help="Import this build cache: a reference, or type=TYPE,... as of `docker buildx build`"
        " (can be repeated)",
    ),
    click.option(
        "--cache-to",
        metavar="CACHE",
        multiple=True,
        help="Export the build cache: type=inline to store it in the image, type=registry,ref=REF"
        " to push it (can be repeated)",
    ),
)
OUTPUT = _section(
    "Output",
    click.option("--json", "as_json", is_flag=True, help="Print one JSON document"),
    click.option("-q", "--quiet", is_flag=True, help="Print only results and errors"),
    click.option("-v", "--verbose", is_flag=True, help="Print every step, and tracebacks of bugs"),
)
NO_SMOKE = _section("Test", click.option("--no-smoke", is_flag=True, help="Do not run the image"))
REPORTS = _section(
    "Test",
    click.option("--report", type=FILE, help="Write the smoke report as JSON to this file"),
    click.option("--junit", type=FILE, help="Write the smoke report as JUnit XML to this file"),
)
EXAMPLE = _section(
    "Test",
    click.option(
        "--example", type=FILE, help=f"Rows to predict ({ROW_FORMATS}; default: generated)"
    ),
)
EXPECTED = _section(
    "Test",
    click.option(
        "--expected", type=FILE, help="Expected predictions of these rows, in the same formats"
    ),
    click.option(
        "--tolerance",
        metavar="X",
        type=click.FloatRange(0, 1),
        default=0.0,
        help="Relative difference of floats that counts as equal (default: 0, bit for bit)",
    ),
    click.option(
        "--allow-untested",
        is_flag=True,
        help="Accept a service whose predictions were not tested because no rows are known",
    ),
)
ENGINE = (
    click.option(
        "--engine",
        type=click.Choice(["auto", *ENGINES]),
        default="auto",
        show_default=True,
        help="Container engine or local process to build and run with",
    ),
)
FORCE = (
    click.option(
        "--force", is_flag=True, help="Replace files that were edited in the folder of the bundle"
    ),
)
RPC = ("grpcio>=1.40", "protobuf>=3.20")
"""Requirements of a service with gRPC. With a bound, their origin is the user."""
FORMAT = click.Choice(BATCH_FORMATS)
NAMED = ("on_error", "chunk_rows", "header")  # options that `predict` in the image has, too
BATCH = (
    click.option(
        "-o", "--output", type=FILE, help="Write the predictions to this file (default: stdout)"
    ),
    *_section(
        "Rows",
        click.option("--probabilities", is_flag=True, help="Add the probability of each class"),
        click.option(
            "--keep",
            metavar="NAME",
            multiple=True,
            help="Copy this column to the output; the model gets it only if it is an input",
        ),
        click.option("--keep-inputs", is_flag=True, help="Copy all columns to the output"),
        click.option(
            "--on-error",
            type=click.Choice(["fail", "null", "skip"]),
            default="fail",
            show_default=True,
            help="For a row without a prediction: stop, write an empty prediction, or skip the row",
        ),
        click.option(
            "--header",
            type=click.Choice(["present", "absent"]),
            help="Whether CSV input has a header (default: detected)",
        ),
        click.option(
            "--input-format",
            type=FORMAT,
            help="Format of the input (default: from the file name or content)",
        ),
        click.option(
            "--output-format",
            type=FORMAT,
            help="Format of the output (default: from the file name, or that of the input)",
        ),
        click.option(
            "--chunk-rows",
            metavar="N",
            type=click.IntRange(1, 10**7),
            help="Number of rows to predict at a time",
        ),
    ),
)
DEPLOYMENT = (
    click.option(
        "--to",
        type=click.Choice(PLATFORMS),
        help="Platform to deploy to",
    ),
    click.option("-o", "--output", type=FILE, required=True, help="Folder of the deployment"),
    click.option("--name", help="Name of the service (default: from the image)"),
    click.option("--no-token", is_flag=True, help="Let clients connect without a token"),
    click.option("--force", is_flag=True, help="Replace files that were edited"),
    click.option(
        "--apply",
        "action",
        flag_value="apply",
        help="Deploy the files, wait until they are healthy, and roll back otherwise",
    ),
    click.option(
        "--status",
        "action",
        flag_value="status",
        help="Show the state of the deployment in the folder",
    ),
    click.option(
        "--remove",
        "action",
        flag_value="remove",
        help="Remove the deployment in the folder from its platform, and keep the files",
    ),
    *_section(
        "Size",
        click.option(
            "--rate",
            metavar="X",
            type=click.FloatRange(0, min_open=True),
            default=100.0,
            show_default=True,
            help="Requests of one row per second, of all replicas together",
        ),
        click.option(
            "--replicas",
            metavar="N",
            type=click.IntRange(1, 1000),
            help="Least number of replicas (default: 2; 1 for compose and --publish host)",
        ),
        click.option(
            "--max-body-bytes",
            metavar="N",
            type=click.IntRange(1, 2**28),
            default=2**20,
            show_default=True,
            help="Size of a request body, for which the memory is computed",
        ),
        click.option(
            "--measurements",
            "report",
            metavar="PATH",
            type=FILE,
            help="Smoke report with the measurements (default: of this machine, or of a new test)",
        ),
    ),
    *_section(
        "Batch",
        click.option(
            "--batch",
            nargs=2,
            metavar="IN OUT",
            help="Run a job that predicts the files of the folder IN to OUT (for swarm and"
            " kubernetes; as /FOLDER or VOLUME/FOLDER)",
        ),
        click.option(
            "--batch-options",
            metavar="OPTIONS",
            default="",
            help="Options of `predict`, in quotes",
        ),
    ),
    *_section(
        "Platform",
        click.option(
            "--namespace", help="Existing namespace of Kubernetes (default: a new one of that name)"
        ),
        click.option(
            "--context",
            metavar="NAME",
            help="Context of kubectl (default: the current one, if it is that of the last --apply)",
        ),
        click.option(
            "--port",
            metavar="PORT",
            type=click.IntRange(1, 65535),
            default=8080,
            show_default=True,
            help="Port of the host, for compose and swarm",
        ),
        click.option(
            "--publish",
            type=click.Choice(["ingress", "host"]),
            default="ingress",
            show_default=True,
            help="For swarm: publish the port on every node, or on those with a replica",
        ),
        click.option(
            "--mode",
            type=click.Choice(["standard", "knative"]),
            default="standard",
            show_default=True,
            help="For kserve: mode of the InferenceService",
        ),
    ),
    *_section(
        "Version",
        click.option(
            "--proxy",
            is_flag=True,
            help="For compose and swarm: forward requests with nginx (implied by a second version)",
        ),
        click.option(
            "--proxy-image",
            metavar="IMAGE",
            default=PROXY_IMAGE,
            show_default=True,
            help="Image of nginx",
        ),
        click.option(
            "--gateway",
            metavar="[NAMESPACE/]NAME",
            help="For kubernetes: Gateway that sends requests to the service",
        ),
        click.option(
            "--canary",
            metavar="IMAGE",
            help="Second version that answers --weight percent of the requests",
        ),
        click.option(
            "--weight",
            metavar="N",
            type=click.IntRange(0, 100),
            default=10,
            show_default=True,
            help="Percentage of requests that the canary answers",
        ),
        click.option(
            "--shadow",
            metavar="IMAGE",
            help="Second version that gets a copy of each request, and whose responses are dropped",
        ),
        click.option(
            "--fail-on",
            type=click.Choice(FAIL_ON),
            default="breaking",
            show_default=True,
            help="Differences that refuse a second version with exit code 9, as in modelpack diff",
        ),
    ),
)


def with_options(*groups: tuple[Callable[[F], F], ...]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for option in reversed([option for group in groups for option in group]):
            command = option(command)
        return command

    return decorate


def build_options(
    *, requirements_file: tuple[Path, ...] = (), grpc: bool = False, **given: Any
) -> Options:
    """Build the pipeline's `Options` from click's values, and read requirement files."""
    listed = [line for path in requirements_file for line in config.requirements(path)]
    given["requirements"] = (*listed, *given.get("requirements", ()), *(RPC if grpc else ()))
    return Options(**given, code_trusted=_is_typed("code"))


def _is_typed(name: str) -> bool:
    """Return whether an option was typed, and not read from a file next to the model."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def password() -> str:
    """Return the password of a private key, from the variable of cosign or a prompt."""
    if "COSIGN_PASSWORD" in os.environ:
        return os.environ["COSIGN_PASSWORD"]
    if not sys.stdin.isatty():
        raise UsageError(
            "The private key needs a password, and there is no terminal for a prompt.",
            hint="Set COSIGN_PASSWORD.",
        )
    answer: str = click.prompt("Password of the private key", hide_input=True, err=True)
    return answer


def build_predict_request(
    data: Path | None, output: Path | None, options: dict[str, Any]
) -> PredictRequest:
    """Move the options of BATCH from `options` to a request."""
    from modelpack.pipeline.predict import PredictRequest

    formats = options.pop("input_format"), options.pop("output_format")
    named = {f"--{name.replace('_', '-')}": options.pop(name) for name in NAMED}
    arguments = [f"{name}={value}" for name, value in named.items() if value is not None]
    arguments += ["--probabilities"] * options.pop("probabilities")
    arguments += ["--keep-inputs"] * options.pop("keep_inputs")
    arguments += [f"--keep={name}" for name in options.pop("keep")]
    return PredictRequest(data, output, *formats, arguments)


def build_deploy_request(options: dict[str, Any]) -> DeployRequest:
    """Move the options of DEPLOYMENT from `options` to a request."""
    from modelpack.pipeline.deploy_request import DeployRequest

    platform, has_token = options.pop("to"), not options.pop("no_token")
    if platform is None:
        raise UsageError(
            "The platform is missing.", hint=f"Add one of: --to {', --to '.join(PLATFORMS)}"
        )
    names = {field.name for field in fields(DeployRequest)} & set(options)
    given = {name: options.pop(name) for name in names}
    return DeployRequest(platform=platform, token=has_token, **given)


def build_job_request(request: DeployRequest, folders: tuple[str, str], text: str) -> JobRequest:
    """Build the request of `--batch` from that of a service. `text`: options of `predict`."""
    from modelpack.pipeline.deploy_job import JobRequest

    names = {field.name for field in fields(JobRequest)} & set(vars(request))
    given = {name: value for name, value in vars(request).items() if name in names}
    given["replicas"] = request.replicas or JobRequest.replicas
    return JobRequest(folders=folders, options=text, **given)
