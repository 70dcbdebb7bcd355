#!/bin/sh
# Makes sure that a Docker engine answers, on a bare Debian or Ubuntu machine too (as root).
#
#   scripts/engine.sh start [DIRECTORY]   does nothing where one answers already
#   scripts/engine.sh stop [DIRECTORY]    ends the engine that this script has started, no other
#
# DIRECTORY (.cache/engine of the repository) keeps the process id and the log of an engine that was
# started here. Exit status 8: no engine is available.
set -eu

main() {
    directory=${2:-$(default_directory)}
    case "${1-start}" in
        start | stop) "${1-start}" ;;
        *) say "what is $1? start or stop" && exit 2 ;;
    esac
}

default_directory() {
    printf '%s/.cache/engine' "$(cd "$(dirname "$0")/.." && pwd)"
}

start() {
    if ! is_installed && can_install; then install; fi
    if ! answers; then start_service || start_daemon; fi
    has_buildx || give_up "docker buildx is missing"
}

is_installed() {
    command -v mmdebstrap >/dev/null && has_buildx && { answers || command -v dockerd >/dev/null; }
}

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

answers() { docker info >/dev/null 2>&1; }

has_buildx() { docker buildx version >/dev/null 2>&1; }

install() {
    say "installing Docker, BuildKit, mmdebstrap and binutils by apt-get"
    apt-get update -qq || give_up "apt-get update failed"
    # Debian has the command in a separate package, which Ubuntu does not know.
    cli=$(apt-cache --quiet=0 policy docker-cli 2>/dev/null | sed -n 's/.*Candidate: [0-9].*/docker-cli/p')
    # shellcheck disable=SC2086 # empty where there is no such package
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        docker.io $cli docker-buildx iptables ca-certificates mmdebstrap binutils >/dev/null \
        || give_up "apt-get install failed"
}

start_service() {
    [ -d /run/systemd/system ] && systemctl start docker && await $$
}

start_daemon() {
    [ "$(id -u)" = 0 ] || give_up "starting one takes root"
    command -v dockerd >/dev/null || give_up "there is no dockerd"
    mkdir -p "$directory"
    say "starting dockerd; its log is $directory/dockerd.log"
    setsid dockerd >"$directory/dockerd.log" 2>&1 </dev/null &
    echo $! >"$directory/dockerd.pid"
    await $! && return
    tail -n 5 "$directory/dockerd.log" >&2
    stop
    give_up "dockerd does not start"
}

# Until an engine answers, for half a minute, and no longer than the process $1 lives.
await() {
    seconds=0
    until answers; do
        [ "$seconds" -lt 30 ] && [ -d "/proc/$1" ] || return 1
        sleep 1
        seconds=$((seconds + 1))
    done
}

stop() {
    pid=$(cat "$directory/dockerd.pid" 2>/dev/null) || return 0
    rm -f "$directory/dockerd.pid"
    # Only if the number still is that of a dockerd: it may have ended and be another's by now.
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] || return 0
    kill "$pid"
    while lives "$pid"; do sleep 0.2; done
}

# A zombie has ended: where nobody waits for it, as in some containers, it stays for good.
lives() { [ -d "/proc/$1" ] && ! grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"; }

say() { echo "engine: $*" >&2; }

give_up() {
    say "no usable Docker engine: $*"
    say "start Docker, or run this as root on Debian or Ubuntu; without one: .venv/bin/pytest"
    exit 8
}

main "$@"
