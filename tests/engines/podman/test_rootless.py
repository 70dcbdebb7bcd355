"""Podman without root: by root, which becomes another user for that."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from modelpack.types import BaseImage

IRIS = Path(__file__).parents[3] / "sample_models/iris"
pytestmark = [pytest.mark.engine, pytest.mark.slow]

# Root's own folders are closed to others, and so is /dev/net/tun on machines without udev, by which
# ports are published: in a mount namespace of its own, both are as the other user needs them. The
# script's arguments: the prefix of the interpreter, the user, and the command.
AS_ANOTHER = """
set -e
mkdir prefix; mount --bind "$1" prefix
case "$1" in
/root/*) mount -t tmpfs -o mode=755 root /root; mkdir -p "$1"; mount --bind prefix "$1";;
esac
mknod tun c 10 200; chmod 666 tun; mount --bind tun /dev/net/tun
mount --make-rshared /
user=$2; shift 2
exec setpriv --reuid="$user" --regid="$user" --init-groups "$@"
"""


def _other_user() -> pwd.struct_passwd | None:
    """Return a user with user ids for containers, as `useradd --create-home NAME` creates."""
    try:
        names = [line.partition(":")[0] for line in Path("/etc/subuid").read_text().splitlines()]
    except FileNotFoundError:
        return None
    users = (user for user in pwd.getpwall() if user.pw_name in names and user.pw_uid)
    return next((user for user in users if Path(user.pw_dir).is_dir()), None)


@pytest.mark.skipif(os.geteuid() != 0, reason="all tests of Podman are without root then")
def test_a_model_becomes_an_image_without_root(base: BaseImage) -> None:
    user = _other_user()
    if user is None:
        why = "nobody here but root may make user namespaces (/etc/subuid)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    folder = Path("/tmp", f"modelpack-rootless-{os.getpid()}")
    subprocess.run(["install", "-d", "-o", str(user.pw_uid), folder, folder / "run"], check=True)
    try:
        archive = folder / "base.tar"
        subprocess.run(["docker", "save", "-o", archive, base.reference], check=True)
        archive.chmod(0o644)
        done = _as_another(user, folder, base.reference)
    finally:
        subprocess.run(["rm", "-rf", folder], check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["image"]["reference"].startswith("localhost/modelpack-test/rootless")
    checks = {check["name"]: check["detail"] for check in result["smoke"]["checks"]}
    assert checks["health"] == "healthy"
    assert "of the model in a sandbox" in checks["parity"]


def _as_another(
    user: pwd.struct_passwd, folder: Path, base: str
) -> subprocess.CompletedProcess[str]:
    name = "modelpack-test/rootless:1"
    package = f"-m modelpack package {IRIS}/model.joblib --engine=podman --json --base-image={base}"
    steps = (
        f"podman load --quiet -i {folder}/base.tar >&2",
        f"cd {folder}/run && {sys.executable} {package} --tag={name}; code=$?",
        f"podman rmi --force {name} >&2; podman system migrate >&2; exit $code",
    )
    environ = {
        **{name: os.environ[name] for name in ("SSL_CERT_FILE", "PIP_CERT") if name in os.environ},
        "HOME": user.pw_dir,
        "XDG_RUNTIME_DIR": str(folder / "run"),
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
    }
    script = ["unshare", "--mount", "sh", "-c", AS_ANOTHER, "as-another", sys.base_prefix]
    return subprocess.run(
        [*script, user.pw_name, "sh", "-c", "\n".join(steps)],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
