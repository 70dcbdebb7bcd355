"""Locks the environments of the other servers anew."""

from benchmarks.peers.run import lock_all

lock_all()
