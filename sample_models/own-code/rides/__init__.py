"""The classes of the model of train.py, in a package next to it that is no distribution."""
