"""The contents of pickles of real releases, as evidence for modelpack/inspection/allowlist.json."""
