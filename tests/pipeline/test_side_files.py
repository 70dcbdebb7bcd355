"""Files that come with a model or are named by options, and are not what they should be.

Each ends with exit code 2 and one sentence, at once: no pipe is waited for, no device read to its
end, nothing nested too deeply ends with a traceback.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from modelpack import environment
from modelpack.cli import config
from modelpack.cli.commands import main
from modelpack.errors import UsageError
from modelpack.inspection import inspect
from modelpack.parity import sidecar
from modelpack.parity.reference import read_expected
from modelpack.parity.row_files import read_table
from modelpack.types import Field, Signature

IRIS = Path(__file__).parents[2] / "sample_models" / "iris" / "model.joblib"
NAMES = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)"
SECONDS = 30


def _link(path: Path, target: str) -> None:
    path.symlink_to(target)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**33)


ODD: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a directory": Path.mkdir,
    "a link to itself": lambda path: _link(path, path.name),
    "a link to a device": lambda path: _link(path, "/dev/zero"),
    "8 GiB": _sparse,
    "no file": lambda _: None,
    "nothing": Path.touch,
    "not text": lambda path: path.write_bytes(bytes(range(256)) * 8),
    "UTF-16": lambda path: path.write_bytes("[[1, 2, 3, 4]]".encode("utf-16")),
    "many lists": lambda path: path.write_text("[" * 200_000),
    "many objects": lambda path: path.write_text('{"a":' * 100_000 + "1" + "}" * 100_000),
    "a long number": lambda path: path.write_text("1" * 200_000),
    "an odd document": lambda path: path.write_text('{"schema": [], "instances": {"a": 3}}'),
}
FILES = ("odd.csv", "odd.json", "odd.jsonl", "odd.npy", "odd.parquet")
SIGNATURE = Signature((Field("a", "number"),), (Field("prediction", "number"),))


def package_options(path: Path) -> object:
    command = main.get_command(click.Context(main), "package")
    assert command is not None
    options = [each for each in command.params if isinstance(each, click.Option)]
    return config.read(path.with_name("model.joblib"), options)


READERS: dict[str, tuple[tuple[str, ...], Callable[[Path], object]]] = {
    "--example": (FILES, read_table),
    "--expected": (FILES, lambda path: read_expected(path, SIGNATURE, 1, 1)),
    "--requirements-file": (("odd.txt",), config.requirements),
    "--ca-cert": (("odd.pem",), lambda path: environment.index_settings(ca_cert=str(path))),
    "options": (("modelpack.toml",), package_options),
    "record": (
        ("model.joblib.record.json",),
        lambda path: sidecar.read(path.with_name("model.joblib"), inspect(IRIS)),
    ),
}
FINE = {
    ("--requirements-file", "nothing"),
    ("options", "nothing"),
    ("options", "no file"),
    ("record", "no file"),
}
SOME_ROWS = {"--example", "--expected", "--requirements-file"}
"""Files in which other things than documents of a schema may be read: text that means nothing."""
TEXTS = {"many lists", "many objects", "a long number", "an odd document"}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    ("option", "file"), [(option, file) for option, (files, _) in READERS.items() for file in files]
)
def test_reader_refuses_special_files_at_once(
    option: str, file: str, odd: str, tmp_path: Path
) -> None:
    path = tmp_path / file
    ODD[odd](path)
    error = None
    with deadline(SECONDS):
        try:
            READERS[option][1](path)
        except UsageError as refused:
            error = refused
    if (option, odd) in FINE or (option in SOME_ROWS and odd in TEXTS and error is None):
        assert error is None
    else:
        assert error is not None
        assert str(path) in error.message
        assert error.hint


@contextmanager
def deadline(seconds: int) -> Iterator[None]:
    """Raise in the block after so many seconds: it waits for a pipe."""

    def end(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def package(folder: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "modelpack", "package", IRIS, "--engine", "process"]
    return subprocess.run(
        list(map(str, [*command, "--no-smoke", "-o", folder / "bundle", *options])),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
        timeout=SECONDS,
    )


@pytest.mark.parametrize(
    ("option", "suffix", "odd"),
    [
        ("--example", ".csv", "a pipe"),
        ("--example", ".json", "many lists"),
        ("--expected", ".parquet", "a link to a device"),
        ("--requirements-file", ".txt", "a link to a device"),
        ("--ca-cert", ".pem", "a pipe"),
        ("--offline", "", "many lists"),
    ],
)
def test_command_ends_with_one_error_for_special_files(
    option: str, suffix: str, odd: str, tmp_path: Path
) -> None:
    path = tmp_path / f"odd{suffix}"
    if option == "--offline":
        path.mkdir()
        (path / "modelpack-0-py3-none-any.whl").touch()
        ODD[odd](path / "wheelhouse.json")
    else:
        ODD[odd](path)
    options: list[str | Path] = [option, path]
    if option == "--expected":
        rows = tmp_path / "rows.csv"
        rows.write_text(f"{NAMES}\n5.1,3.5,1.4,0.2\n")
        options += ["--example", rows]
    done = package(tmp_path, *options)
    assert done.returncode == (5 if option == "--offline" else 2), done.stderr
    assert done.stderr.count("error: ") == done.stderr.count("hint: ") == 1
    assert not (tmp_path / "bundle").exists()


def test_the_file_of_rows_can_be_a_link(tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps([[5.1, 3.5, 1.4, 0.2]]))
    (tmp_path / "link.json").symlink_to(rows.name)
    assert read_table(tmp_path / "link.json").rows == [[5.1, 3.5, 1.4, 0.2]]
