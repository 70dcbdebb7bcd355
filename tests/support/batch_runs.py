"""Runs of `modelpack predict` in a bundle, without a service."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

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
