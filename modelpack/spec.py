"""The values of the flow. Each is frozen, can be written as JSON and read back, and is all that
travels from one stage to the next:

    model file --inspect--> ModelSpec --lock--> Environment --render--> Bundle --build--> Image
               --smoke--> SmokeReport

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

Scalar = str | int | float | bool | None
"""A value of a row, a category or a class label, as JSON knows it."""

FieldType = Literal["number", "integer", "string", "boolean", "any"]
Task = Literal["classifier", "regressor", "transformer", "clusterer", "outlier_detector", "unknown"]
Layout = Literal["array", "frame", "text", "dicts"]
Verdict = Literal["pass", "trust", "refuse"]


# --- ModelSpec: what was read out of the file, with nothing of it executed -----------------------


@dataclass(frozen=True)
class ModelFile:
    """`container` is what wraps the pickle: raw, zlib, gzip, bz2, xz, lzma or lz4; of skops, zip.
    `format`: how the file is stored (pickle, joblib, skops). `protocol`: that of its format.
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
    """

    name: str
    type: FieldType
    shape: tuple[int, ...] = ()
    categories: tuple[Scalar, ...] | None = None
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    example: Scalar = None


@dataclass(frozen=True)
class Signature:
    """What goes in, in the model's order, and what comes out.

    `layout` is the form in which the model takes its rows: "array" (n_rows, n_inputs), "frame" (a
    pandas DataFrame with the names of `inputs` as columns), "text" (a list of n_rows strings),
    "dicts" (a list of n_rows dicts, name -> value, without what is missing).
    `named`: the names of the inputs were recorded in the file; otherwise they are x0, x1, ...
    `classes`: the labels of a classifier, in the order of its probabilities.
    `probabilities`: the model has a `predict_proba` that can be called.
    """

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    classes: tuple[Scalar, ...] | None = None
    layout: Layout = "array"
    named: bool = False
    probabilities: bool = False


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

    @property
    def files(self) -> tuple[ModelFile, ...]:
        return (self.file, *self.more_files)


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
    "file" (recorded in the model file), "user", "resolver". `lock`: the text of requirements.lock,
    one hash-locked distribution an entry, without comments that tell of this machine. `sdists`:
    names in it that no wheel fits and that are built from source; `build_lock`: the same for what
    building those takes.
    """

    python: str
    platform: str
    requirements: Mapping[str, str]
    origins: Mapping[str, str]
    lock: str
    system_packages: tuple[str, ...] = ()
    sdists: tuple[str, ...] = ()
    build_lock: str = ""


# --- Bundle and Image ----------------------------------------------------------------------------


@dataclass(frozen=True)
class BaseImage:
    """What the image is built on. `digest` ("sha256:...") where the base came from a registry.

    `origin`: "user" (--base-image), "registry", "local" (made by `modelpack base build`).
    """

    reference: str
    python: str
    origin: Literal["user", "registry", "local"]
    digest: str | None = None


@dataclass(frozen=True)
class Bundle:
    """A folder that stands on its own: Docker's build context, and a Flask app for gunicorn."""

    path: str
    model: ModelSpec
    environment: Environment

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


# --- SmokeReport ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Check:
    name: str
    passed: bool
    seconds: float
    detail: str


@dataclass(frozen=True)
class SmokeReport:
    """`target` is what was run (an image reference or a bundle's folder), `engine` what ran it.

    `ready_seconds`: from start to the first 200 of /readyz. `latency_ms`: median of one row's
    prediction. `memory_bytes`: of the whole service after the checks; None where unknown.
    """

    target: str
    engine: str
    checks: tuple[Check, ...]
    ready_seconds: float | None = None
    latency_ms: float | None = None
    memory_bytes: int | None = None

    @property
    def passed(self) -> bool:
        return bool(self.checks) and all(check.passed for check in self.checks)


# --- JSON ----------------------------------------------------------------------------------------

T = TypeVar("T")


def to_json(value: Any) -> dict[str, Any]:
    """The plain dict of one of the values above; `SmokeReport` also says whether it `passed`."""
    document: dict[str, Any] = _plain(value)
    if isinstance(value, SmokeReport):
        document = {"passed": value.passed, **document}
    return document


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    names = value.__dataclass_fields__  # `global_` is `global`, which Python does not allow
    return {name.removesuffix("_"): _plain(getattr(value, name)) for name in names}


def from_json(kind: type[T], document: Mapping[str, Any]) -> T:
    """The value that `to_json` wrote.

    Raises:
        ValueError: a key is missing or unknown, or a value has the wrong type.
    """
    import cattrs  # noqa: PLC0415 - 60 ms, which the inspector's child does without

    known = {"passed"} if kind is SmokeReport else set()
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
    return converter
