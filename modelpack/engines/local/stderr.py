"""Standard error of a service, copied to that of this process and kept in part."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

_KEPT_BYTES = 64 * 1024
_WAIT_SECONDS = 5.0


class StderrCopy:
    """A pipe whose content a thread copies. `descriptor`: its end for the service."""

    def __init__(self) -> None:
        self._reader, self.descriptor = os.pipe()
        self._kept = b""
        self._thread = Thread(target=self._copy, daemon=True)
        self._thread.start()

    def last(self) -> str:
        """Return the last part, after all processes of the service have ended."""
        self.close()
        self._thread.join(_WAIT_SECONDS)
        return self._kept.decode(errors="replace")

    def close(self) -> None:
        """Close this end of the pipe. The thread ends with the service."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _copy(self) -> None:
        with os.fdopen(self._reader, "rb", 0) as pipe:
            while data := pipe.read(_KEPT_BYTES):
                self._kept = (self._kept + data)[-_KEPT_BYTES:]
                with suppress(OSError, ValueError, AttributeError):  # it is closed, or None
                    sys.stderr.buffer.write(data)
                    sys.stderr.flush()


@contextmanager
def copy_stderr() -> Iterator[StderrCopy]:
    """Yield a copy, whose end of the pipe is closed after the context."""
    copy = StderrCopy()
    try:
        yield copy
    finally:
        copy.close()
