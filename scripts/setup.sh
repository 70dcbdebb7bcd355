#!/bin/sh
# Makes the virtual environment in .venv, with Python and its venv module from the system's
# packages where they are missing. Does nothing when setup.cfg is the one it last installed.
set -eu
cd "$(dirname "$0")/.."

need() {
    command -v "$1" >/dev/null 2>&1 && return
    install "$2"
}

install() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        echo "setup: $* missing; install it (it is Debian's package name) and run this again" >&2
        exit 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

need python3 python3
need curl curl
[ -e /etc/ssl/certs/ca-certificates.crt ] || install ca-certificates
python3 -c 'import ensurepip, venv' 2>/dev/null || install python3-venv
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "setup: python3 is $(python3 -V), modelpack needs 3.10 or newer" >&2
    exit 1
}

wanted=$(sha256sum setup.cfg setup.py | sha256sum)
if [ ! -x .venv/bin/python ] || [ "$wanted" != "$(cat .venv/installed 2>/dev/null)" ]; then
    echo "setup: making .venv"
    python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
    echo "$wanted" > .venv/installed
fi
