"""The version and its date, alone, so that the build can read them without importing anything."""

__version__ = "0.1.0"
RELEASE_DATE = "2026-12-01"
"""The date of images that this version packages, so that all of one bundle have the same id."""
