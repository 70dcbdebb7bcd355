"""Folders in the place of a model: named by the files in them, with the way out.

Only names and the first and last bytes of files are read. MLflow folders are read by
`formats/mlflow.py`.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from modelpack.errors import ModelNotSupportedError

from . import detect, limits
from .known_formats import LFS, READ, Format, is_document
from .text import clean

_MAX_NAMES = 2_000
_MAX_DEPTH = 3
_MAX_READ = 200
"""Files whose first and last bytes are read."""

_MAX_NAMED = 3
_ENDS = 64 * limits.KIB
_HIDDEN = re.compile(r"(.*/)?(\..*|__pycache__|node_modules|site-packages)", re.DOTALL)
_RECORD = ".record.json"

_ROWS_ONLY = "modelpack serves rows of tables."
_OTHER = (
    "Train the model with a library that modelpack serves, or export it to ONNX if its library can."
)


@dataclass(frozen=True)
class Folder:
    """A kind of folder.

    Attributes:
        marks: Regular expressions. Each matches the path of a file in the folder.
        description: Completes "the folder is ...".
        hint: The way out. `{folder}` is the folder as a shell takes it, `{inner}` the file or
            folder in it that the group of the last mark contains.
    """

    marks: tuple[str, ...]
    description: str
    hint: str


_SAVED_MODEL = "Convert it: python -m tf2onnx.convert --saved-model {inner} --output model.onnx"

FOLDERS: tuple[Folder, ...] = (
    Folder((r"modelpack\.json", r"Dockerfile"), "a bundle of modelpack",
           "Build its image: modelpack build {folder}"),
    Folder((r"oci-layout",), "a container image (OCI), not a model",
           "Give the model that it was made from."),
    Folder((r"(|.*/)saved_model\.pb(?:txt)?",), "a TensorFlow SavedModel", _SAVED_MODEL),
    Folder((r"((?:.*/)?)MLmodel",), "one around the folder of an MLflow model",
           "Give the folder of the model: {inner}"),
    Folder((r"modules\.json", r"config_sentence_transformers\.json"),
           "a model of sentence-transformers",
           f"{_ROWS_ONLY} Serve it with Text Embeddings Inference: text-embeddings-router "
           "--model-id {folder}"),
    Folder((r"adapter_config\.json",), "an adapter (LoRA) of a language model",
           f"{_ROWS_ONLY} Serve it with vLLM: vllm serve MODEL --enable-lora --lora-modules "
           "adapter={folder}"),
    Folder((r"model_index\.json",), "a pipeline of diffusers",
           f"{_ROWS_ONLY} Serve it with a server for images, such as one of diffusers."),
    Folder((r"meta\.json", r"config\.cfg", r"tokenizer|vocab/.*"), "a pipeline of spaCy",
           "Save an object of your own class instead, whose predict(X) calls the pipeline: "
           "docs/formats.md has an example."),
    Folder((r"metadata/(_SUCCESS|part-0.*)",), "a model of Spark ML",
           "Export it to ONNX with onnxmltools.convert_sparkml and give that file, or train the "
           "model with a library that modelpack serves."),
    Folder((r"predictor\.pkl", r"models/.*"), "a predictor of AutoGluon",
           "Train the best of its models with its own library, such as LightGBM, and save that."),
    Folder((r"_CHECKPOINT_METADATA|_METADATA|manifest\.ocdbt|(.*/)?manifest\.ocdbt",),
           "a checkpoint of Orbax (JAX, Flax)",
           "Restore it in JAX, and export the function that predicts with jax2onnx.to_onnx."),
    Folder((r"Manifest\.json", r"Data/com\.apple\.CoreML/.*"), "a Core ML model",
           "Give the model that it was converted from."),
    Folder((r".*\.pdmodel|inference\.json|__model__", r".*\.pdiparams|__params__"),
           "a PaddlePaddle model",
           "Convert it: paddle2onnx --model_dir {folder} --model_filename FILE --params_filename "
           "FILE --save_file model.onnx"),
    Folder((r".*\.index", r".*\.data-\d{5}-of-\d{5}"), "a checkpoint of TensorFlow",
           "Load it into its model, save that with tf.saved_model.save(model, 'FOLDER'), and "
           "convert it: python -m tf2onnx.convert --saved-model FOLDER --output model.onnx"),
    Folder((r"model\.json", r".*shard\d+of\d+(\.bin)?"), "a model of TensorFlow.js",
           "Convert it: python -m tf2onnx.convert --tfjs {folder}/model.json --output model.onnx"),
    Folder((r"model\.ini", r"domains/.*|trees/.*|experimental/.*"), "an unpacked MOJO of H2O",
           _OTHER),
    Folder((r"[^/]*\.xml", r"[^/]*\.bin"), "an OpenVINO model",
           "Give the ONNX file that it was converted from."),
    Folder((r"config\.json", r"tokenizer.*\.json|vocab\..*|.*\.safetensors|pytorch_model.*\.bin|"
            r"tf_model\.h5|flax_model\.msgpack|.*\.index\.json"), "a model of Transformers",
           f"{_ROWS_ONLY} Serve it with a server of such models: vllm serve {{folder}} for a "
           "language model, text-embeddings-router --model-id {folder} for embeddings and "
           "classes of texts."),
)  # fmt: skip
"""The kinds of folders. The first whose marks all match counts."""


def unsupported_folder(path: Path) -> ModelNotSupportedError:
    """Return the error for a folder without the `MLmodel` of MLflow."""
    shown = clean(str(path))
    names = list(_names(path))
    text = repr(path.name or shown)[1:-1]
    if not names:
        return ModelNotSupportedError(
            f"{text} cannot be served: the folder is empty.",
            hint="Check the path, or copy the folder again.",
        )
    for kind in FOLDERS:
        if (inner := _inner(kind, names)) is not None:
            hint = kind.hint.replace("{inner}", _quoted(path, inner))
            return ModelNotSupportedError(
                f"{text} cannot be served: the folder is {kind.description}.",
                hint=hint.replace("{folder}", _quoted(path, "")),
            )
    return _unsupported_files(path, text, names)


def _names(path: Path) -> Iterator[str]:
    """Yield the paths of files in a folder, those near its top first. Links are not followed."""
    waiting, left = deque([""]), _MAX_NAMES
    while waiting:
        folder = waiting.popleft()
        with suppress(OSError, ValueError), os.scandir(path / folder) as entries:
            for entry in entries:
                left -= 1
                if left < 0:
                    return
                if not entry.is_dir(follow_symlinks=False):
                    yield f"{folder}{entry.name}"
                elif folder.count("/") < _MAX_DEPTH - 1 and not _HIDDEN.fullmatch(entry.name):
                    waiting.append(f"{folder}{entry.name}/")


def _inner(kind: Folder, names: list[str]) -> str | None:
    """Return the group of the last mark, "" without a group; None if a mark does not match."""
    inner = ""
    for mark in kind.marks:
        pattern = re.compile(mark)
        match = next(filter(None, map(pattern.fullmatch, sorted(names, key=_depth))), None)
        if match is None:
            return None
        inner = (match[1] or "") if match.re.groups else ""
    return inner


def _depth(name: str) -> tuple[int, str]:
    return name.count("/"), name


def _unsupported_files(path: Path, text: str, names: list[str]) -> ModelNotSupportedError:
    """Return the error for a folder of no known kind: it names the files that may be the model."""
    is_repository = (path / ".git").exists()
    kind = "a git repository" if is_repository else f"a folder with {_counted(names)}"
    files = _formats(path, names)
    models = [name for name, form in files if form is None]
    message = f"{text} cannot be served: it is {kind}, and a model is a file"
    if not models and any(form == LFS for _, form in files):
        hint = f"Its large files are Git LFS pointers: git -C {_quoted(path, '')} lfs pull"
        return ModelNotSupportedError(f"{message}.", hint=f"{hint}, and give one of them.")
    if not models and files:
        name, form = files[0]
        return ModelNotSupportedError(
            f"{message}. {repr(name)[1:-1]} in it is {form and form.description}.",
            hint=f"See the way out for this file: modelpack inspect {_quoted(path, name)}",
        )
    if not models:
        return ModelNotSupportedError(
            f"{message}. None in it is of a format that modelpack reads.",
            hint=f"Give a file with one of these: {READ}.",
        )
    commands = [_quoted(path, name) for name in models]
    if len(models) == 1:
        hint = f"Give the file of the model: modelpack package {commands[0]}"
        return ModelNotSupportedError(f"{message}.", hint=hint)
    more = f" and {len(models) - _MAX_NAMED} more" if len(models) > _MAX_NAMED else ""
    return ModelNotSupportedError(
        f"{message}. {len(models)} files in it may be models.",
        hint=f"Give one of these files, or those that rows pass through, in that order: "
        f"{' '.join(commands[:_MAX_NAMED])}{more}",
    )


def _counted(names: list[str]) -> str:
    count = "at least 2,000" if len(names) >= _MAX_NAMES else f"{len(names):,}"
    return f"{count} file{'' if len(names) == 1 else 's'}"


def _formats(path: Path, names: list[str]) -> list[tuple[str, Format | None]]:
    """Return the files that may be models, with their format; None if modelpack reads it."""
    found: list[tuple[str, Format | None]] = []
    visible = [name for name in sorted(names, key=_depth) if not _HIDDEN.fullmatch(name)]
    for name in visible[:_MAX_READ]:
        head, tail = _ends(path / name)
        if name.endswith(_RECORD):
            continue
        if detect.is_read(head, tail):
            found.append((name, None))
        elif (form := detect.recognise(head, tail)) and not is_document(form):
            found.append((name, form))
    return found


def _ends(path: Path) -> tuple[bytes, bytes]:
    """Return the first and last bytes of a regular file; nothing of other files."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode):
                tail = os.pread(descriptor, _ENDS, max(status.st_size - _ENDS, 0))
                return os.pread(descriptor, _ENDS, 0), tail
        finally:
            os.close(descriptor)
    return b"", b""


def _quoted(path: Path, inner: str) -> str:
    """Return the path of a file in a folder as a shell takes it."""
    text = repr(str(path / inner))[1:-1]
    return shlex.quote(f"./{text}" if text.startswith("-") else text)
