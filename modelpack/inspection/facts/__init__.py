"""Facts about a model, read from its file: its parts, inputs, outputs and versions."""
