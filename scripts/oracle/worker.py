"""A process that has imported the libraries, and forks a confined child for each file.

Standard input: a line of JSON for each file, with `folder` (of a bundle: the model and
modelpack.json), `rows`, `globals`, `perturb` (a byte that fills new and freed memory) and
`seconds`. Standard output: a line of JSON for each, with the outcome. Where guard.c is preloaded,
each child starts it.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import hashlib
import json
import os
import random
import resource
import select
import signal
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import catboost
import category_encoders
import lightgbm
import numpy as np
import onnxruntime
import pandas as pd
import skops.io
import statsmodels.api
import statsmodels.formula.api
import xgboost
from sklearn.utils import all_estimators
from watching import Watch

from modelpack.serving import loading, manifest, runtimes, settings
from modelpack.serving.data.rows import Decoder, DictDecoder
from modelpack.serving.security import confinement

_M_PERTURB = -6  # mallopt(3)
_LIBC = ctypes.CDLL(None)
_LIBRARIES = (catboost, category_encoders, lightgbm, skops.io, statsmodels.api, xgboost)
_METHODS = ("predict_proba", "decision_function", "transform")
_NUMPY_CACHED = (*range(1, 32), *range(32, 1024, 8))
"""Bytes of arrays whose memory numpy keeps when they are freed, the common sizes."""
_MEMORY = 6 * 2**30
_IS_GUARDED = hasattr(_LIBC, "guard_start")
_KEPT: list[Any] = []
"""Arrays that empty numpy's cache of memory, so that the sanitizer allocates all others."""
_SESSION_OPTIONS = onnxruntime.SessionOptions
_LOCAL = pd.Series(["a"]).str.upper(), pd.Timestamp("2024-01-01")  # imported with first use


def main() -> None:
    all_estimators()  # imports every module of scikit-learn
    for name in ("scipy.stats", "scipy.special", "scipy.sparse.csgraph", "formulaic", "patsy"):
        with suppress(ImportError):
            import_module(name)
    if _IS_GUARDED:
        onnxruntime.SessionOptions = _without_arena
    gc.freeze()  # so that children leave the pages that they share alone
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(_forked(json.loads(line))), flush=True)


def _forked(job: dict[str, Any]) -> dict[str, Any]:
    """Run a job in a child and report how it ended."""
    reader, writer = os.pipe()
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed below, and by the end of the child
    child = os.fork()
    if child == 0:
        os.close(reader)
        _run(job, writer, errors)
    os.close(writer)
    output, status, memory = _outcome(reader, child, job["seconds"])
    os.close(reader)
    errors.seek(0)
    with errors:
        trace = errors.read(4000).decode("utf-8", "replace")
    ended = {"memory": memory, "trace": trace}
    if status is None:
        return {"status": "hang", **ended}
    if os.WIFSIGNALED(status):
        return {"status": "signal", "signal": signal.Signals(os.WTERMSIG(status)).name, **ended}
    try:
        return {**json.loads(output), **ended}
    except ValueError:
        return {"status": "exit", "code": os.waitstatus_to_exitcode(status), **ended}


def _outcome(reader: int, child: int, seconds: float) -> tuple[bytes, int | None, int]:
    """Return what a child wrote, how it ended unless it took too long, and its memory in bytes."""
    output, deadline = bytearray(), time.monotonic() + seconds
    while select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
        chunk = os.read(reader, 2**16)
        output += chunk
        if not chunk:
            _, status, usage = os.wait4(child, 0)
            return bytes(output), status, _beyond(usage)
    os.kill(child, signal.SIGKILL)
    return bytes(output), None, _beyond(os.wait4(child, 0)[2])


def _beyond(usage: Any) -> int:
    """Return the bytes that a child had beyond those of this process."""
    # ru_maxrss of this process would count the process that started it, too.
    own = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return int(max(0, usage.ru_maxrss * 1024 - own))


