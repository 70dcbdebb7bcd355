#!/bin/sh
# Base images for the Python versions given: the official one where it is here or can be pulled,
# else a local one made from this machine's interpreter of that version. A version that can be
# had in neither way is named, and left out.
set -eu
cd "$(dirname "$0")/.."

docker info >/dev/null 2>&1 || exit 0
for version in "$@"; do
    official="python:$version-slim"
    docker image inspect "$official" >/dev/null 2>&1 && continue
    docker image inspect "modelpack.invalid/$official" >/dev/null 2>&1 && continue
    docker pull --quiet "$official" >/dev/null 2>&1 && continue
    .venv/bin/modelpack base build --python "$version" || echo "bases: no base image for Python $version" >&2
done
