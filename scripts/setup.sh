#!/bin/sh
# Makes the virtual environment in .venv, with Python and its venv module from the system's
# packages where they are missing. With the argument `test`, the versions that the tests were
# written with. Does nothing when it has done the same before.
set -eu
cd "$(dirname "$0")/.."

need() {
    command -v "$1" >/dev/null 2>&1 && return
    install "$2"
}

# Like `need`, for packages of a few tests that not every release has. These tests report what is missing.
want() {
    command -v "$1" >/dev/null 2>&1 || (shift && install "$@") || echo "setup: no $1" >&2
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
if [ "${1-}" = test ]; then
    need git git
    need ip iproute2
    need openssl openssl
    need chromium chromium
    need promtool promtool
    # Other engines, a registry, and scanners of security teams for a second opinion.
    want podman podman crun netavark passt uidmap
    want bwrap bubblewrap
    want docker-registry docker-registry
    want docker-compose docker-compose
    want kubectl kubernetes-client
    want skopeo skopeo
    want cosign cosign
    # LightGBM is linked to it, and cannot declare it otherwise.
    ldconfig -p | grep -q 'libgomp\.so\.1' || install libgomp1
fi
[ -e /etc/ssl/certs/ca-certificates.crt ] || install ca-certificates
python3 -c 'import ensurepip, venv' 2>/dev/null || install python3-venv
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "setup: python3 is $(python3 -V), modelpack needs 3.10 or newer" >&2
    exit 1
}

kind=${1:-use}
wanted=$(cat setup.cfg setup.py tests/requirements.lock | sha256sum)
[ "$wanted" = "$(cat ".venv/installed-$kind" 2>/dev/null)" ] && exit 0

echo "setup: making .venv" >&2
python3 -m venv .venv
pip() { .venv/bin/python -m pip --quiet --disable-pip-version-check "$@"; }
if [ "$kind" = test ]; then
    pip install --require-hashes --requirement tests/requirements.lock
    pip install --no-deps --editable .
    # No index of this machine may have a build without CUDA, which takes gigabytes less.
    pip install torch==2.13.0+cpu keras==3.15.1 h5py 2>/dev/null ||
        echo "setup: no CPU build of PyTorch; tests of PyTorch and Keras are skipped" >&2
else
    pip install --editable .
fi
echo "$wanted" > ".venv/installed-$kind"
