"""Models that Python packages contain: the table of them, their download, and their results."""
