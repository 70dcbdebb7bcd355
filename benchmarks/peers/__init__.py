"""Other model servers, each configured as its documentation describes, for two cores.

`python -m benchmarks.peers` locks their environments anew, one `<name>.lock` each.
"""

from __future__ import annotations

from benchmarks.peers.run import Running, environment, running, trained
from benchmarks.peers.table import PEERS, Peer, fastapi

__all__ = ["PEERS", "Peer", "Running", "environment", "fastapi", "running", "trained"]
