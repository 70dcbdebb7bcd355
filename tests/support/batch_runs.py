"""Runs of `modelpack predict` in a bundle, without a service."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import preloaded

from modelpack.serving.batch import command, files, progress
from modelpack.serving.batch import predict as batch_predict
from modelpack.serving.batch.files import FORMATS
from modelpack.serving.batch.predict import BatchOptions, BatchPredictor
from modelpack.serving.service import Service


class Run:
    def __init__(
        self, service: Service, data: bytes, to: str | None, options: BatchOptions
    ) -> None:
        kind = files.format_from_content(data)
        self.events: list[tuple[str, dict]] = []
        self.out = io.BytesIO()
        reporter = progress.Reporter()
        reporter.report = lambda event, **facts: self.events.append((event, facts))  # type: ignore[method-assign]
        batch = batch_predict.Batch(
            BatchPredictor(service, options), FORMATS[to or kind].Writer, reporter, None
        )
        stream = io.BufferedReader(io.BytesIO(data))  # type: ignore[arg-type]
        counted = type("Counted", (), {"count": 0, "total": None})
        self.ended = None
        try:
            batch.run(command._chunks(kind, stream, service, None), self.out, counted)  # type: ignore[arg-type]
        except batch_predict.BatchError as ended:
            self.ended = ended

    @property
    def text(self) -> str:
        assert self.ended is None, self.ended.detail
        return self.out.getvalue().decode()

    @property
    def lines(self) -> list:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def refused(self) -> list[dict]:
        return [facts for event, facts in self.events if event == "refused"]


def environ(**more: str) -> dict[str, str]:
    # As in tests/serving/server/test_gunicorn.py: the bundle's own modelpack is what runs.
    libraries = [sysconfig.get_paths()["purelib"], str(Path(__file__).parent)]
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(libraries), **more}


def image(folder: Path, *arguments: str | Path, **options) -> subprocess.Popen[bytes]:
    """Return the command that corresponds to `docker run -i IMAGE` for a bundle."""
    entry = [sys.executable, "-S", "-m", "modelpack.serving", *map(str, arguments)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(entry, cwd=folder, env=environ(), **{**pipes, **options})


class ForkedImage(preloaded.Process):
    """The command of `image`, forked from a process with the libraries; see `preloaded`."""

    def __init__(self, folder: Path, *arguments: str | Path) -> None:
        (source, self.stdin), (self.stdout, output), (self.stderr, log) = (_pipe() for _ in "012")
        with source, output, log:
            files = (output, log, source)
            command = ("modelpack.serving", folder, environ(), files, list(map(str, arguments)))
            started = preloaded.run_module(*command)
        super().__init__(started.pid, started.status)

    def __enter__(self) -> ForkedImage:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            stream.close()
        self.wait(60)

    def communicate(self, data: bytes = b"") -> tuple[bytes, bytes]:
        """Send a little data, and return all of stdout and of stderr."""
        with suppress(BrokenPipeError):
            self.stdin.write(data)
        self.stdin.close()
        with ThreadPoolExecutor(1) as pool:
            errors = pool.submit(self.stderr.read)
            output = self.stdout.read()
        self.wait(60)
        return output, errors.result()


def _pipe() -> tuple[BinaryIO, BinaryIO]:
    read, write = os.pipe()
    return os.fdopen(read, "rb"), os.fdopen(write, "wb", buffering=0)
