"""Immutable value types passed between stages, and their JSON form.

model file --inspect--> ModelSpec --collect--> Code --lock--> Environment --render--> Bundle
               --build--> Image --smoke--> SmokeReport

`to_json` and `from_json` convert them to and from the plain dicts, lists, strings, numbers,
booleans and None that a JSON document is made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
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


# --- ModelSpec: what was read out of the file, with nothing of it executed -----------------------


@dataclass(frozen=True)
class ModelFile:
    """`container` is what wraps the model: raw, zlib, gzip, bz2, xz, lzma or lz4; of skops, zip.
    `format`: how the file is stored (pickle, joblib, skops, lightgbm, xgboost, catboost, onnx).
    `protocol`: the version of its format, of pickle and ONNX.
    """

    path: str
    sha256: str
    size: int
    container: str
    protocol: int | None
    format: str


@dataclass(frozen=True)
class Member:
    """One of the objects that a model is made of: the file that holds it (0: `ModelSpec.file`, 1:
    the first of its `more_files`), and the keys and positions that lead to it from the file's root.
    """

    file: int = 0
    path: tuple[str | int, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One reason for a verdict. `offset` counts bytes of the uncompressed pickle."""

    code: str
    message: str
    offset: int | None = None
    opcode: str | None = None
    global_: str | None = None  # "module:name"; `global` in JSON


@dataclass(frozen=True)
class Safety:
    """`pass`: may be loaded, in the sandbox of the image. `trust`: names unknown code, to be
    allowed by --trust. `refuse`: malformed or dangerous, whatever is trusted.
    """

    verdict: Verdict
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Estimator:
    """A node of the estimator tree: its step name ("" at the root), dotted class, the columns it is
    given (inside a ColumnTransformer), and what it is made of.
    """

    name: str
    type: str
    columns: tuple[str | int, ...] | None = None
    steps: tuple[Estimator, ...] = ()


@dataclass(frozen=True)
class Field:
    """One input or output. `nullable`: the model itself accepts a missing value here.

    `shape` is the shape of one row's value: () for a scalar, (k,) for a vector of k, (-1,) for one
    whose length the file does not tell.
    `minimum` and `maximum` bound what is plausible; they are not limits. A field of type "any" is
    one whose type the file does not tell.

    `dtype`: the pandas dtype of the column in training ("int64", "bool", "category", "str",
    "datetime64[ns]", ...), or None if unknown. With "category", `type` is the type of the values
    and `categories` lists all of them in the order of their codes. `quantiles`: the 0, 5, 25, 50,
    75, 95 and 100 % quantiles of the training data, if they were recorded. `missing_none`: a
    missing value of the column was None in training, not NaN.
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
class Signature:
    """What goes in, in the model's order, and what comes out.

    `layout` is the form in which the model takes its rows: "array" (n_rows, n_inputs), "frame" (a
    pandas DataFrame with the names of `inputs` as columns), "text" (a list of n_rows strings),
    "dicts" (a list of n_rows dicts, name -> value, without what is missing).
    `named`: the names of the inputs were recorded in the file; otherwise they are x0, x1, ...
    `classes`: the labels of a classifier, in the order of its probabilities.
    `probabilities`: the model has a `predict_proba` that can be called.
    `samples`: a few real rows, in the order of `inputs`, if the author recorded or gave some.
    """

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    classes: tuple[Scalar, ...] | None = None
    layout: Layout = "array"
    named: bool = False
    probabilities: bool = False
    samples: tuple[tuple[Scalar, ...], ...] = ()


@dataclass(frozen=True)
class HeldCallable:
    """A function or type that an object of the file holds.

    Attributes:
        name: "module:name"; of a method, "module:name.method".
        position: How it is reached from the root of the file, as "steps[0][1].func".
        role: For what it is held, as "function of rows"; "unknown" of a name that the user has to
            trust.
    """

    name: str
    position: str
    role: str


@dataclass(frozen=True)
class ModelSpec:
    """All that is known of a model file.

    `format`: that of `file`. `framework`: the library inside (scikit-learn) and
    its recorded version. `versions`: distribution -> version recorded in the file ("1.3.2") or
    specifier implied by its layout ("<2"). `requirements`: distribution -> specifier ("==1.3.2",
    "<2", ""), of what the model needs and nothing that only serving needs. `python`: what the file
    implies of the Python version, as a specifier, or None. `method`: what is called for a
    prediction (predict or transform). `globals`: the "module:name" that loading resolves.

    `members`: the objects that the rows pass through, in order: the last one predicts, those before
    it transform; one, the root of the file, in most models. `more_files`: the files beyond `file`
    that they lie in. `choices`: what `--select` takes where the file holds several models.
    `reasons`: distribution -> why it is required, in words. `n_jobs`: the most that an estimator
    asks for. `callables`: "module:name" of the functions that the estimators were given.
    `callable_positions`: all functions and types that objects of the file hold, and where.
    `trained_on`: the Python minor version ("3.11") known to have saved the model; a preference, and
    no bound. `recorded`: distribution -> version, of all that the training script had imported, as
    `modelpack.record` saw it; empty where it was not called. `other_versions`: distribution ->
    further versions, that parts of the model record. `locales`: those of the C library that the
    model cannot do without ("en_US.UTF-8"). `evidence`: layouts that only some releases read, by
    the names of inspection/facts/layouts.py. `transform_output`: the value of this setting of
    `sklearn.set_config` in training, None for the default. `labels`: what stands for the
    predictions 0, 1, ... of the last member, as an encoder of labels in the files has them; None
    if they stay as they are.
    `suggestion`: what `--select` should name for all that rows pass through, where the file leaves
    that open. `notices`: sentences on what in the files is used or left out. `own_states`: classes
    that modelpack does not know -> the names that states of their objects set.
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
    suggestion: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    callable_positions: tuple[HeldCallable, ...] = ()
    own_states: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def files(self) -> tuple[ModelFile, ...]:
        return (self.file, *self.more_files)


