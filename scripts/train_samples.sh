#!/bin/sh
# Retrains the sample models, each in the environment that its script pins.
set -eu
cd "$(dirname "$0")/.."
for script in sample_models/*/train.py; do
    echo "$script"
    "${UV:-uv}" run --quiet --script "$script"
done
