"""`Worker`, the `worker_class` of gunicorn.

A slow client occupies only its own connection: bytes are read as they arrive, and only a complete
request is queued for the model.
"""

from __future__ import annotations

from .worker import Worker

__all__ = ["Worker"]
