"""Immutable value types passed between stages, and their JSON form.

model file --inspect--> ModelSpec --collect--> Code --lock--> Environment --render--> Bundle
               --build--> Image --smoke--> SmokeReport

`to_json` and `from_json` convert them to and from the plain dicts, lists, strings, numbers,
booleans and None that a JSON document is made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from cattrs import Converter
from typing import Protocol

Scalar = str | int | float | bool | None
"""A value of a row, a category or a class label, as JSON knows it."""

FieldType = Literal["number", "integer", "string", "boolean", "datetime", "any"]
Task = Literal["classifier", "regressor", "transformer", "clusterer", "outlier_detector", "unknown"]
Layout = Literal["array", "frame", "text", "dicts"]
Verdict = Literal["pass", "trust", "refuse"]
CheckStatus = Literal["passed", "failed", "not run"]
ReportStatus = Literal["passed", "failed", "untested"]


def notebook_html(value: object) -> str:
    """Return what a notebook shows of a value, with the views of `modelpack.api.notebook`."""
    html: str = import_module("modelpack.api.notebook").html(value)
    return html


# --- ModelSpec: facts from files, of which nothing is executed -----------------------------------


@dataclass(frozen=True)
class ModelFile:
    """A file of a model.

    Attributes:
        container: Its compression: raw, zlib, gzip, bz2, xz, lzma or lz4; zip for skops.
        protocol: Version of the format, for pickle and ONNX.
        format: How the model is stored: pickle, joblib, skops, lightgbm, xgboost, catboost, onnx,
            torch-export, torchscript, keras, keras-h5, mlflow-script; artifact for a file that
            only the author's code reads.
    """

    path: str
    sha256: str
    size: int
    container: str
    protocol: int | None
    format: str


@dataclass(frozen=True)
class Member:
    """The position of an object that a model consists of.

    Attributes:
        file: 0 for `ModelSpec.file`, 1 for the first of its `more_files`, and so on.
        path: Keys and positions from the root of the file to the object.
    """

    file: int = 0
    path: tuple[str | int, ...] = ()


@dataclass(frozen=True)
class Finding:
    """A reason for a verdict.

    Attributes:
        offset: Position in the uncompressed pickle, in bytes.
        global_: "module:name"; `global` in JSON.
    """

    code: str
    message: str
    offset: int | None = None
    opcode: str | None = None
    global_: str | None = None


@dataclass(frozen=True)
class Safety:
    """The safety verdict for a model.

    Attributes:
        verdict: "pass": in the sandbox of the image. "trust": the model names unknown code, which
            --trust can allow. "refuse": the file is malformed or dangerous.
    """

    verdict: Verdict
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Estimator:
    """A node of the estimator tree.

    Attributes:
        name: Its step name; "" for the root.
        columns: Its columns inside a ColumnTransformer.
    """

    name: str
    type: str
    columns: tuple[str | int, ...] | None = None
    steps: tuple[Estimator, ...] = ()


@dataclass(frozen=True)
class Field:
    """An input or output.

    Attributes:
        shape: Shape of the value in a row: () for a scalar, (k,) for a vector, (-1,) for a vector
            of unknown length.
        type: "any" if the file does not contain it. With the dtype "category", that of the
            categories.
        categories: All values. With the dtype "category", in the order of their codes.
        nullable: The model accepts a missing value.
        minimum, maximum: Plausible bounds, which are not enforced.
        dtype: The pandas dtype in training ("int64", "bool", "category", "str", "datetime64[ns]",
            ...), if known.
        quantiles: The 0, 5, 25, 50, 75, 95 and 100 % quantiles of the training data, if recorded.
        missing_none: A missing value was None in training, not NaN.
    """

    name: str
    type: FieldType
    shape: tuple[int, ...] = ()
    categories: tuple[Scalar, ...] | None = None
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    example: Scalar = None
    dtype: str | None = None
    quantiles: tuple[float, ...] | None = None
    missing_none: bool = False


@dataclass(frozen=True)
class Tensor:
    """An input of several dimensions. Its values in row-major order are consecutive inputs.

    Attributes:
        shape: Of the value in a row; -1 for an unknown size.
    """

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Signature:
    """Inputs in the order of the model, and outputs.

    Attributes:
        classes: Labels of a classifier, in the order of its probabilities.
        layout: How the model takes rows: "array" (n_rows, n_inputs), "frame" (a pandas DataFrame
            with the names of `inputs`), "text" (a list of strings), "dicts" (a list of dicts,
            name -> value, without missing values).
        named: The file contains the names of the inputs; otherwise they are x0, x1, ...
        probabilities: The model has a `predict_proba` that can be called.
        samples: A few real rows, in the order of `inputs`, if the author provided any.
        sample_names: Names of the samples, "" for one without a name; empty if none has one.
        tensors: What the inputs are the values of, in order. Empty if each tensor of the model is
            a column, or if its only one is a vector.
    """

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    classes: tuple[Scalar, ...] | None = None
    layout: Layout = "array"
    named: bool = False
    probabilities: bool = False
    samples: tuple[tuple[Scalar, ...], ...] = ()
    tensors: tuple[Tensor, ...] = ()
    sample_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class HeldCallable:
    """A function or type that an object of the file refers to.

    Attributes:
        name: "module:name", or "module:name.method".
        position: How it is reached from the root of the file, such as "steps[0][1].func".
        role: Its purpose, such as "function of rows"; "unknown" for a name that needs trust.
    """

    name: str
    position: str
    role: str


@dataclass(frozen=True)
class Origin:
    """Where a model was fetched from, if an address was given.

    Attributes:
        address: As given, without credentials: "models:/churn@champion".
        resolved: The address of exactly this version: "models:/churn/3".
        digest: Digest set as in attestations: "sha256" of a file, "dirHash" of a folder.
        name: Of the model in the registry, or of the artifact of a run.
        version: Of the model in the registry.
        server: The MLflow server that resolved the address.
        artifacts: The place of the files in the artifact store of the server.
        run: The id of the run that logged the model.
    """

    address: str
    resolved: str
    digest: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    version: str = ""
    server: str = ""
    artifacts: str = ""
    run: str = ""


@dataclass(frozen=True)
class ModelContext:
    """What the code of an MLflow model reads besides the file of the model.

    Attributes:
        artifacts: Name -> path of a file or folder below `folder`.
        files: All files of these, by their paths below `folder`.
        folder: The folder of MLflow on this machine, or that of the model in a bundle.
        settings: Its `model_config`.
    """

    artifacts: Mapping[str, str] = field(default_factory=dict)
    files: tuple[ModelFile, ...] = ()
    folder: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


NO_COMPILED_FORM = "only models of scikit-learn, LightGBM and XGBoost have a compiled form"


@dataclass(frozen=True)
class ModelSpec:
    """All known facts about a model.

    Attributes:
        format: That of `file`.
        framework: The library of the model, such as scikit-learn.
        framework_version: The recorded version of it.
        python: Specifier of the Python version implied by the files, if any.
        method: Name of the method for predictions: "predict" or "transform".
        requirements: Distribution -> specifier ("==1.3.2", "<2", ""), without those of the service.
        versions: Distribution -> version in the file ("1.3.2"), or a specifier implied by the
            layout of the file ("<2").
        globals: The names that loading resolves, as "module:name".
        members: The objects that rows pass through, in order. The last one predicts, the others
            transform. Most models have one, the root of the file.
        more_files: Further files with `members`.
        choices: Values for `--select` if the file contains several models.
        reasons: Distribution -> why it is required.
        n_jobs: Largest number of jobs that an estimator requests.
        callables: Functions that estimators were given, as "module:name".
        trained_on: The Python minor version of training ("3.11"); a preference, not a bound.
        recorded: Distribution -> version, of all imports of the training script, if it called
            `modelpack.record`.
        other_versions: Distribution -> further versions that parts of the model record.
        locales: Locales of the C library that the model needs ("en_US.UTF-8").
        evidence: Layouts that only some releases read, by the names in
            inspection/facts/layouts.py.
        transform_output: The value of this setting of `sklearn.set_config` in training; None for
            the default.
        labels: Labels of the predictions 0, 1, ... of the last member, from an encoder in the
            files; None if predictions stay unchanged.
        target: The transformer of the target, whose inverse is applied to the predictions of the
            last member; None if they stay unchanged.
        suggestion: Values for `--select` that name all objects rows pass through, if the file
            leaves this open.
        notices: Sentences on what in the files is used or ignored.
        callable_positions: All functions and types in the files, and their positions.
        own_states: Unknown class -> the names that states of its objects set.
        not_compilable: Why the model has no compiled form; "" if every estimator has one.
        compiled_from: The files that a compiled model was made from; empty for others.
        fetched_from: Where the files were fetched from, of those that were given by an address.
        context: What the author's code reads besides the files, of an MLflow model.
        title: What people call the model; "" if nobody named it.
        description: What the model is for, in a few sentences of plain text; "" if unknown.
    """

    file: ModelFile
    format: str
    framework: str | None
    framework_version: str | None
    python: str | None
    task: Task
    estimator: str | None
    steps: tuple[Estimator, ...]
    method: str
    requirements: Mapping[str, str]
    versions: Mapping[str, str]
    local_modules: tuple[str, ...]
    signature: Signature
    safety: Safety
    globals: tuple[str, ...] = ()
    members: tuple[Member, ...] = (Member(),)
    more_files: tuple[ModelFile, ...] = ()
    choices: tuple[str, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    n_jobs: int | None = None
    callables: tuple[str, ...] = ()
    trained_on: str | None = None
    recorded: Mapping[str, str] = field(default_factory=dict)
    other_versions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    locales: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    transform_output: Literal["pandas"] | None = None
    labels: tuple[Scalar, ...] | None = None
    target: Member | None = None
    suggestion: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    callable_positions: tuple[HeldCallable, ...] = ()
    own_states: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    not_compilable: str = NO_COMPILED_FORM
    compiled_from: tuple[ModelFile, ...] = ()
    fetched_from: tuple[Origin, ...] = ()
    context: ModelContext | None = None
    title: str = ""
    description: str = ""

    @property
    def files(self) -> tuple[ModelFile, ...]:
        return (self.file, *self.more_files)

    @property
    def artifacts(self) -> tuple[ModelFile, ...]:
        """The files of `context`, by their whole paths."""
        context = self.context or ModelContext()
        return tuple(replace(f, path=f"{context.folder}/{f.path}") for f in context.files)

    def _repr_html_(self) -> str:
        return notebook_html(self)


@dataclass
class Recording:
    """The estimators of a model as records, see docs/compiled.md.

    Attributes:
        records: {"class": "module:name", "attributes": {name: value}, "omitted": {name: type}}.
            A record refers to earlier ones only. Attributes without a form are omitted.
        members: The numbers of the records that rows pass through, in order.
        arrays: {"descr", "fortran", "shape"} of each array, as in the header of a .npy file, and
            its "size" in bytes.
        contents: The bytes of each array.
    """

    records: list[dict[str, Any]] = field(default_factory=list)
    members: list[int] = field(default_factory=list)
    arrays: list[dict[str, Any]] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)


# --- Code ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CodeFile:
    """A file of the author's code.

    Attributes:
        path: Below the code folder of the bundle.
        sha256: Digest of the content in the bundle.
        source: Path on this machine; None for a bundle that was read.
        text: Content in the bundle if it is only a part of the file.
    """

    path: str
    sha256: str
    source: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class OwnClass:
    """A class of the author.

    Attributes:
        name: "module:name".
        bases: Base classes from distributions.
        replaced: Methods that states in the file replace.
        unset: Names that states set and the code does not.
    """

    name: str
    bases: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()


@dataclass(frozen=True)
class Code:
    """The author's modules that a model needs, with the modules that they import.

    Attributes:
        main: The module that replaces `__main__`.
        requirements: Distribution -> specifier, of the imports.
        reasons: Distribution -> why it is required.
        python: Specifier of the Python version that the syntax needs, if any.
        defined: Names of the model, as "module:name", that are defined in code the user named.
        probabilistic: Classes of the model whose code defines `predict_proba`.
        classes: Classes whose code was found and whose objects have a state in the file.
        missing: Modules of the model that were not found.
        notes: Sentences for the user.
        startup: The module that is imported before the model is loaded.
    """

    files: tuple[CodeFile, ...] = ()
    main: str | None = None
    requirements: Mapping[str, str] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    python: str | None = None
    defined: tuple[str, ...] = ()
    probabilistic: tuple[str, ...] = ()
    classes: tuple[OwnClass, ...] = ()
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    startup: str | None = None


# --- Environment ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class IndexSettings:
    """Settings of the package index, from pip, uv and the command line.

    They are never written into a bundle or an image. URLs may contain credentials.

    Attributes:
        ca_bundle: Path of a PEM file.
        netrc: Path of a netrc file.
        proxy: URL, if HTTPS_PROXY and similar variables are not set.
        wheelhouse: Path of a folder; if given, no index is used.
    """

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    ca_bundle: str | None = None
    netrc: str | None = None
    proxy: str | None = None
    wheelhouse: str | None = None


@dataclass(frozen=True)
class Environment:
    """The Python version, the platform and all locked distributions.

    Attributes:
        python: Minor version ("3.11").
        platform: As Docker names it ("linux/amd64").
        requirements: Name -> version, of the whole lock.
        origins: Name -> source of the version: "file" (the model file), "record"
            (`modelpack.record`), "installed" (the environment here that saved the model), "user"
            or "resolver".
        lock: Text of requirements.lock, one distribution with hashes per entry.
        system_packages: Debian packages.
        warnings: Sentences on differences between recorded and chosen versions.
        sdists: Names in the lock that are built from source because no wheel fits.
        build_lock: Lock of what building them needs.
    """

    python: str
    platform: str
    requirements: Mapping[str, str]
    origins: Mapping[str, str]
    lock: str
    system_packages: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    sdists: tuple[str, ...] = ()
    build_lock: str = ""

    @property
    def grpc(self) -> bool:
        """Whether the service has gRPC, for which `--grpc` requires grpcio."""
        return self.origins.get("grpcio") == "user"


# --- Bundle and Image ----------------------------------------------------------------------------


@dataclass(frozen=True)
class BaseImage:
    """The base image.

    Attributes:
        origin: "user" (--base-image), "registry", or "local" (`modelpack base build`).
        digest: "sha256:..." of an image from a registry.
        slim: The image contains only what serving needs of it, and no shell.
        image_id: Digest of the configuration of an image without a `digest`.
    """

    reference: str
    python: str
    origin: Literal["user", "registry", "local"]
    digest: str | None = None
    slim: bool = False
    image_id: str | None = None


@dataclass(frozen=True)
class Bundle:
    """A self-contained folder: a build context for Docker and a Flask app for gunicorn."""

    path: str
    model: ModelSpec
    environment: Environment
    code: Code = field(default_factory=Code)
    slim_base: bool = False

    @property
    def directory(self) -> Path:
        return Path(self.path)


@dataclass(frozen=True)
class Layer:
    created_by: str
    size_bytes: int


@dataclass(frozen=True)
class Image:
    """An image.

    Attributes:
        id: The digest of its configuration, "sha256:...".
        digests: References by digest in registries, as far as the engine knows them.
    """

    reference: str
    id: str
    size_bytes: int
    layers: tuple[Layer, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    digests: tuple[str, ...] = ()


# --- Rulings -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Violation:
    """A part of an image that does not follow a rule. Both texts may contain text of its author.

    Attributes:
        where: A path, or a part of the configuration.
    """

    where: str
    what: str


@dataclass(frozen=True)
class Ruling:
    """The result of a rule for an image. `sources` are the recommendations behind the rule."""

    rule: str
    sources: tuple[str, ...]
    violations: tuple[Violation, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.violations


# --- Reference and SmokeReport -------------------------------------------------------------------


@dataclass(frozen=True)
class Answers:
    """The answers of a model to rows. None: not known, or the model has none.

    Attributes:
        predictions: One value, or a list of values, per row.
        probabilities: One list per row in the order of the classes; for several outputs a list of
            these.
    """

    predictions: tuple[Any, ...] | None = None
    probabilities: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Body:
    """Rows in a format of pandas, and the answers of the model to the rows read back from it.

    Attributes:
        name: The format: json, csv, arrow or parquet.
    """

    name: str
    content: bytes
    answers: Answers


@dataclass(frozen=True)
class Reference:
    """Rows and the answers of the author's model, to compare the service with.

    Attributes:
        rows: (n_rows, n_inputs) in the order of the signature.
        answers: For all rows in one call; None if not known.
        alone: For each row in a separate call. The last bits of floats may differ.
        source: "expected" (a file of the user), "record" (the sidecar of `modelpack.record`) or
            "model" (the model itself, in a sandbox).
        made_up: Rows were generated from the signature.
        recorded: How many of the first rows are real ones, if others were generated.
        tolerance: Largest accepted difference of two floats, relative to the largest of both and
            1; 0.0 compares bit for bit.
        precision: The same for numbers of `answers` that may have been rounded in their file.
        problem: Why there are no answers.
        bodies: The rows as pandas writes them.
        without_bodies: Why there are no bodies.
    """

    rows: tuple[tuple[Scalar, ...], ...]
    answers: Answers | None = None
    alone: Answers | None = None
    source: Literal["expected", "record", "model"] = "model"
    made_up: bool = False
    recorded: int = 0
    tolerance: float = 0.0
    precision: float = 0.0
    problem: str = ""
    bodies: tuple[Body, ...] = ()
    without_bodies: str = ""


@dataclass(frozen=True)
class Parity:
    """The result of comparing the service with a `Reference`.

    Attributes:
        routes: The ways in which rows were sent.
        largest_difference: Of two floats, as for `Reference.tolerance`; None if a label, a type or
            a number of rows differs.
    """

    source: str
    rows: int
    routes: tuple[str, ...]
    tolerance: float
    largest_difference: float | None
    passed: bool


@dataclass(frozen=True)
class Proof:
    """The result of comparing a compiled model with the model itself.

    Attributes:
        rows: Rows that both predict.
        refused: Rows that both refuse.
        largest_ulp: Largest difference of two floats, in units in the last place of the larger one
            or of 1.
        bound_ulp: Largest difference that is accepted.
    """

    rows: int
    refused: int
    largest_ulp: float
    bound_ulp: float


@dataclass(frozen=True)
class Check:
    """The result of one check of the smoke test: a `detail`, or the `reason` why it was not run."""

    name: str
    passed: bool
    seconds: float
    detail: str
    reason: str = ""

    @property
    def status(self) -> CheckStatus:
        return "passed" if self.passed else "not run" if self.reason else "failed"


@dataclass(frozen=True)
class Load:
    """What the service used in the smoke test.

    Attributes:
        workers: Worker processes.
        rest_bytes: Memory when it was ready.
        peak_bytes: The largest memory that was seen, during requests of one and of many rows.
        requests: Requests of one row that were sent one after the other.
        cpu_seconds: CPU time that these took.
    """

    workers: int
    rest_bytes: int
    peak_bytes: int
    requests: int
    cpu_seconds: float

    @property
    def requests_per_core(self) -> float:
        """Requests per second that one busy core answers."""
        return self.requests / self.cpu_seconds


PREDICTION = "prediction"
"""The check without which a service is untested."""


@dataclass(frozen=True)
class SmokeReport:
    """The result of the smoke test.

    Attributes:
        target: An image, or the folder of a bundle.
        engine: What ran it.
        ready_seconds: From the start to the first status 200 of /readyz.
        latency_ms: Median time of a prediction for one row.
        memory_bytes: Of the whole service after the checks, if known.
        parity: None if nothing could be compared.
        rulings: On the image, if there is one.
        load: None if no row is known, or the engine does not measure.
    """

    target: str
    engine: str
    checks: tuple[Check, ...]
    ready_seconds: float | None = None
    latency_ms: float | None = None
    memory_bytes: int | None = None
    parity: Parity | None = None
    rulings: tuple[Ruling, ...] = ()
    load: Load | None = None

    @property
    def passed(self) -> bool:
        """A prediction was tested and no check failed."""
        return self.status == "passed"

    @property
    def status(self) -> ReportStatus:
        """The result of all checks: "untested" if none failed and no prediction was tested."""
        if not self.checks or any(check.status == "failed" for check in self.checks):
            return "failed"
        return "untested" if self.untested else "passed"

    @property
    def untested(self) -> str:
        """Why no prediction was tested; empty if one was."""
        return "".join(check.reason for check in self.checks if check.name == PREDICTION)

    def _repr_html_(self) -> str:
        return notebook_html(self)


# --- JSON ----------------------------------------------------------------------------------------

T = TypeVar("T")


def to_json(value: Any) -> dict[str, Any]:
    """Return one of these values for JSON, with `passed` and `status` of reports and checks."""
    document: dict[str, Any] = _to_json(value)
    if isinstance(value, SmokeReport):
        document = {"passed": value.passed, "status": value.status, **document}
    return document


def _to_json(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {key: _to_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_to_json(item) for item in value]
    names = list(value.__dataclass_fields__)  # `global` is a keyword of Python
    names += ["status"] if isinstance(value, Check) else []
    return {name.removesuffix("_"): _to_json(getattr(value, name)) for name in names}


def from_json(kind: type[T], document: Mapping[str, Any]) -> T:
    """Return the value that `to_json` wrote.

    Raises:
        ValueError: A key is missing or unknown, or a value has the wrong type.
    """
    import cattrs  # noqa: PLC0415 - takes 60 ms, which the inspector's child does not need

    known = {"passed", "status"} if kind is SmokeReport else set()
    try:
        return _converter().structure({k: v for k, v in document.items() if k not in known}, kind)
    except cattrs.BaseValidationError as error:
        problems = "; ".join(cattrs.transform_error(error))
        raise ValueError(f"not a {kind.__name__}: {problems}") from error


def prepare_from_json(kind: type[Any]) -> None:
    """Import and generate what `from_json` needs for values of a type, which takes 40 ms."""
    _converter().get_structure_hook(kind)


@cache
def _converter() -> Converter:
    from cattrs import Converter  # noqa: PLC0415 - as above
    from cattrs.gen import make_dict_structure_fn, override  # noqa: PLC0415

    converter = Converter(forbid_extra_keys=True)
    converter.register_structure_hook(Scalar, lambda value, _: value)
    converter.register_structure_hook(str | int, lambda value, _: value)
    read_finding = make_dict_structure_fn(
        Finding, converter, _cattrs_forbid_extra_keys=True, global_=override(rename="global")
    )
    converter.register_structure_hook(Finding, read_finding)
    read_check = make_dict_structure_fn(Check, converter, _cattrs_forbid_extra_keys=True)
    converter.register_structure_hook(Check, lambda value, kind: read_check(_stored(value), kind))
    return converter


def _stored(check: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a check without its derived values."""
    return {name: value for name, value in check.items() if name != "status"}


class RunningService(Protocol):
    """A running service, which ends with the context of `Engine.run`."""

    target: str
    engine: str
    url: str  # "http://127.0.0.1:PORT", without a slash at the end

    def logs(self) -> str:
        """Return the newest output, at most 64 KiB."""

    def user_id(self) -> int | None:
        """Return the user id of its first process; None if it has ended."""

    def health(self) -> str | None:
        """Return "starting", "healthy" or "unhealthy"; None without a HEALTHCHECK."""

    def run_python(self, *arguments: str) -> bytes:
        """Return the output of Python in the container, or an error message; b"" without one."""

    def memory_bytes(self) -> int | None:
        """Return its current memory without page cache, if known."""

    def cpu_seconds(self) -> float | None:
        """Return the CPU time of all its processes since the start, if known."""

    def is_running(self) -> bool: ...

    def stop(self, timeout: float) -> int:
        """Send SIGTERM, after `timeout` seconds SIGKILL, and return the exit code (137: killed)."""
