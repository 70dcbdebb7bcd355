"""What is tried with the model itself, on rows around its own example, before it may answer."""
