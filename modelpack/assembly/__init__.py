"""Makes the folders that become layers of an image: the same files from the same input, anywhere.

Plain Python 3.7 of the standard library. A bundle carries it, and the interpreter of its base image
runs it, in stages of the Dockerfile as in an engine that assembles images by itself. Each module is
a command, `PYTHONHASHSEED=0 python -m modelpack.assembly.NAME ROOT ...`: ROOT is the folder that is
to become `/`, wherever it lies meanwhile; nobody needs to be root.
"""
