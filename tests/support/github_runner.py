"""Runs the steps of a composite GitHub action as GitHub does, and a server for its comments."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


@dataclass
class ActionRun:
    """The result of a run: exit codes and outputs by step, outputs of the action, and the log."""

    codes: dict[str, int] = field(default_factory=dict)
    steps: dict[str, dict[str, str]] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    log: str = ""
    summary: str = ""


@dataclass(frozen=True)
class Runner:
    """A machine that runs jobs.

    Attributes:
        source: The repository of the action.
        folder: RUNNER_TEMP.
        workspace: The folder of the job.
        environ: Variables in addition to those of this process.
        event: Name of the event.
    """

    source: Path
    folder: Path
    workspace: Path
    environ: Mapping[str, str]
    event: str = "push"

    def run_action(self, inputs: Mapping[str, str]) -> ActionRun:
        """Run the steps of `source`/action.yml."""
        action = yaml.safe_load((self.source / "action.yml").read_text())
        values = {
            **{f"inputs.{key}": each.get("default", "") for key, each in action["inputs"].items()},
            **{f"inputs.{key}": value for key, value in inputs.items()},
            "github.event_name": self.event,
        }
        result = ActionRun()
        for number, step in enumerate(action["runs"]["steps"]):
            name = step.get("id", str(number))
            if not _is_true(step.get("if", "success()"), values, any(result.codes.values())):
                continue
            given = {key: _text(value, values) for key, value in step.get("env", {}).items()}
            result.codes[name] = self._run_step(step, given, result)
            lines = (self.folder / "output").read_text().splitlines()
            result.steps[name] = dict(line.split("=", 1) for line in lines)
            values |= {f"steps.{name}.outputs.{key}": v for key, v in result.steps[name].items()}
        result.outputs = {
            name: _text(output["value"], values) for name, output in action["outputs"].items()
        }
        return result

    def _run_step(
        self, step: Mapping[str, Any], given: Mapping[str, str], result: ActionRun
    ) -> int:
        for name in ("output", "summary"):
            (self.folder / name).write_text("")
        (self.folder / "script.sh").write_text(step["run"])
        variables = {
            "GITHUB_ACTION_PATH": str(self.source),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "RUNNER_TEMP": str(self.folder),
        }
        assert step["shell"] == "bash"
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(self.folder / "script.sh")],
            cwd=self.workspace,
            env={**os.environ, **self.environ, **given, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        result.log += done.stdout
        result.summary += (self.folder / "summary").read_text()
        return done.returncode


def _text(value: str, values: Mapping[str, str]) -> str:
    """Return the value with its expressions, which are names only. Unknown ones are empty."""
    return EXPRESSION.sub(lambda match: values.get(match[1], ""), value)


def _is_true(condition: str, values: Mapping[str, str], failed: bool) -> bool:
    """Evaluate a condition of `&&`, `==`, `!=`, names, quoted texts, always() and success()."""
    if "always()" not in condition and failed:
        return False

    def literal(match: re.Match[str]) -> str:
        return match[0] if match[0].startswith("'") else repr(values.get(match[0], ""))

    python = re.sub(r"(always|success)\(\)", "1", condition.replace("&&", " and "))
    python = re.sub(r"'[^']*'|\b(?:inputs|steps|github)\.[\w.-]+", literal, python)
    return bool(eval(python, {"__builtins__": {}}))


@contextmanager
def comments_server(existing: list[dict[str, Any]]) -> Iterator[tuple[str, list[Any]]]:
    """Serve the comments of an issue. Yield the URL, and what is written: (method, path, body)."""
    written: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def _respond(self, document: Any) -> None:
            content = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _write(self) -> None:
            length = int(self.headers["Content-Length"])
            assert self.headers["Authorization"] == "Bearer T0KEN"
            written.append((self.command, self.path, json.loads(self.rfile.read(length))["body"]))
            self._respond({})

        def do_GET(self) -> None:
            query = dict(parse_qsl(urlsplit(self.path).query))
            size = int(query["per_page"])
            start = (int(query.get("page", 1)) - 1) * size
            self._respond(existing[start : start + size])

        do_POST = do_PATCH = _write

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", written
        finally:
            server.shutdown()
            thread.join()
