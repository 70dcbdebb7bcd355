"""A running service, as an engine hands it to the smoke test."""

from __future__ import annotations

from typing import Protocol


class Service(Protocol):
    """A running service. It ends with the `with` block of `Engine.run`, whatever happens there."""

    target: str
    engine: str
    url: str  # "http://127.0.0.1:PORT", without a slash at the end

    def logs(self) -> str:
        """The newest output of the service, at most 64 KiB."""

    def user_id(self) -> int | None:
        """The numeric user of its first process; None where it has ended."""

    def health(self) -> str | None:
        """What its HEALTHCHECK says: "starting", "healthy", "unhealthy"; None where it has none."""

    def memory_bytes(self) -> int | None:
        """The memory that it holds now, page cache left out; None where that is not known."""

    def is_running(self) -> bool: ...

    def stop(self, timeout: float) -> int:
        """Sends SIGTERM, after `timeout` seconds SIGKILL, and returns the exit code (137: killed).

        A service that has ended already only gives its exit code.
        """
