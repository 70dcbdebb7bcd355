"""Calls of the model, whose code may try to end the process that serves it."""

from __future__ import annotations

import threading
from typing import Any, Callable


class ModelExitError(Exception):
    """The model raised an exception that ends a program: SystemExit, KeyboardInterrupt, ..."""


def contained(function: Callable[..., Any], *args: Any) -> Any:
    """Return `function(*args)`, where no exception can end the thread that calls it.

    Raises:
        ModelExitError: In place of an exception that is not an `Exception`. A KeyboardInterrupt in
            the main thread passes, because Ctrl-C raises it there.
    """
    try:
        return function(*args)
    except Exception:
        raise
    except BaseException as error:
        is_interrupt = isinstance(error, KeyboardInterrupt)
        if is_interrupt and threading.current_thread() is threading.main_thread():
            raise
        raise ModelExitError(f"the model raised {type(error).__name__}") from error
