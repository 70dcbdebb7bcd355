"""The use cases: one file per command, each a sequence of the stages of `Pipeline`."""
