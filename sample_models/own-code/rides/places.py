"""Where the town's station is."""

STATION = (60.3905, 5.3332)  # degrees north and east
