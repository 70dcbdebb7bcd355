#!/bin/sh
# An image of nginx for the tests: the official one where it is here or can be pulled, else a local
# one made of this machine's Debian or Ubuntu release.
set -eu
cd "$(dirname "$0")/.."

official="nginx:1.30-alpine"
local="modelpack.invalid/nginx"
docker info >/dev/null 2>&1 || exit 0
docker image inspect "$official" >/dev/null 2>&1 && exit 0
docker image inspect "$local" >/dev/null 2>&1 && exit 0
docker pull --quiet "$official" >/dev/null 2>&1 && exit 0
archive=$(.venv/bin/python -c '
from modelpack.engines.local_base import make_rootfs
print(make_rootfs({"curl", "nginx"}))
') && docker import "$archive" "$local" >/dev/null || echo "proxy: no image of nginx" >&2
