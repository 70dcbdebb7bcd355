#!/bin/sh
# Packages the iris sample, runs its container, sends one request and stops it. Without a
# container engine the same service runs as a local process.
set -eu
cd "$(dirname "$0")/.."
sample=sample_models/iris
port=${DEMO_PORT:-8080}

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }

query() {
    say "curl -H 'Content-Type: application/json' -d @$sample/request.json http://127.0.0.1:$port/predict"
    for _ in $(seq 100); do
        curl --silent --fail "http://127.0.0.1:$port/readyz" >/dev/null && break
        sleep 0.2
    done
    curl --silent --show-error --fail-with-body -H 'Content-Type: application/json' \
        -d "@$sample/request.json" "http://127.0.0.1:$port/predict"
    echo
}

on_docker() {
    # The official base image where it can be pulled, else one of this machine's own Python.
    sh scripts/bases.sh "$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    say "modelpack package $sample/model.joblib -t iris:demo"
    .venv/bin/modelpack package "$sample/model.joblib" -t iris:demo
    say "docker run --rm --detach -p 127.0.0.1:$port:8080 iris:demo"
    container=$(docker run --rm --detach --read-only --tmpfs /tmp --cap-drop ALL \
        --security-opt no-new-privileges -p "127.0.0.1:$port:8080" iris:demo)
    trap 'docker stop "$container" >/dev/null' EXIT INT TERM
    echo "$container" | cut -c1-12
    query
}

on_process() {
    echo "demo: no container engine is available, so the service runs as a local process" >&2
    say "modelpack serve $sample/model.joblib --port $port"
    .venv/bin/modelpack serve "$sample/model.joblib" --port "$port" &
    server=$!
    trap 'kill "$server" 2>/dev/null; wait "$server" || true' EXIT INT TERM
    query
}

if sh scripts/engine.sh start; then on_docker; else on_process; fi