# --- Code: what the author wrote, of which no distribution knows ---------------------------------


@dataclass(frozen=True)
class CodeFile:
    """A file of the author's own code. `path`: below the bundle's folder of code. `sha256`: of what
    the bundle holds. `source`: where it lies on this machine; `text`: what the bundle holds where
    it is not the whole file. A bundle knows of neither.
    """

    path: str
    sha256: str
    source: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class OwnClass:
    """A class of the author. `name`: "module:name". `bases`: those of other distributions that it
    inherits from. `replaced`: its methods that states in the file replace. `unset`: the names that
    states set and its code does not.
    """

    name: str
    bases: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()


@dataclass(frozen=True)
class Code:
    """The author's own modules that a model needs, with the modules that these import.

    `main`: the module that stands for `__main__`. `requirements`: distribution -> specifier, of
    what the files import; `reasons`: distribution -> why, in words. `python`: what their syntax
    asks of Python, as a specifier, or None. `defined`: the "module:name" of the model that are
    defined in code which the user named. `probabilistic`: those classes of the model whose code
    defines `predict_proba`. `classes`: those whose objects have a state in the file and whose
    code was found. `missing`: modules of the model that were found nowhere. `notes`: whole
    sentences on what the user should know.
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


# --- Environment ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class IndexSettings:
    """Where packages come from: what the user's pip and uv are set to. Never written into a bundle
    or an image; URLs may hold credentials. With a `wheelhouse`, nothing but that folder is asked.
    """

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    ca_bundle: str | None = None  # path of a PEM file on this machine
    netrc: str | None = None  # path of a netrc file on this machine
    proxy: str | None = None  # URL, where HTTPS_PROXY and the like are not set
    wheelhouse: str | None = None  # path of a folder on this machine


@dataclass(frozen=True)
class Environment:
    """The Python version ("3.11"), the platform ("linux/amd64"), and every distribution pinned.

    `requirements`: name -> version, all of the lock. `origins`: name -> where the pin came from:
    "file" (recorded in the model file), "record" (by `modelpack.record`), "installed" (as it is
    here, in the environment that saved the model), "user", "resolver". `lock`: the text of
    requirements.lock, one hash-locked distribution an entry, without comments that tell of this
    machine. `warnings`: sentences for people, wherever what is recorded and what is chosen differ.
    `sdists`: names in the lock that no wheel fits and that are built from source; `build_lock`: the
    same for what building those takes.
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


# --- Bundle and Image ----------------------------------------------------------------------------


@dataclass(frozen=True)
class BaseImage:
    """What the image is built on. `digest` ("sha256:...") where the base came from a registry, else
    `image_id`, of its configuration: a local image has no other name that says what is in it.

    `origin`: "user" (--base-image), "registry", "local" (made by `modelpack base build`).
    `slim`: the image gets no more of it than serving takes: no shell.
    """

    reference: str
    python: str
    origin: Literal["user", "registry", "local"]
    digest: str | None = None
    slim: bool = False
    image_id: str | None = None


