"""The list of packages; everything else is declared in setup.cfg."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["modelpack*"]), "modelpack.templates"])
