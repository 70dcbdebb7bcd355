from __future__ import annotations

import os

import pytest

from modelpack.engines import select
from modelpack.errors import NoEngineError
from modelpack.spec import BaseImage, IndexSettings

PYTHONS = ("3.11", "3.12", "3.13", "3.10")


@pytest.fixture(scope="session")
def engine():
    """A Docker engine. Without one the tests marked `engine` are skipped, but fail under CI."""
    try:
        return select("docker")
    except NoEngineError as error:
        _missing(error)


@pytest.fixture(scope="session")
def base(engine) -> BaseImage:
    """A base image for one of PYTHONS."""
    try:
        return engine.find_base(PYTHONS)
    except NoEngineError as error:
        _missing(error)


@pytest.fixture(scope="session")
def index() -> IndexSettings:
    """The package index as this machine's pip reaches it."""
    return IndexSettings(ca_bundle=os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE"))


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("engine") and "engine" not in item.fixturenames:
            item.fixturenames.insert(0, "engine")


def _missing(error: NoEngineError) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"{error.message} {error.hint}")
    pytest.skip(error.message)