@dataclass(frozen=True)
class Bundle:
    """A folder that stands on its own: Docker's build context, and a Flask app for gunicorn.

    `slim_base`: as of its base image.
    """

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
    """`id` is the engine's "sha256:..." of the image's configuration."""

    reference: str
    id: str
    size_bytes: int
    layers: tuple[Layer, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


# --- Rulings: what an image was found to be ------------------------------------------------------


@dataclass(frozen=True)
class Violation:
    """`where` in the image a rule is not followed: a path, or a part of the configuration; and
    `what` is wrong there. Both may hold text of whoever made the image.
    """

    where: str
    what: str


@dataclass(frozen=True)
class Ruling:
    """What one rule says of an image. `sources`: the recommendations that it comes from."""

    rule: str
    sources: tuple[str, ...]
    violations: tuple[Violation, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.violations


# --- Reference and SmokeReport -------------------------------------------------------------------


@dataclass(frozen=True)
class Answers:
    """What a model says of rows. `predictions`: one value a row, or a list of them.
    `probabilities`: one list a row, in the order of the classes (for several outputs a list of
    such). None: not known, or the model gives none.
    """

    predictions: tuple[Any, ...] | None = None
    probabilities: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Body:
    """Rows as a user's program writes them, and the answers of the model to what is written there.
    `name`: that of the format, json, csv, arrow or parquet.
    """

    name: str
    content: bytes
    answers: Answers


@dataclass(frozen=True)
class Reference:
    """What the author's model says of some rows, for the service to be compared with.

    `rows`: (n_rows, n_inputs) in the signature's order. `answers` are of all rows in one call,
    `alone` of each row in a call of its own: in floating point they may differ by the last bits.
    None: not known. `source`: who says so, "expected" (a file of the user), "record" (the sidecar
    that `modelpack.record` wrote) or "model" (the model itself, loaded in a sandbox). `made_up`:
    the rows were made from the signature. `tolerance`: the largest difference of two floats,
    relative to the largest of both and 1, that counts as none; 0.0 compares bit for bit.
    `problem`: why there are no answers. `bodies`: the rows as pandas writes them; `without_bodies`:
    why there are none.
    """

    rows: tuple[tuple[Scalar, ...], ...]
    answers: Answers | None = None
    alone: Answers | None = None
    source: Literal["expected", "record", "model"] = "model"
    made_up: bool = False
    tolerance: float = 0.0
    problem: str = ""
    bodies: tuple[Body, ...] = ()
    without_bodies: str = ""


@dataclass(frozen=True)
class Parity:
    """How the service's answers compare with a `Reference`. `routes`: the ways it was asked.

    `largest_difference`: of two floats, as for `Reference.tolerance`; 0.0 where all are equal,
    None where a label, a type or a number of rows differs.
    """

    source: str
    rows: int
    routes: tuple[str, ...]
    tolerance: float
    largest_difference: float | None
    passed: bool


@dataclass(frozen=True)
class Check:
    """The result of one check of the smoke test.

    Attributes:
        detail: What was seen; empty if the check was not run.
        reason: Why the check was not run; empty if it was run.
    """

    name: str
    passed: bool
    seconds: float
    detail: str
    reason: str = ""

    @property
    def status(self) -> CheckStatus:
        return "passed" if self.passed else "not run" if self.reason else "failed"


PREDICTION = "prediction"
"""The name of the check without which a service counts as untested."""


@dataclass(frozen=True)
class SmokeReport:
    """`target` is what was run (an image reference or a bundle's folder), `engine` what ran it.

    `ready_seconds`: from start to the first 200 of /readyz. `latency_ms`: median of one row's
    prediction. `memory_bytes`: of the whole service after the checks; None where unknown.
    `parity`: None where there was nothing to compare with. `rulings`: on the image, where
    there is one.
    """

    target: str
    engine: str
    checks: tuple[Check, ...]
    ready_seconds: float | None = None
    latency_ms: float | None = None
    memory_bytes: int | None = None
    parity: Parity | None = None
    rulings: tuple[Ruling, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether checks were run, none failed, and a prediction was tested."""
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


# --- JSON ----------------------------------------------------------------------------------------

T = TypeVar("T")


def to_json(value: Any) -> dict[str, Any]:
    """Return one of the values above as a plain dict. A `SmokeReport` also has `passed` and
    `status`, each of its checks `status`.
    """
    document: dict[str, Any] = _plain(value)
    if isinstance(value, SmokeReport):
        document = {"passed": value.passed, "status": value.status, **document}
    return document


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):  # of answers, as JSON gave them
        return [_plain(item) for item in value]
    names = list(value.__dataclass_fields__)  # `global_` is `global`, which Python does not allow
    names += ["status"] if isinstance(value, Check) else []
    return {name.removesuffix("_"): _plain(getattr(value, name)) for name in names}


def from_json(kind: type[T], document: Mapping[str, Any]) -> T:
    """The value that `to_json` wrote.

    Raises:
        ValueError: a key is missing or unknown, or a value has the wrong type.
    """
    import cattrs  # noqa: PLC0415 - 60 ms, which the inspector's child does without

    known = {"passed", "status"} if kind is SmokeReport else set()
    try:
        return _converter().structure({k: v for k, v in document.items() if k not in known}, kind)
    except cattrs.BaseValidationError as error:
        problems = "; ".join(cattrs.transform_error(error))
        raise ValueError(f"not a {kind.__name__}: {problems}") from error


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
    """Return the document of a check without what is derived from its fields."""
    return {name: value for name, value in check.items() if name != "status"}


class RunningService(Protocol):
    """A running service. It ends with the `with` block of `Engine.run`, whatever happens there."""

    target: str
    engine: str
    url: str  # "http://127.0.0.1:PORT", without a slash at the end

    def logs(self) -> str:
        """The newest output of the service, at most 64 KiB."""

    def user_id(self) -> int | None:
        """The numeric user of its first process; None where it has ended."""

    def health(self) -> str | None:
        """What its HEALTHCHECK says: "starting", "healthy", "unhealthy"; None where it has none."""

    def memory_bytes(self) -> int | None:
        """The memory that it holds now, page cache left out; None where that is not known."""

    def is_running(self) -> bool: ...

    def stop(self, timeout: float) -> int:
        """Sends SIGTERM, after `timeout` seconds SIGKILL, and returns the exit code (137: killed).

        A service that has ended already only gives its exit code.
        """
