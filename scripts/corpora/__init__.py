"""Counts of verdicts over the test files of other projects, for scripts/count_corpora.py."""
