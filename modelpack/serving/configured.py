"""A model that is called under the setting of scikit-learn that was in force in training."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Callable


class Configured:
    """Has what the model has; its methods run under `transform_output`, as if the author had called
    `sklearn.set_config(transform_output=...)` in this process.

    scikit-learn keeps the setting for each thread, so that one call at start would not reach the
    threads that predict.
    """

    def __init__(self, model: Any, transform_output: str) -> None:
        self.model = model
        self._settings = {"transform_output": transform_output}
        self._context = import_module("sklearn").config_context

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.model, name)
        return self._under_settings(value) if callable(value) else value

    def _under_settings(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            with self._context(**self._settings):
                return method(*args, **options)

        return call
