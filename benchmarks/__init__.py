"""Measurements, side by side with others in one run. None of them is a test."""
