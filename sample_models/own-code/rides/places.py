"""The location of the town's station."""

STATION = (60.3905, 5.3332)  # degrees north and east
