"""Write the folder of a bundle: Dockerfile, lock, model, service."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from modelpack import files
from modelpack._version import RELEASE_DATE, __version__
from modelpack.assembly.files import MTIME
from modelpack.attestations import bundle as attested
from modelpack.attestations.documents import PROVENANCE, SBOM, BundleContents
from modelpack.bundle.manifest import (
    BUILD_LOCK,
    COMPILER,
    LOCALES,
    LOCK,
    MANIFEST,
    create_manifest,
    example,
    read,
)
from modelpack.bundle.templates import TEMPLATES, render_template
from modelpack.errors import ModelRefusedError, UsageError
from modelpack.parity import claims
from modelpack.parity.claims import NO_CLAIM, Claim
from modelpack.platforms import MACHINES, wheel_platform_tags
from modelpack.types import (
    BaseImage,
    Bundle,
    Code,
    CodeFile,
    Environment,
    ModelFile,
    ModelSpec,
)

MODEL_FILES = {
    "pickle": "model/model.pkl",
    "joblib": "model/model.joblib",
    "skops": "model/model.skops",
    "lightgbm": "model/model.txt",
    "xgboost": "model/model.xgb",
    "catboost": "model/model.cbm",
    "onnx": "model/model.onnx",
    "torch-export": "model/model.pt2",
    "torchscript": "model/model.pt",
    "keras": "model/model.keras",
    "keras-h5": "model/model.h5",
    "compiled": "model/model.compiled",
    "mlflow-script": "model/model.py",
}
TASK_WORDS = {"outlier_detector": "An outlier detector", "unknown": "A model"}
README = "README.md"
"""The only file of a bundle that no image contains, and so the provenance does not."""
_MARK = "\n<!-- sha256 of the text above: "
CODE = "code"  # folder of the author's modules
MODEL = "model"  # folder of the model
MAX_EXAMPLE = 10_000  # characters of the example in the README
PARTS = {name for _, name in TEMPLATES} | {
    MANIFEST, LOCK, BUILD_LOCK, SBOM, PROVENANCE, CODE, MODEL, "modelpack", "__pycache__"
}  # fmt: skip
COPIED_PARTS = ("assembly", "serving")  # parts of this package that are copied into a bundle
COPIED_SUFFIXES = {".py", ".html", ".css", ".js"}  # suffixes of their files
UNPICKLING = {"serving/runtimes/pickle.py", "serving/security/unpickling.py"}
"""Parts that a compiled model does not need."""
RPC = {
    f"serving/rpc/{name}.py"
    for name in (
        "__init__",
        "bridge",
        "health",
        "client",
        "messages",
        "server",
        "translation",
        "wire",
    )
}
"""Parts of a service with gRPC."""

_NO_CODE = Code()


def render(  # noqa: PLR0913 - the values of the flow
    spec: ModelSpec,
    environment: Environment,
    base: BaseImage,
    directory: str | Path,
    code: Code = _NO_CODE,
    *,
    claim: Claim = NO_CLAIM,
) -> Bundle:
    """Write the bundle of a model to `directory`, which may contain an older bundle.

    The same input gives the same bytes. `claim` is the result of the tests that the image states.

    Raises:
        UsageError: `directory` contains other files, or cannot be written.
        ModelRefusedError: The model or the author's code has changed since the inspection.
    """
    target = Path(directory).resolve()
    bundle = Bundle(str(target), _with_bundle_paths(spec), environment, code, base.slim)
    _check_replaceable(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        contents = BundleContents(bundle.model, environment, base, code, claim)
        with files.atomic_directory(target, replace=True) as folder:
            _write_bundle(folder, (*spec.files, *spec.artifacts), contents)
    except OSError as error:
        raise UsageError(
            f"The bundle of {spec.file.path} cannot be written to {target}: {error.strerror}: "
            f"{error.filename}.",
            hint="Choose another folder with -o.",
        ) from error
    return bundle


def edited_files(directory: str | Path) -> tuple[str, ...]:
    """Return the names of files in a bundle that were edited, added or removed.

    A folder without a bundle has none: `render` replaces no such folder.
    """
    target = Path(directory).resolve()
    if not (target / MANIFEST).is_file():
        return ()
    try:
        names = {*attested.edited_files(read(target))}
    except UsageError:
        names = {MANIFEST}
    if (target / README).is_file() and not _is_marked((target / README).read_bytes()):
        names.add(README)
    return tuple(sorted(names))


def _marked(text: str) -> str:
    """Append the digest of a text to it, with which an edit is recognised."""
    return f"{text}{_MARK}{hashlib.sha256(text.encode()).hexdigest()} -->\n"


def _is_marked(content: bytes) -> bool:
    text, mark, _ = content.decode("utf-8", "replace").rpartition(_MARK)
    return bool(mark) and _marked(text).encode() == content


def _write_bundle(folder: Path, model_files: Sequence[ModelFile], contents: BundleContents) -> None:
    model = contents.model
    copies = [folder / file.path for file in (*model.files, *model.artifacts)]
    for file, copy in zip(model_files, copies, strict=True):
        _copy_model(file, copy)
    omitted = UNPICKLING if model.format == "compiled" else set()
    omitted = omitted | (set() if contents.environment.grpc else RPC)
    for part in COPIED_PARTS:
        _copy_part(part, folder / "modelpack", omitted)
    for source in contents.code.files:
        _copy_code(source, folder / CODE / source.path)
    for name, text in _texts(contents).items():
        (folder / name).write_text(text, "utf-8", newline="\n")
    attested.write(folder, contents)
    digests = [file.sha256 for file in model_files]
    _normalise(folder, dict(zip(copies, digests, strict=True)))


def _texts(contents: BundleContents) -> dict[str, str]:
    spec, environment, code = contents.model, contents.environment, contents.code
    shown = example(spec)
    context = {
        "spec": spec,
        "kind": TASK_WORDS.get(spec.task, f"A {spec.task}"),
        "environment": environment,
        "compiler": COMPILER,
        "locales": LOCALES,
        "base": contents.base,
        "code": code,
        "parity": claims.parity_labels(contents.claim.parity),
        "parity_in_words": claims.parity_text(contents.claim.parity),
        "proof": claims.proof_labels(contents.claim.proof),
        "proof_in_words": claims.proof_text(contents.claim.proof),
        "slim_base": contents.base.slim,
        "version": __version__,
        "epoch": _release_time(),
        "wheel_platforms": wheel_platform_tags(MACHINES[environment.platform]),
        "example": shown if len(json.dumps(shown)) <= MAX_EXAMPLE else None,
    }
    rendered = {name: render_template(source, **context) for source, name in TEMPLATES}
    locks = {LOCK: environment.lock, BUILD_LOCK: environment.build_lock}
    written = {name: text for name, text in locks.items() if text or name == LOCK}
    rendered[README] = _marked(rendered[README])
    return {**rendered, **written, MANIFEST: create_manifest(contents)}


def _release_time() -> int:
    """Return the date of this version in seconds since 1970: the date of its images."""
    return int(datetime.fromisoformat(f"{RELEASE_DATE}T00:00:00+00:00").timestamp())


def _check_replaceable(target: Path) -> None:
    if not target.exists():
        return
    entries = {entry.name for entry in target.iterdir()} if target.is_dir() else {target.name}
    if entries and not (MANIFEST in entries and entries <= PARTS):
        other = ", ".join(sorted(map(repr, entries - PARTS))[:3]) or "files, but no modelpack.json"
        raise UsageError(
            f"{target} is not replaced, because it contains other files than a bundle: {other}.",
            hint="Choose an empty or a new folder with -o.",
        )


def _with_bundle_paths(spec: ModelSpec) -> ModelSpec:
    """Return the spec with the paths of its files in the bundle."""
    first, *more = (MODEL_FILES[file.format] for file in spec.files)
    named = [path.replace(".", f"-{number}.") for number, path in enumerate(more, start=2)]
    files = [replace(f, path=p) for f, p in zip(spec.files, [first, *named], strict=True)]
    context = replace(spec.context, folder=MODEL) if spec.context else None
    return replace(spec, file=files[0], more_files=tuple(files[1:]), context=context)


def _copy_model(file: ModelFile, target: Path) -> None:
    """Copy at most the inspected size, and require the inspected digest."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with Path(file.path).open("rb") as source, target.open("wb") as copy:
        left = file.size + 1
        while block := source.read(min(left, 2**20)):
            digest.update(block)
            copy.write(block)
            left -= len(block)
    if digest.hexdigest() != file.sha256:
        raise ModelRefusedError(
            f"{file.path} has changed since it was inspected.", hint="Package the model again."
        )


