"""Time of the inspection of a file, next to its lower bound and to other scanners.

    python benchmarks/inspect.py [--folder FOLDER] [--runs N] [NAME...]

Files that FOLDER lacks are created: 2.5 GB in all. Each figure is the median of N runs
in a separate process, in seconds of CPU time; NAME chooses files. `--json` prints them for
machines.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    del sys.path[0]  # This file would shadow the `inspect` of the standard library.

import argparse
import copy
import gzip
import hashlib
import json
import os
import pickle
import pickletools
import random
import resource
import statistics
import string
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

MB = 10**6
SLOWEST = 120


# --- the files -----------------------------------------------------------------------------------


def forest(size: int) -> Any:
    """A random forest that takes `size` bytes: four trees grown on noise, and copies of them."""
    import numpy
    from sklearn.ensemble import RandomForestRegressor

    noise = numpy.random.default_rng(0)
    model = RandomForestRegressor(4, random_state=0, n_jobs=2)
    model.fit(noise.random((100_000, 8)), noise.random(100_000))
    state = model.estimators_[0].tree_.__getstate__()
    count = round(size / (state["nodes"].nbytes + state["values"].nbytes))
    model.estimators_ = [copy.deepcopy(model.estimators_[i % 4]) for i in range(count)]
    return model


def joblib_file(size: int, compress: int | tuple[str, int] = 0) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        import joblib

        joblib.dump(forest(size), path, compress=compress)

    return make


def vocabulary(path: Path) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    chosen = random.Random(0)
    terms: set[str] = set()
    while len(terms) < 300_000:
        terms.add("".join(chosen.choices(string.ascii_lowercase, k=chosen.randint(4, 12))))
    words = sorted(terms)
    texts = [" ".join(words[i : i + 1000]) for i in range(0, len(words), 1000)]
    path.write_bytes(pickle.dumps(TfidfVectorizer().fit(texts)))


def wide(path: Path) -> None:
    """A classifier on the columns of a vectorizer, without it: 36,000 inputs."""
    import numpy
    from sklearn.linear_model import LogisticRegression

    rows = numpy.random.default_rng(0).random((20, 36_000))
    path.write_bytes(pickle.dumps(LogisticRegression(max_iter=2).fit(rows, [0, 1] * 10)))


def floats(path: Path) -> None:
    chosen = random.Random(0)
    path.write_bytes(pickle.dumps([chosen.random() for _ in range(10**6)]))


def bomb(path: Path) -> None:
    """600 MB of zeros as one value."""
    body = b"\x80\x04B" + (600 * MB).to_bytes(4, "little") + bytes(600 * MB)
    path.write_bytes(gzip.compress(body + b"."))


def laughs(path: Path) -> None:
    """A list of ten lists of ten lists ..., each of them one list ten times."""
    levels = (b"](" + b"h%c" % level * 10 + b"e\x94" for level in range(29))
    path.write_bytes(b"\x80\x04(]\x94" + b"".join(levels) + b"t.")


def deep(path: Path) -> None:
    path.write_bytes(b"\x80\x04N" + b"\x85" * 200_000 + b".")


def crowd(path: Path) -> None:
    """60 million empty lists behind as much noise as hides from the limit on compression."""
    body = b"\x80\x04B" + (300_000).to_bytes(4, "little") + random.Random(0).randbytes(300_000)
    path.write_bytes(gzip.compress(body + b"]" * 60 * MB))


FILES: dict[str, Callable[[Path], None]] = {
    "forest-1GB.joblib": joblib_file(1000 * MB),
    "forest-1GB.joblib.gz": joblib_file(1000 * MB, ("gzip", 3)),
    "forest-20MB.pkl": lambda path: path.write_bytes(pickle.dumps(forest(20 * MB))) and None,
    "tfidf-300k-terms.pkl": vocabulary,
    "linear-36k-inputs.pkl": wide,
    "list-1M-floats.pkl": floats,
    "hostile-bomb.pkl.gz": bomb,
    "hostile-laughs.pkl": laughs,
    "hostile-deep.pkl": deep,
    "hostile-crowd.pkl.gz": crowd,
}


# --- what is measured, each in a separate process ----------------------------------------------


def modelpack(path: Path) -> str:
    from modelpack.inspection import inspect

    spec = inspect(path)
    return f"{spec.safety.verdict} {' '.join({f.code for f in spec.safety.findings})}"


def command(path: Path) -> str:
    """The same by the command line, which prints all inputs."""
    done = subprocess.run(
        [sys.executable, "-m", "modelpack", "inspect", "--json", path],
        capture_output=True,
        check=False,
    )
    return f"{len(done.stdout):,} bytes"


def hashing(path: Path) -> str:
    """Reading, hashing and decompressing, which no inspector can do without."""
    from modelpack.inspection import stream
    from modelpack.inspection.nodes import Malformed

    with path.open("rb", buffering=0) as file, suppress(Malformed):
        digest = stream.HashingFile(file)
        head = digest.read(stream.CHUNK)
        for _ in stream.chunks(stream.container(head), head, digest):
            pass
        return digest.finish()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def genops(path: Path) -> str:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        return str(sum(1 for _ in pickletools.genops(file)))


def picklescan(path: Path) -> str:
    from picklescan.scanner import scan_file_path

    result = scan_file_path(str(path))
    return "error" if result.scan_err else f"{result.issues_count} issues"


def fickling(path: Path) -> str:
    from fickling.analysis import check_safety
    from fickling.fickle import Pickled

    with path.open("rb") as file:
        return check_safety(Pickled.load(file)).severity.name


WAYS = {way.__name__: way for way in (modelpack, command, hashing, genops, picklescan, fickling)}


def cpu_seconds() -> float:
    """Return the CPU time of this process and its children, which other processes affect less."""
    used = [
        resource.getrusage(target) for target in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    return sum(one.ru_utime + one.ru_stime for one in used)


def measured(way: str, path: Path) -> None:
    """Print the seconds that one way takes, its answer, and the memory of the process that read."""
    WAYS["hashing"](path)  # into the page cache
    with suppress(ImportError):
        __import__({"hashing": "modelpack.inspection.stream", "command": "modelpack"}.get(way, way))
    before = cpu_seconds()
    answer = WAYS[way](path)
    seconds = cpu_seconds() - before
    is_child = way in {"modelpack", "command"}
    target = resource.RUSAGE_CHILDREN if is_child else resource.RUSAGE_SELF
    memory = resource.getrusage(target).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "answer": answer, "memory": memory}))


def run(way: str, path: Path, runs: int) -> dict[str, Any]:
    """Return the medians of some runs. Without one, `answer` has the reason."""
    found = []
    for _ in range(runs):
        command = [sys.executable, __file__, "--way", way, str(path)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=SLOWEST, check=True
            )
        except subprocess.TimeoutExpired:
            return {"answer": f"> {SLOWEST} s"}
        except subprocess.CalledProcessError as error:
            return {"answer": "fails", "why": error.stderr.strip().rpartition("\n")[2]}
        found.append(json.loads(done.stdout.splitlines()[-1]))
    medians = {key: statistics.median(one[key] for one in found) for key in ("seconds", "memory")}
    return {**medians, "answer": found[0]["answer"]}


# --- the table -----------------------------------------------------------------------------------


def table(figures: dict[str, dict[str, Any]]) -> Table:
    table = Table(
        "file",
        "MB",
        *(f"{way}, s" for way in WAYS),
        "times hashing",
        "memory, MB",
        "of command, MB",
    )
    for name, row in figures.items():
        ours, least = row["modelpack"], row["hashing"]
        table.add_row(
            name,
            f"{row['size'] / MB:,.2f}",
            *(f"{row[way]['seconds']:.2f}" if "seconds" in row[way] else row[way]["answer"]
              for way in WAYS),
            f"{ours['seconds'] / max(least['seconds'], 0.01):,.1f}",
            f"{ours['memory'] / MB:,.0f}",
            f"{row['command'].get('memory', 0) / MB:,.0f}",
        )  # fmt: skip
    return table


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--folder", type=Path)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--json", action="store_true")
    options.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options.add_argument("names", nargs="*", metavar="NAME")
    arguments = options.parse_args()
    if arguments.way:
        measured(arguments.way, Path(arguments.names[0]))
        return
    with tempfile.TemporaryDirectory(prefix="modelpack-benchmark-") as scratch:
        folder = arguments.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        figures = {}
        for name in arguments.names or FILES:
            path = folder / name
            if not path.exists():
                FILES[name](path)
            row = {way: run(way, path, arguments.runs) for way in WAYS}
            figures[name] = {"size": path.stat().st_size, **row}
    if arguments.json:
        print(json.dumps(figures, indent=2))
    else:
        Console(width=int(os.environ.get("COLUMNS", "120"))).print(table(figures))


if __name__ == "__main__":
    main()
