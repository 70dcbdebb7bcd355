#!/bin/sh
# Runs three parts of the tests in parallel: files that need an engine, the other files of tests/serving, and
# the rest. The output of the first two is shown when all have ended. Exit status 1 if a test fails.
set -u
export MODELPACK_TEST_ENGINE_REQUIRED=1
# Threads of BLAS and OpenMP wait actively, which takes the cores of the other tests. A service has one, too.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# Hundreds of child processes import modelpack: without its bytecode each compiles it.
unset PYTHONDONTWRITEBYTECODE
cd "$(dirname "$0")/.."
logs=$(mktemp -d)
.venv/bin/pytest --part engine >"$logs/engine" 2>&1 &
engine=$!
.venv/bin/pytest --part serving >"$logs/serving" 2>&1 &
serving=$!
trap 'kill -INT "$engine" "$serving"; wait; rm -rf "$logs"; exit 130' INT TERM
failed=0
.venv/bin/pytest --part others || failed=1
wait "$serving" || failed=1
wait "$engine" || failed=1
trap - INT TERM
cat "$logs/serving" "$logs/engine"
rm -rf "$logs"
exit "$failed"
