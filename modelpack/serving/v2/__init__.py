"""Tensors as the Open Inference Protocol sends them: from a body to rows, from results to a body."""
