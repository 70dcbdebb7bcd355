"""Creates the folders that become layers of an image, with reproducible contents.

Each bundle contains a copy. The interpreter of its base image, Python 3.7 or later, runs it in
stages of the Dockerfile and in the daemonless engine. Each module is a command,
`PYTHONHASHSEED=0 python -m modelpack.assembly.NAME ROOT ...`. ROOT becomes `/` of the image.
"""
