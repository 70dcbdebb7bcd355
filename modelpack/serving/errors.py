"""`StartupError`."""

from __future__ import annotations


class StartupError(SystemExit):
    """The reason why the service cannot start.

    It ends the process with status 1 and one line on standard error, without a traceback.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("modelpack: the service cannot start: " + " ".join(reason.split()))
