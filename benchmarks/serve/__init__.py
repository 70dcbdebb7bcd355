"""How fast the service and other servers answer, side by side in one run."""
