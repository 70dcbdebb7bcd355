"""The blueprint and its paths."""
