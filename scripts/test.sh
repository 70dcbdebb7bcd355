#!/bin/sh
# Runs four parts of the tests in parallel: files that need Docker, those of Podman's engine, half of the
# other files (tests/serving, tests/parity, tests/compilation), and the rest. The output of the first
# three is shown when all have ended. Exit status 1 if a test fails.
set -u
export MODELPACK_TEST_ENGINE_REQUIRED=1
# Threads of BLAS and OpenMP wait actively, which takes the cores of the other tests. A service has one, too.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# Hundreds of child processes import modelpack: without its bytecode each compiles it.
unset PYTHONDONTWRITEBYTECODE
cd "$(dirname "$0")/.." || exit 1
logs=$(mktemp -d)
# Docker's part is the longest, and often waits: it goes first, and the others take what it leaves.
later="nice -n 5"
.venv/bin/pytest --part docker >"$logs/docker" 2>&1 &
running=$!
for part in podman serving; do
    $later .venv/bin/pytest --part "$part" >"$logs/$part" 2>&1 &
    running="$running $!"
done
trap 'kill -INT $running; wait; rm -rf "$logs"; exit 130' INT TERM
failed=0
$later .venv/bin/pytest --part others || failed=1
for process in $running; do
    wait "$process" || failed=1
done
trap - INT TERM
cat "$logs/serving" "$logs/podman" "$logs/docker"
rm -rf "$logs"
exit "$failed"
