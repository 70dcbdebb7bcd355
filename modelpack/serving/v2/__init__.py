"""Tensors as the Open Inference Protocol sends them: from body to rows, from results to body."""