def _copy_code(file: CodeFile, target: Path) -> None:
    """Write a module, and require the digest that was parsed."""
    content = Path(file.source or "").read_bytes() if file.text is None else file.text.encode()
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise ModelRefusedError(
            f"{file.source} has changed since it was inspected.", hint="Package the model again."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def _copy_part(part: str, target: Path, omitted: Collection[str]) -> None:
    package = Path(__file__).parents[1]
    for source in sorted((package / part).rglob("*")):
        path = source.relative_to(package)
        if source.suffix in COPIED_SUFFIXES and path.as_posix() not in omitted:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / path)


def _normalise(folder: Path, digests: Mapping[Path, str]) -> None:
    """Set modes and times that do not depend on this machine. `digests` are known SHA-256 digests.

    The time of a file depends on its content: BuildKit does not send a file again that has the same
    path, size and time, so with one time for all it would miss a retrained model.
    """
    for path in sorted([folder, *folder.rglob("*")], reverse=True):
        seconds = 0 if path.is_dir() else _seconds_of_digest(digests.get(path) or _sha256(path))
        is_model = path.is_relative_to(folder / MODEL)
        mode = 0o755 if path.is_dir() else 0o444 if is_model else 0o644
        path.chmod(mode)
        os.utime(path, (MTIME + seconds, MTIME + seconds))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _seconds_of_digest(sha256: str) -> int:
    """Return a number of seconds below 2**30, which is 34 years."""
    return int(sha256[:8], 16) >> 2
