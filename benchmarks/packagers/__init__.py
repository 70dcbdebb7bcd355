"""Ways of making an image of one model, side by side."""
