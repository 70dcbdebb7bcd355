"""Facts that are read from a container, without an engine."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from modelpack.engines.docker.containers import Container


class _Engine:
    """A container whose commands have these outputs, one after the other."""

    def __init__(self, outputs: list[bytes]) -> None:
        self.outputs = outputs
        self.ports = {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "1"}]}

    def reload(self) -> None:
        pass

    def exec_run(self, _command: list[str]) -> SimpleNamespace:
        return SimpleNamespace(output=self.outputs.pop(0))


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [([b"65532\n"], 65532), ([b"", b"65532\n"], 65532), ([b"", b"", b""], None)],
    ids=["at once", "lost once", "always lost"],
)
def test_user_is_read_again_if_the_engine_loses_the_output(
    outputs: list[bytes], expected: int | None
) -> None:
    assert Container(_Engine(outputs), "image").user_id() == expected


@pytest.mark.parametrize(
    ("status", "exit_code", "expected"),
    [
        ("starting", 0, "healthy"),
        ("starting", 1, "starting"),
        ("unhealthy", 0, "unhealthy"),
        ("healthy", 1, "healthy"),
        (None, 0, None),
    ],
)
@pytest.mark.parametrize(
    ("test", "command"),
    [(["CMD", "python", "-m", "x"], ["python", "-m", "x"]),
     (["CMD-SHELL", "python -m x"], ["/bin/sh", "-c", "python -m x"])],
    ids=["exec", "shell"],
)  # fmt: skip
def test_health_check_is_run_instead_of_waiting_for_the_engine(
    status: str | None, exit_code: int, expected: str | None, test: list[str], command: list[str]
) -> None:
    commands = []

    def exec_run(command: list[str]) -> SimpleNamespace:
        commands.append(command)
        return SimpleNamespace(exit_code=exit_code)

    engine = _Engine([])
    engine.exec_run = exec_run
    engine.attrs = {
        "State": {"Health": {"Status": status}} if status else {},
        "Config": {"Healthcheck": {"Test": test}},
    }
    assert Container(engine, "image").health() == expected
    assert commands == ([command] if status == "starting" else [])
