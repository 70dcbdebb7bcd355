"""Inspect the files of a model, serve one for each way to load it, and compare its predictions."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import containers
from frames.packages import Packaged, package_files, service, trusted
from frames.querying import is_close

from modelpack import inspect
from modelpack.errors import ModelNotSupportedError, ModelpackError
from modelpack.pipeline.inspect import inspect_with_code
from modelpack.pipeline.options import Options

from .training import Case, way

ACCEPTED, TRUST, UNSUPPORTED, REFUSED = (
    "accepted",
    "accepted with --trust",
    "unsupported",
    "refused",
)
EQUAL, FAILED, WRONG = "equal", "not served", "wrong"
EXAMPLE, RELEASE = "--example", "Name the release that saved it: --requirement NAME"
LIKE_ANOTHER = {"pickle 0", "pickle 1", "pickle 2", "pickle 3", "pickle 5", "pickle in gzip",
                "joblib", "joblib gzip", "joblib bz2", "joblib lzma", "joblib xz",
                "joblib lz4"}  # fmt: skip
"""Ways that are inspected and not served: `pickle 4` and `joblib zlib` are loaded alike."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a file.

    Attributes:
        state: A state of inspection.
        reason: The error of inspection.
        answer: A state of the service; empty if the file is inspected only.
        detail: The error of the package, the wrong predictions, or the options that it needs.
    """

    way: str
    state: str
    reason: str = ""
    answer: str = ""
    detail: str = ""

    @property
    def is_right(self) -> bool:
        """Return whether the file is served and equal, or refused as not supported."""
        return self.state != REFUSED and self.answer in {"", EQUAL}


def judge(case: Case) -> Iterator[Outcome]:
    """Yield the outcome of each file."""
    for file in case.files:
        yield judge_file(case, file)


def judge_file(case: Case, file: str) -> Outcome:
    """Inspect a file, and serve it unless another one is loaded in the same way."""
    state, reason, options = inspect_file(case.folder / file)
    if state not in {ACCEPTED, TRUST} or way(file) in LIKE_ANOTHER:
        return Outcome(way(file), state, reason)
    return Outcome(way(file), state, reason, *serve(case, file, options))


def inspect_file(path: Path) -> tuple[str, str, list[str]]:
    """Return the state of a file, the error, and the options by which its author trusts it."""
    error = _problem(path)
    if error is None:
        return ACCEPTED, "", []
    reason = f"exit {error.exit_code}: {error.message}"
    if isinstance(error, ModelNotSupportedError):
        return UNSUPPORTED, reason, []
    options = trusted(error.hint)
    if not options:
        return REFUSED, reason, []
    if second := _problem(path, options[1::2]):
        return REFUSED, f"{reason} With its hint: {second.message}", []
    return TRUST, reason, options


def _problem(path: Path, trust: Sequence[str] = ()) -> ModelpackError | None:
    """Return the error that `modelpack inspect` ends with."""
    try:
        return inspect_with_code(inspect(path, trust=trust), Options(trust=tuple(trust)))[2]
    except ModelpackError as error:
        return error


def serve(case: Case, file: str, options: Sequence[str]) -> tuple[str, str]:
    """Package a file without an environment that is active, and query it."""
    with tempfile.TemporaryDirectory(prefix="modelpack-matrix-") as scratch:
        packaged, used = _package(case, file, options, Path(scratch))
        if packaged.code or packaged.bundle is None:
            return FAILED, f"exit {packaged.code}: {packaged.message}"
        try:
            with service(packaged.bundle) as url:
                instances = case.document["instances"]
                status, answer = containers.predict(url, instances, probabilities=False)
        except (OSError, RuntimeError) as error:
            return FAILED, str(error)
    if status != 200:
        return WRONG, f"status {status}: {answer.get('detail')}"
    found, expected = answer["predictions"], case.document["predictions"]
    if not is_close(found, expected):
        return WRONG, f"{found} instead of {expected}"
    return EQUAL, " ".join(used)


def _package(
    case: Case, file: str, options: Sequence[str], scratch: Path
) -> tuple[Packaged, list[str]]:
    """Package a file, again with what the hint of an error asks for; return also these options."""
    rows = scratch / "rows.json"
    rows.write_text(json.dumps(case.document["instances"]))
    path, used = str(case.folder / file), []
    while True:
        given = [(each, str(rows)) if each == EXAMPLE else (each,) for each in used]
        more, folder = [*options, *chain(*given)], scratch / f"bundle-{len(used)}"
        packaged = package_files([path], more, folder, case.folder, {"VIRTUAL_ENV": ""})
        hinted = hinted_options(case, packaged.message) if packaged.code else []
        if set(hinted) <= set(used):
            return packaged, used
        used += hinted


def hinted_options(case: Case, message: str) -> list[str]:
    """Return the options that a hint names; the author knows the release of the library."""
    hint = message.partition("hint: ")[2]
    if EXAMPLE in hint:
        return [EXAMPLE]
    if RELEASE in hint:
        return ["--requirement", f"{case.distribution}=={case.document['version']}"]
    names = re.findall(r"--requirement '?(?!NAME)([\w<>=.-]+)", hint)
    return [part for name in names for part in ("--requirement", name)]
