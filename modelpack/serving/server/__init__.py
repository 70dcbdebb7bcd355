"""`Worker` (gunicorn's `worker_class`).

Worst of what a client can do is to hold its own connection for a while: bytes are read as they
come, and only a request that is complete takes its turn with the model.
"""

from __future__ import annotations

from .worker import Worker

__all__ = ["Worker"]
