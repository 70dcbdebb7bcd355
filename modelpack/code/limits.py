"""Bounds on what is read: code is text that people write."""

FILE_BYTES = 2**20
FILES = 1_000
