"""What real releases write into pickles, as evidence for modelpack/inspection/allowlist.json."""
