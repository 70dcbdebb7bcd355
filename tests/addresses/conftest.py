"""A fake server, and no settings of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from fake_servers import FakeServer, run_fake_server

from modelpack.addresses import artifacts, http


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Remove the variables of MLflow, give a home without files, and do not wait."""
    for name in list(os.environ):
        if name.startswith("MLFLOW_") or name in {"MODELPACK_PLAIN_HTTP", artifacts.SHARED}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setattr(http, "PAUSES", (0.0, 0.0, 0.0, 0.0))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """Run a server of MLflow that is configured, and has no model."""
    with run_fake_server() as fake:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", fake.url)
        yield fake
