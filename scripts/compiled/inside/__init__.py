"""Run by the interpreters of old releases: ordinary Python for 3.7 and later."""
