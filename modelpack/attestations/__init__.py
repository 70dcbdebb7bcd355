"""What vouches for an image: its bill of materials, how it was made, and who signed that."""
