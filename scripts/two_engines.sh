#!/bin/sh
# Runs a command with a swarm of two nodes on one machine: two engines, each in a network namespace.
#
#     sh scripts/two_engines.sh "IMAGE ..." COMMAND [ARGUMENT ...]
#
# The images are copied from the engine of this machine to both. The command runs in the namespace of the
# manager, with DOCKER_HOST set. Everything is removed afterwards. Needs root, and Linux with VXLAN.
set -eu

images=$1
shift
directory=$(mktemp -d /var/tmp/two-engines.XXXXXX)
id=$(basename "$directory" | tr -d .- | cut -c 11-)

in_namespace() {
    number=$1
    shift
    # `ip netns exec` would hide the control groups.
    nsenter --net="/run/netns/$id-$number" "$@"
}

end() {
    for number in 1 2; do
        [ -e "$directory/$number.pid" ] || continue
        process=$(cat "$directory/$number.pid")
        kill "$process" 2>/dev/null || continue
        for _ in $(seq 60); do
            kill -0 "$process" 2>/dev/null || break
            sleep 0.5
        done
    done
    for number in 1 2; do ip netns delete "$id-$number" 2>/dev/null || true; done
    grep -o "${directory}[^ ]*" /proc/mounts | sort -r | while read -r mount; do umount "$mount" || true; done
    rm -rf "$directory"
}
trap end EXIT
trap 'exit 130' INT TERM

for number in 1 2; do ip netns add "$id-$number"; done
ip link add veth1 netns "$id-1" type veth peer name veth2 netns "$id-2"
for number in 1 2; do
    ip -netns "$id-$number" link set lo up
    ip -netns "$id-$number" address add "10.213.0.$number/24" dev "veth$number"
    ip -netns "$id-$number" link set "veth$number" up
    in_namespace "$number" dockerd --data-root "$directory/data-$number" --exec-root "$directory/exec-$number" \
        --pidfile "$directory/$number.pid" --host "unix://$directory/$number.sock" \
        >"$directory/$number.log" 2>&1 &
done
for number in 1 2; do
    for _ in $(seq 60); do
        docker --host "unix://$directory/$number.sock" info >/dev/null 2>&1 && break
        sleep 0.5
    done
    # shellcheck disable=SC2086 # several words
    docker save $images | docker --host "unix://$directory/$number.sock" load --quiet >&2
done

manager="docker --host unix://$directory/1.sock"
$manager swarm init --advertise-addr 10.213.0.1 >/dev/null
token=$($manager swarm join-token --quiet worker)
docker --host "unix://$directory/2.sock" swarm join --advertise-addr 10.213.0.2 --token "$token" 10.213.0.1:2377 >/dev/null
DOCKER_HOST="unix://$directory/1.sock" in_namespace 1 "$@"
