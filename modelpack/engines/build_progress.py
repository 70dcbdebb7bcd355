"""BuildKit progress events.

Source: BuildKit's SolveStatus (client/graph.go): JSON objects one after another, each with some of
`vertexes` (steps), `logs` (their output, base64) and `statuses` (not needed here).
"""

from __future__ import annotations

import base64
import json
import re
import textwrap
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from modelpack.engines.protocol import OnStep, StepEvent, StepState

_KEPT_LINES = 200
# BuildKit's text before "exit code: 1". The name of the step contains the command already.
_COMMAND = re.compile(r'^process ".*" did not complete successfully: ')
CACHE_IMPORT = "importing cache manifest from "
"""Name of a step, before the cache. If it fails, the build goes on without the cache."""
_CREDENTIALS = re.compile(r"://[^/\s]*@")  # pip itself shows the user's name
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Progress:
    """The steps of one build, reported to `on_step`, and the output of the one that failed."""

    def __init__(self, on_step: OnStep) -> None:
        self._on_step = on_step
        self._states: dict[str, StepState] = {}
        self._output: dict[str, deque[str]] = {}
        self.failed_step = ""
        self.error = ""
        self._failed = ""

    def read(self, lines: Iterable[str]) -> None:
        for document in self._documents(lines):
            for vertex in document.get("vertexes") or ():
                self._see(vertex)
            for log in document.get("logs") or ():
                text = base64.b64decode(log["data"]).decode(errors="replace")
                self._lines(log["vertex"]).extend(printable(text))

    @property
    def output(self) -> list[str]:
        """The last lines of the failed step, or of the build itself if no step failed."""
        return list(self._lines(self._failed))

    def _lines(self, digest: str) -> deque[str]:
        return self._output.setdefault(digest, deque(maxlen=_KEPT_LINES))

    def _documents(self, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Parse JSON objects of one line (buildx 0.14) or several (0.13)."""
        pending = ""
        for line in lines:
            if not pending and not line.startswith("{"):
                self._lines("").extend(printable(line))
                continue
            pending += line
            if line.startswith("}") or (pending is line and line.rstrip().endswith("}")):
                yield json.loads(pending)
                pending = ""

    def _see(self, vertex: dict[str, Any]) -> None:
        digest, name = vertex["digest"], title(vertex["name"])
        state = _state(vertex)
        if state is None or self._states.get(digest) == state:
            return
        self._states[digest] = state
        if state == "failed" and not self._failed and not name.startswith(CACHE_IMPORT):
            self._failed, self.failed_step = digest, name
            self.error = _COMMAND.sub("", " ".join(printable(vertex["error"])))
        if not name.startswith("[internal]"):
            self._on_step(StepEvent(name, state, _seconds(vertex)))


def title(name: str) -> str:
    """Shorten the name of a step to 80 characters, without the mounts of a RUN."""
    words = re.sub(r" --mount=\S+", "", " ".join(printable(name))).split()
    return textwrap.shorten(" ".join(words), 80, placeholder=" ...")


def _state(vertex: dict[str, Any]) -> StepState | None:
    if "canceled" in vertex.get("error", ""):
        return None  # another step failed
    if vertex.get("error"):
        return "failed"
    if vertex.get("cached"):
        return "cached"
    if vertex.get("completed"):
        return "done"
    return "started" if vertex.get("started") else None


def _seconds(vertex: dict[str, Any]) -> float:
    started, completed = vertex.get("started"), vertex.get("completed")
    if not (started and completed):
        return 0.0
    return (_time(completed) - _time(started)).total_seconds()


def _time(text: str) -> datetime:
    # Microseconds at most: Python 3.10 parses neither nanoseconds nor "Z".
    date, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{date}.{fraction[:6]:0<6}+00:00")


def printable(text: str) -> list[str]:
    """Split a text into lines, without control characters and credentials of URLs."""
    plain = _CREDENTIALS.sub("://***@", _ANSI.sub("", text)).expandtabs()
    lines = ("".join(filter(str.isprintable, line)).rstrip() for line in plain.splitlines())
    return [line for line in lines if line]
