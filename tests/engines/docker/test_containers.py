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
