"""The sidecar of a model file: what `modelpack.record` saw of the model where it was trained.

It lies beside the file as NAME.record.json, and is data of the same origin as the file: it is read,
checked, and never trusted to say more than what the model answered and with which versions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from modelpack.errors import UsageError
from modelpack.spec import Answers, ModelSpec, Reference

from .readers.json import table_of
from .rows import align, with_examples
from .tables import NotReadableError, Table

SCHEMA = 1
SUFFIX = ".record.json"
MOST_BYTES = 2**26


@dataclass(frozen=True)
class Recorded:
    """`answers` of all rows in one call, `alone` of each in its own. `versions`: distribution ->
    version, of all that the training had imported; `python`: its version ("3.11").
    """

    table: Table
    answers: Answers
    alone: Answers
    python: str
    versions: Mapping[str, str]


def path_of(model: Path) -> Path:
    return model.with_name(model.name + SUFFIX)


def read(model: Path, spec: ModelSpec) -> Recorded | None:
    """What was recorded of the model whose last file is `model`; None where nothing was.

    Raises:
        UsageError: it is malformed, or was recorded of another file.
    """
    path = path_of(model)
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(MOST_BYTES))
        recorded, digests = _recorded(document), document["files"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, NotReadableError) as error:
        raise UsageError(
            f"{path} is no record that this modelpack reads: {error}.",
            hint="Make it anew with modelpack.record(model, X, path), or remove it.",
        ) from error
    if set(digests) != {file.sha256 for file in spec.files}:
        raise UsageError(
            f"{path} was recorded of another file than {model.name}: the model was saved again"
            " after it.",
            hint="Call modelpack.record(model, X, path) after each time the model is saved, or "
            "remove the record.",
        )
    return recorded


def reference(spec: ModelSpec, recorded: Recorded, tolerance: float) -> tuple[ModelSpec, Reference]:
    """The spec with the first recorded row as its example, and with what was recorded of the
    environment; and the reference.
    """
    spec = replace(
        with_examples(spec, recorded.table), trained_on=recorded.python, recorded=recorded.versions
    )
    rows = align(recorded.table, spec.signature)
    made = Reference(rows, recorded.answers, recorded.alone, "record", tolerance=tolerance)
    return spec, made


def _recorded(document: Any) -> Recorded:
    if document["schema"] != SCHEMA:
        raise ValueError(f"its schema is {document['schema']!r}, and {SCHEMA} is known")
    rows = {name: document[name] for name in ("columns", "instances")}
    answers, alone = (_answers(document[name]) for name in ("together", "alone"))
    table = table_of(rows)
    counts = {len(answers.predictions or ()), len(alone.predictions or ()), len(table.rows)}
    if len(counts) != 1:
        raise ValueError("it has not one prediction a row")
    versions = {str(name): str(text) for name, text in document["versions"].items()}
    known: dict[str, str] = {
        str(canonicalize_name(n)): text for n, text in versions.items() if _is_on_an_index(text)
    }
    python = str(document["python"])
    if not re.fullmatch(r"3\.[0-9]{1,2}", python):
        raise ValueError(f"{python[:20]!r} is no version of Python")
    return Recorded(table, answers, alone, python, known)


def _answers(document: Mapping[str, Any]) -> Answers:
    probabilities = document["probabilities"]
    return Answers(
        tuple(document["predictions"]), None if probabilities is None else tuple(probabilities)
    )


def _is_on_an_index(text: str) -> bool:
    """Not so for builds of one's own ("2.1+cu118", "1.8.dev0")."""
    try:
        version = Version(text)
    except InvalidVersion:
        return False
    return not (version.local or version.is_devrelease or len(text) > 40)
