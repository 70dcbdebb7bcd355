# `make demo` and `make test` do all the set-up that they need; both can be run again.
.PHONY: help setup engine demo test lint types samples clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

setup:  ## the virtual environment in .venv
	@sh scripts/setup.sh

engine: setup  ## a container engine and a base image for it
	@sh scripts/engine.sh
	@sh scripts/bases.sh 3.7 3.11 3.13

demo: setup  ## package the iris sample, run its container, ask it
	@sh scripts/demo.sh

test: engine lint types  ## every check
	.venv/bin/pytest

lint: setup  ## style and formatting
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: setup  ## static types
	.venv/bin/mypy

samples: setup  ## train the sample models again
	sh scripts/train_samples.sh

clean:  ## what the commands above made in this folder
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info
