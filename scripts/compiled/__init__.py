"""Models of every family, saved by old releases and compiled by the current one."""
