#!/bin/sh
# Runs four parts of the tests in parallel: files that need Docker, those of Podman's engine, the other
# files of tests/serving, and the rest. The output of the first three is shown when all have ended.
# Exit status 1 if a test fails.
set -u
export MODELPACK_TEST_ENGINE_REQUIRED=1
# Threads of BLAS and OpenMP wait actively, which takes the cores of the other tests. A service has one, too.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# Hundreds of child processes import modelpack: without its bytecode each compiles it.
unset PYTHONDONTWRITEBYTECODE
cd "$(dirname "$0")/.."
logs=$(mktemp -d)
running=
for part in docker podman serving; do
    .venv/bin/pytest --part "$part" >"$logs/$part" 2>&1 &
    running="$running $!"
done
trap 'kill -INT $running; wait; rm -rf "$logs"; exit 130' INT TERM
failed=0
.venv/bin/pytest --part others || failed=1
for process in $running; do
    wait "$process" || failed=1
done
trap - INT TERM
cat "$logs/serving" "$logs/podman" "$logs/docker"
rm -rf "$logs"
exit "$failed"
