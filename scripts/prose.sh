#!/bin/sh
# Checks the spelling of the documentation, its terms, and a few rules of style. scripts/prose/terms.txt has
# words with what to write in their place; scripts/prose/ignore.txt has words that are no mistakes here.
# Text in backticks is not checked.
set -eu
cd "$(dirname "$0")/.."
pages=$(git ls-files '*.md' ':!tests')
# shellcheck disable=SC2086,SC2016 # names without spaces; backticks are text
.venv/bin/codespell -D - -D scripts/prose/terms.txt -I scripts/prose/ignore.txt --ignore-regex '`[^`]*`' $pages
# shellcheck disable=SC2086
.venv/bin/proselint check --config scripts/prose/proselint.json $pages
