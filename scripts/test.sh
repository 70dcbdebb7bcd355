#!/bin/sh
# Runs the files of tests that need an engine and some long ones in parallel to all others. The output of
# the first is shown when both have ended. Exit status 1 if a test of either fails.
set -u
export MODELPACK_TEST_ENGINE_REQUIRED=1
# Threads of BLAS and OpenMP wait actively, which takes the cores of the other tests. A service has one, too.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# Hundreds of child processes import modelpack: without its bytecode each compiles it.
unset PYTHONDONTWRITEBYTECODE
cd "$(dirname "$0")/.."
log=$(mktemp)
.venv/bin/pytest --part engine >"$log" 2>&1 &
engine=$!
trap 'kill -INT "$engine"; wait "$engine"; rm -f "$log"; exit 130' INT TERM
.venv/bin/pytest --part others
others=$?
wait "$engine"
status=$?
trap - INT TERM
cat "$log"
rm -f "$log"
[ "$others" = 0 ] && [ "$status" = 0 ]