def _run(job: dict[str, Any], writer: int, errors: Any) -> None:
    """Load and predict in this process, and end it."""
    faulthandler.enable(errors)
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    _LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: ends with the process that forked it
    if not _IS_GUARDED:  # it reserves addresses, and bounds the memory itself
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    np.random.seed(0)
    random.seed(0)
    lowered = confinement.confine(network=confinement.NO_NETWORK)
    _LIBC.mallopt(_M_PERTURB, job["perturb"])
    if _IS_GUARDED:
        _start_guard(job["perturb"])
    _dirty_caches(job["perturb"])
    watch = Watch(frozenset(job["globals"]), job["folder"])
    watch.start()
    result: dict[str, Any] = {"status": "answered", "answers": [], "lookup": None}
    try:
        result["answers"] = _answers(job)
    except BaseException as error:
        result["status"] = "raised"
        result["error"] = f"{type(error).__name__}: {error}"[:300]
        result["lookup"] = _looked_up(error)
    result |= {"events": watch.stop(), "lowered": lowered}
    document = json.dumps(result).encode()
    while document:
        document = document[os.write(writer, document) :]
    os._exit(0)


def _start_guard(byte: int) -> None:
    """Give allocations pages of their own, those of small arrays included."""
    _KEPT.extend(np.empty(size, np.uint8) for size in range(1, 1025) for _ in range(8))
    if _LIBC.guard_start(byte):
        raise MemoryError("no addresses for the sanitizer")


def _without_arena() -> Any:
    """Return options for onnxruntime, which else allocates tensors inside larger allocations."""
    options = _SESSION_OPTIONS()
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    return options


def _dirty_caches(byte: int) -> None:
    """Fill the memory that numpy keeps for small arrays, which malloc does not fill."""
    held = [np.full(size, byte, np.uint8) for size in _NUMPY_CACHED for _ in range(7)]
    del held


def _looked_up(error: BaseException | None) -> str | None:
    """Return the attribute that an error, or its cause, reports as missing."""
    while error is not None:
        if isinstance(error, AttributeError) and error.name:
            return error.name
        error = error.__cause__ or error.__context__
    return None


def _answers(job: dict[str, Any]) -> list[str]:
    folder = Path(job["folder"])
    facts = manifest.read(folder)
    model = loading.load(folder, facts)
    runner = runtimes.select_runtime(model, facts)
    limit = settings.from_environment({})
    if facts.layout == "dicts":
        decoder = DictDecoder(facts.inputs, limit.rows, facts.named)
    else:
        decoder = Decoder(facts.inputs, facts.layout, limit.rows, facts.named)
    answers = []
    for rows in _rows(facts, job["rows"]):
        for method in dict.fromkeys([facts.method, *_METHODS]):
            if method == facts.method or runner.has_method(method):
                _dirty_caches(job["perturb"])
                answers.append(f"{method} {_answer(runner, method, decoder, rows)}")
    return answers


def _rows(facts: manifest.Manifest, rows: list[Any]) -> list[list[Any]]:
    """Return the groups of rows that are tried: those of the training if as wide, and one of the
    types of the signature, with large and missing values where those may be.
    """
    groups = []
    values = {"string": "x", "boolean": True, "integer": 1, "datetime": "2024-01-01"}
    columns = [
        field.example if field.example is not None else values.get(field.type, 0.5)
        for field in facts.inputs
    ]
    if facts.inputs:
        if facts.layout == "dicts":
            groups.append([{f.name: v for f, v in zip(facts.inputs, columns, strict=True)}])
        else:
            extreme = [1e30 if field.type in {"number", "any"} else v
                       for field, v in zip(facts.inputs, columns, strict=True)]  # fmt: skip
            groups += [[columns], [extreme]]
    width = {len(row) for row in rows}
    if facts.layout == "dicts" or not facts.inputs or width == {len(facts.inputs)}:
        groups.append(rows)
    return groups


def _answer(runner: Any, method: str, decoder: Any, rows: list[Any]) -> str:
    """Return a digest of the answers, or the error."""
    try:
        return _digest(runner.call(method, decoder.explain(rows)))
    except Exception as error:
        name = _looked_up(error)
        return f"{type(error).__name__}" + (f" lookup={name}" if name else "")


def _digest(answer: Any) -> str:
    hashed = hashlib.sha256()
    for part in answer if isinstance(answer, list) else [answer]:
        array = np.asarray(part.toarray() if hasattr(part, "toarray") else part)
        hashed.update(f"{array.dtype} {array.shape}".encode())
        if array.dtype.kind in "biufc":
            array = np.where(array != array, 0, array)  # noqa: PLR0124 - NaNs have many bits
            hashed.update(np.ascontiguousarray(array).tobytes())
        else:
            hashed.update(repr(array.ravel().tolist()).encode("utf-8", "replace"))
    return hashed.hexdigest()[:16]


if __name__ == "__main__":
    main()
