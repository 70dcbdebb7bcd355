# `make demo` and `make test` do all the set-up that they need; both can be run again.
.PHONY: help setup engine demo test lint types docs reference workflows lock allowlist ages gauntlet matrix frames samples screenshots clean settings compiled oracle mutants

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

setup:  ## the virtual environment in .venv, with what the tests need
	@sh scripts/setup.sh test

engine: setup  ## a container engine, and the base images that the tests use
	@sh scripts/engine.sh start
	@sh scripts/bases.sh 3.7 3.8 3.9 3.10 3.11 3.12 3.13
	@sh scripts/proxy.sh

demo:  ## package the iris sample, run its container, query it
	@sh scripts/setup.sh
	@sh scripts/demo.sh

test: engine lint types  ## every check
	@sh scripts/test.sh

lint: setup  ## style and formatting of code; spelling, terms and style of the documentation
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/shellcheck scripts/*.sh ci/*.sh .ci/run
	@sh scripts/prose.sh

types: setup  ## static types
	.venv/bin/mypy

docs: setup  ## the documentation site, in build/site; `.venv/bin/zensical serve` shows it while you write
	.venv/bin/zensical build --strict --clean

reference: setup  ## the pages of docs/reference, from the code
	.venv/bin/python scripts/make_reference.py

workflows: setup  ## files of GitHub and GitLab, compared with their schemas
	.venv/bin/uv tool run check-jsonschema@0.39.0 --builtin-schema vendor.github-workflows .github/workflows/*.yml ci/github.yml
	.venv/bin/uv tool run check-jsonschema@0.39.0 --builtin-schema vendor.github-actions action.yml
	.venv/bin/uv tool run check-jsonschema@0.39.0 --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[bm]*.yml
	.venv/bin/uv tool run check-jsonschema@0.39.0 --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci ci/gitlab.yml

lock: setup  ## what the tests and their clients need, locked anew
	.venv/bin/uv pip compile setup.cfg --extra test --universal --python-version 3.10 \
	    --no-header --no-annotate --generate-hashes --quiet --output-file tests/requirements.lock
	.venv/bin/python -m tests.clients mlflow mlserver

allowlist: setup  ## what the inspector knows, from what real releases save; shows what changes
	PATH="$(CURDIR)/.venv/bin:$$PATH" python scripts/make_allowlist.py
	PATH="$(CURDIR)/.venv/bin:$$PATH" python scripts/make_interpreted.py
	PATH="$(CURDIR)/.venv/bin:$$PATH" python scripts/make_methods.py

ages: engine  ## models of nine releases of scikit-learn, packaged and queried; writes the table
	@sh scripts/bases.sh 3.7 3.8 3.9 3.10 3.11 3.12 3.13
	PATH="$(CURDIR)/.venv/bin:$$PATH" python scripts/make_ages.py --all

gauntlet: engine  ## models in packages of the Python index, packaged and queried; writes the table
	@sh scripts/bases.sh 3.7 3.8 3.9 3.10 3.11 3.12 3.13
	PATH="$(CURDIR)/.venv/bin:$$PATH" python scripts/make_gauntlet.py

matrix: setup  ## models of many libraries and years, saved in every way, served; writes the table
	PATH="$(CURDIR)/.venv/bin:$$PATH" python scripts/make_matrix.py

frames: setup  ## models of four sets of libraries, queried with their training frames; writes the tables
	PATH="$(CURDIR)/.venv/bin:$$PATH" python scripts/make_frames.py

settings: setup  ## plans of generated settings compared with four releases of scikit-learn
	PATH="$(CURDIR)/.venv/bin:$$PATH" PYTHONPATH="$(CURDIR)" python scripts/make_settings.py

compiled: setup  ## models of every family, saved by four releases, compiled and compared
	PATH="$(CURDIR)/.venv/bin:$$PATH" PYTHONPATH="$(CURDIR)" python scripts/make_compiled.py

oracle: setup  ## fitted models, changed at random: what still passes is loaded, confined and watched
	.venv/bin/python scripts/run_oracle.py --progress $(ORACLE)

mutants: setup  ## bugs planted at random, and whether a test fails; MUTANTS='--count 100 --seed 1'
	PATH="$(CURDIR)/.venv/bin:$$PATH" python scripts/mutate.py $(MUTANTS)

samples: setup  ## train the sample models again
	PATH="$(CURDIR)/.venv/bin:$$PATH" sh scripts/train_samples.sh

screenshots: engine  ## the pictures of docs/service-playground.md; look at them before a commit
	PATH="$(CURDIR)/.venv/bin:$$PATH" python scripts/make_screenshots.py

clean:  ## remove what the commands above made in this folder, and the images of the tests
	@sh scripts/remove_test_images.sh
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info
