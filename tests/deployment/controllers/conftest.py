"""`docker` and `kubectl` that print given answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from platform_commands import Answers, replace_commands

from modelpack.deployment.controllers import compose as compose_module


@pytest.fixture
def commands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[Answers], Path]]:
    """Return a function that replaces `docker` and `kubectl`, and the log of their arguments."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    compose_module._command.cache_clear()
    yield partial(replace_commands, tmp_path)
    compose_module._command.cache_clear()
