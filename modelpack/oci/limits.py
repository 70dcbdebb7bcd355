"""Bounds on what is read of an image: whoever made it may mean harm.

The largest images that people build have some hundred thousand files and twenty gigabytes.
"""

DOCUMENT = 8 * 2**20  # bytes of a manifest, an index or a configuration
LAYERS = 1000
MEMBERS = 1_000_000  # of a layer
LAYER = 64 * 2**30  # bytes of a layer, uncompressed
EXTENSION = 2**20  # bytes of a header of a member: long names, extended attributes
PATH = 4096  # bytes, as Linux has it
NAME = 255
