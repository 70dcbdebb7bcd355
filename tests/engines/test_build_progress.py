"""Progress of BuildKit, as printed by buildx 0.13 (indented) and later versions (one line each)."""

from __future__ import annotations

import base64
import json

import pytest

from modelpack.engines.build_progress import Progress
from modelpack.engines.docker import buildx
from modelpack.engines.protocol import StepEvent
from modelpack.errors import BuildFailedError, NoEngineError

NAME = "[environment 2/2] RUN --mount=type=secret,id=ca pip install"
STARTED = {"digest": "sha256:aa", "name": NAME, "started": "2026-11-23T22:52:05.25Z"}
DONE = {**STARTED, "completed": "2026-11-23T22:52:07.750000001Z"}
ERROR = 'process "/bin/sh -c pip install && x" did not complete successfully: exit code: 1'
FAILED = {**DONE, "error": ERROR}


def log(text: str) -> dict[str, str]:
    return {"vertex": "sha256:aa", "data": base64.b64encode(text.encode()).decode()}


def read(*documents: object, indent: int | None = None, tail: str = "") -> tuple[Progress, list]:
    events: list[StepEvent] = []
    progress = Progress(events.append)
    text = "".join(json.dumps(document, indent=indent) + "\n" for document in documents)
    progress.read((text + tail).splitlines(keepends=True))
    return progress, events


@pytest.mark.parametrize("indent", [None, 2])
def test_steps_are_reported_once_per_state_with_their_time(indent):
    _, events = read(
        {"vertexes": [{"digest": "sha256:aa", "name": NAME}]},
        {"vertexes": [STARTED]},
        {"statuses": [{"id": "x"}]},
        {"vertexes": [STARTED]},
        {"vertexes": [DONE]},
        indent=indent,
    )
    title = "[environment 2/2] RUN pip install"
    assert events == [StepEvent(title, "started"), StepEvent(title, "done", 2.5)]


def test_cached_step_is_reported_as_cached():
    assert read({"vertexes": [{**DONE, "cached": True}]})[1][0].state == "cached"


def test_step_stopped_by_another_failure_is_not_reported_as_failed():
    progress, events = read({"vertexes": [{**DONE, "error": "context canceled"}]})
    assert (events, progress.failed_step) == ([], "")


def test_the_failed_step_and_its_output_are_kept():
    progress, events = read(
        {"vertexes": [STARTED], "logs": [log("one\ntwo\n")]},
        {"vertexes": [FAILED], "logs": [log("three")]},
        tail="ERROR: failed to solve\n",
    )
    assert events[-1].state == "failed"
    assert progress.failed_step == "[environment 2/2] RUN pip install"
    assert progress.output == ["one", "two", "three"]


def test_output_cannot_steer_the_terminal():
    progress, _ = read(
        {"vertexes": [FAILED], "logs": [log("\x1b[31mred\x1b[0m\x07 \x9b2J\u202eb")]}
    )
    assert progress.output == ["red 2Jb"]


def test_lines_without_json_are_output_of_the_build():
    assert read(tail="ERROR: unable to read context\n")[0].output == [
        "ERROR: unable to read context"
    ]


UNFIT = (
    "ERROR: Could not find a version that satisfies the requirement y-z=={} (from versions: 3.1, "
    "3.2)\nERROR: No matching distribution found for y-z"
)


@pytest.mark.parametrize(
    ("output", "hint"),
    [
        ("SSLCertVerificationError: x\nNo matching distribution found for y", "--ca-cert"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM", "locked"),
        ("write /opt: no space left on device", "docker system df"),
        ("Temporary failure in name resolution\nNo matching distribution found", "proxy"),
        ("ERROR: No matching distribution found for y==1", "--index-url"),
        (UNFIT.format("4.3.0"), "no y-z 4.3.0 for this Python, but 3.2: --requirement 'y-z<=3.2'"),
        (UNFIT.format("3.0"), "--index-url"),
        ("Segmentation fault", ""),
    ],
)
def test_known_causes_of_a_failed_build_have_a_hint(fake_docker, output, hint):
    fake_docker({"vertexes": [FAILED], "logs": [log(output)]})
    with pytest.raises(
        BuildFailedError, match=r"in the step .*pip install: exit code: 1\.\n"
    ) as caught:
        build(fake_docker)
    assert output in caught.value.message
    assert hint in caught.value.hint
    assert bool(hint) == bool(caught.value.hint)


def test_a_missing_buildx_is_named(fake_docker):
    fake_docker("docker: 'buildx' is not a docker command.\nSee 'docker --help'")
    with pytest.raises(NoEngineError, match="buildx") as caught:
        build(fake_docker)
    assert "docker-buildx" in caught.value.hint


def test_a_missing_docker_command_is_named(tmp_path):
    with pytest.raises(NoEngineError, match="not installed"):
        buildx.run(tmp_path, print, environ={"PATH": str(tmp_path)}, options=())


@pytest.fixture
def fake_docker(tmp_path):
    """Makes a `docker` command that fails, after printing what it is given."""

    def install(output: object) -> None:
        text = output if isinstance(output, str) else json.dumps(output)
        (tmp_path / "output").write_text(text + "\n")
        script = tmp_path / "docker"
        script.write_text(f"#!/bin/sh\ncat {tmp_path}/output >&2\nexit 1\n")
        script.chmod(0o755)

    install.folder = tmp_path
    return install


def build(fake_docker) -> None:
    folder = fake_docker.folder
    environ = {"PATH": f"{folder}:/usr/bin:/bin"}
    buildx.run(folder, lambda _: None, environ=environ, options=())
