#!/bin/sh
# Removes the images that tests and documentation leave in Docker. Base images (modelpack.invalid/...)
# and the build cache stay, because the next run needs them.
#
#   scripts/remove_test_images.sh [PATTERN...]   such as 'modelpack-test/*', the default
set -eu
command -v docker >/dev/null && docker info >/dev/null 2>&1 || exit 0
[ $# -gt 0 ] || set -- 'modelpack-test/*' 'modelpack-docs/*'
for pattern in "$@"; do
    # By name: the same image may have a name that someone else gave it.
    docker images --format '{{.Repository}}:{{.Tag}}' --filter "reference=$pattern" |
        grep -v '<none>' | xargs -r docker rmi --force
done
