"""What the embedded engine is made of: images put together of layers, with no daemon."""
