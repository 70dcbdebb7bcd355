"""Models as people train them, with their training frames, packaged and queried in every format."""
