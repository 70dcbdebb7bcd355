"""The panels of the dashboard that make_dashboard.py writes."""
