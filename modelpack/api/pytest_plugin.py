"""A pytest plugin with the fixture `modelpack_service`.

It is loaded in each run of pytest, so it imports nothing before the fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from os import PathLike

    from modelpack.api.service import ServedModel


class ServiceFactory(Protocol):
    """Starts services, or returns those that are running already."""

    def __call__(self, path: str | PathLike[str], *more: str | PathLike[str],
                 **options: Any) -> ServedModel:  # fmt: skip
        """Return the service of a bundle or a model.

        Args:
            path: A folder of `modelpack bundle`, or a model file.
            more: Further files of the model.
            options: Those of `modelpack.serve`.
        """


@pytest.fixture(scope="session")
def modelpack_service() -> Iterator[ServiceFactory]:
    """Start the service of a bundle or a model, once for all tests.

        def test_setosa(modelpack_service):
            service = modelpack_service("bundle")
            assert service.predict([[5.1, 3.5, 1.4, 0.2]]) == [0]

    All services end after the last test.
    """
    from contextlib import ExitStack

    from modelpack.api import serve

    services: dict[str, ServedModel] = {}
    with ExitStack() as stack:

        def start(path: str | PathLike[str], *more: str | PathLike[str], **options: Any) -> Any:
            key = repr((path, more, sorted(options.items())))
            if key not in services or not services[key].is_running():
                services[key] = stack.enter_context(serve(path, *more, **options))
            return services[key]

        yield start
