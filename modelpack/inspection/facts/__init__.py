"""What the values of a file tell of the model: what it is made of, what goes in and comes out."""
