"""What the model of train.py is made of; a package beside it, which no distribution knows."""
