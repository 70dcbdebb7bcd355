"""Bounds on what is read of an image: whoever made it may mean harm.

The largest images that people build have some hundred thousand files and twenty gigabytes. What is
here lets a hostile one take minutes and a gigabyte of memory, not more.
"""

DOCUMENT = 8 * 2**20  # bytes of a manifest, an index or a configuration
LAYERS = 1000
LAYER = 20 * 2**30  # bytes of a layer, uncompressed
MEMBERS = 500_000  # of a layer
PATHS = 64 * 2**20  # bytes of all their paths and targets
EXTENSION = 2**20  # bytes of a header of a member: long names, extended attributes
PATH = 4096  # bytes, as Linux has it
NAME = 255
TREE = 1_000_000  # files and folders in `/`
