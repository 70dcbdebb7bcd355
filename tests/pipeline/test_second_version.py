"""`deploy --canary` and `--shadow`: when they are refused, and one run with Compose and nginx."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pytest
from deployments import DIGEST, REPORT, deployment
from nginx_images import find_nginx
from packaged_images import SAMPLES, package
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from waiting import wait_until

from benchmarks.steady import SteadyLoad, get
from modelpack.comparison import Difference, PredictionSection
from modelpack.comparison.report import ImageSection, Named, Section
from modelpack.deployment import Folder, Version, render
from modelpack.deployment.targets import PROXY_FILE, SHADOW_CPU_SHARES
from modelpack.engines import Engine
from modelpack.errors import DifferentError, UsageError
from modelpack.pipeline import measured, second_version
from modelpack.pipeline.deploy import DeployResult, deploy
from modelpack.pipeline.deploy_request import DeployRequest
from modelpack.pipeline.options import Observer, Options
from modelpack.pipeline.stages import Pipeline
from modelpack.pipeline.targets import DEPLOY, Target, classify
from modelpack.types import Check, Image

ID, ID2 = "sha256:" + "d4" * 32, "sha256:" + "d5" * 32
PUSHED = f"registry.example.org/team/iris@{DIGEST}"
PASSED = replace(REPORT, checks=(Check("prediction", True, 0.1, ""),))
SAME = Section("same", "nothing differs")
BREAKING = Section("breaking", "an input is renamed")


class Store:
    """An engine with two images that a registry has, too."""

    def find(self, target: str) -> Image:
        return Image(target, ID2 if target == "iris:2" else ID, 1, (), {}, (PUSHED,))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pipeline:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measured, "smoke_target", lambda *_: PASSED)
    pipeline = Pipeline(Options(), Observer())
    pipeline.engine = Engine("docker", "linux/amd64", None, None, Store())
    return pipeline


@pytest.fixture
def signature(monkeypatch: pytest.MonkeyPatch) -> list[Section]:
    """What `diff` finds out about the signatures, which can be changed."""
    sections = [SAME]

    def compare(_: Pipeline, old: Target, new: Target) -> Difference:
        sides = (Named(each.text, "image", ()) for each in (old, new))
        predictions, image = PredictionSection("same", ""), ImageSection("changed", "")
        return Difference(*sides, sections[0], predictions, SAME, SAME, image)

    monkeypatch.setattr(second_version.diff, "diff", compare)
    return sections


def deployed(run: Pipeline, to: str, **given) -> DeployResult:
    return deploy(run, classify("iris:1", DEPLOY), DeployRequest(to, Path("out"), **given))


@pytest.mark.parametrize("to", ["compose", "swarm"])
def test_canary_gets_its_part_of_the_replicas(run: Pipeline, signature: list, to: str) -> None:
    result = deployed(run, to, canary="iris:2", weight=30, replicas=5)
    second = result.deployment.second
    assert (second.kind, second.image.id, second.weight) == ("canary", ID2, 30)
    assert second.plan.replicas.value == 2
    assert second.plan.workers.value == result.plan.workers.value
    assert second.plan.cpu_request.value == result.plan.cpu_request.value
    document = result.to_json()["second"]
    assert document["differing"] == ["image"]
    assert document["breaking"] == []
    assert json.loads(json.dumps(document)) == document


def test_shadow_gets_as_many_replicas_as_the_model(run: Pipeline, signature: list) -> None:
    second = deployed(
        run, "swarm", shadow="iris:2", replicas=3, max_body_bytes=7_000_000
    ).deployment.second
    assert (second.plan.replicas.value, second.weight) == (3, 0)
    assert second.plan.body_bytes.value == 7_000_000


def test_breaking_version_is_refused_before_anything_is_written(
    run: Pipeline, signature: list
) -> None:
    signature[0] = BREAKING
    with pytest.raises(DifferentError, match="an input is renamed") as caught:
        deployed(run, "compose", canary="iris:2")
    assert "not deployed as a canary" in caught.value.message
    assert "--fail-on never" in caught.value.hint
    assert caught.value.exit_code == 9
    assert not Path("out").exists()
    assert deployed(run, "compose", canary="iris:2", fail_on="never").deployment.second


def test_other_weight_changes_only_the_proxy(run: Pipeline, signature: list) -> None:
    deployed(run, "compose", canary="iris:2")
    assert deployed(run, "compose", canary="iris:2").changes.written == ()
    changes = deployed(run, "compose", canary="iris:2", weight=50).changes
    assert changes.written == (PROXY_FILE,)


def test_canary_that_is_left_out_is_removed_from_the_files(run: Pipeline, signature: list) -> None:
    deployed(run, "kubernetes", canary="iris:2", gateway="gateways/public")
    assert Path("out/canary/deployment.yaml").exists()
    result = deployed(run, "kubernetes", gateway="gateways/public")
    assert "canary/deployment.yaml" in result.changes.removed
    assert not Path("out/canary").exists()
    assert "canary" not in Path("out/base/httproute.yaml").read_text()


@pytest.mark.parametrize(
    ("to", "given", "message"),
    [
        ("compose", {"canary": "iris:2", "shadow": "iris:2"}, "not both"),
        ("kubernetes", {"canary": "iris:2"}, "Gateway of Kubernetes, and none is given"),
        ("kubernetes", {"proxy": True}, "--proxy is of no use"),
        ("kubernetes", {"gateway": "a b"}, "is not a name"),
        ("compose", {"gateway": "public"}, "of no use with --to compose"),
        ("kserve", {"shadow": "iris:2", "mode": "knative"}, "KServe does not copy requests"),
        ("kserve", {"canary": "iris:2"}, "only in its mode for Knative"),
        ("compose", {"proxy": True, "proxy_image": "UPPER"}, "UPPER"),
    ],
)
def test_impossible_combinations_are_usage_errors_with_a_hint(
    run: Pipeline, signature: list, to: str, given: dict, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        deployed(run, to, **given)
    assert caught.value.hint
    assert not Path("out").exists()


# --- nginx ---------------------------------------------------------------------------------------

NAME = "modelpack-test-versions"
PLAN = deployment().plan
IMAGE = deployment().image
CONFIGURATIONS = {
    "proxy": None,
    "canary": Version("canary", IMAGE, PLAN, 25),
    "canary without requests": Version("canary", IMAGE, PLAN, 0),
    "shadow": Version("shadow", IMAGE, PLAN),
}


@pytest.mark.engine
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_nginx_accepts_its_configuration(engine, name: str, tmp_path: Path) -> None:
    files = render("compose", deployment(has_proxy=True, second=CONFIGURATIONS[name]))
    Folder(tmp_path).write(files, {})
    mount = f"type=bind,source={tmp_path}/proxy,target=/etc/modelpack,readonly"
    command = ["docker", "run", "--rm", "--read-only", "--tmpfs=/tmp", "--user=65532:65532"]
    command += ["--cap-drop=ALL", "--mount", mount, "--entrypoint=nginx", find_nginx()]
    command += ["-e", "stderr", "-t", "-c", "/etc/modelpack/nginx.conf"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, engine) -> Iterator[tuple[str, str]]:
    """The iris model, and one of the same signature that names each flower "setosa"."""
    folder = tmp_path_factory.mktemp("package")
    iris = load_iris(as_frame=True)
    species = iris.target_names[iris.target]
    weights = np.where(species == "setosa", 1e9, 1.0)
    retrained = LogisticRegression(C=1e-9).fit(iris.data, species, sample_weight=weights)
    joblib.dump(retrained, folder / "model.joblib")
    tags = ("modelpack-test/versions:1", "modelpack-test/versions:2")
    package(SAMPLES / "iris" / "model.joblib", "-t", tags[0], cwd=folder)
    package(folder / "model.joblib", "-t", tags[1], cwd=folder)
    yield tags
    subprocess.run(["docker", "rmi", "--force", *tags], capture_output=True, check=True)


BODY = b'{"instances": [[6.7, 3.0, 5.2, 2.3]]}'
FIRST_ANSWER, SECOND_ANSWER = b'{"predictions":["virginica"]}', b'{"predictions":["setosa"]}'


@pytest.mark.engine
@pytest.mark.slow
def test_two_versions_share_the_requests_and_no_request_fails(
    images: tuple[str, str], tmp_path: Path
) -> None:
    if shutil.which("docker-compose") is None:
        pytest.skip("Docker Compose is not installed")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    options = [images[0], "--to", "compose", "--name", NAME, "--port", str(port), "--no-token"]
    options += ["--proxy-image", find_nginx(), "--force"]
    try:
        apply(*options, "--canary", images[1], "--weight", "50", cwd=tmp_path)
        seen = send(port, 400)
        assert seen.failed == {}
        assert set(seen.bodies) == {FIRST_ANSWER, SECOND_ANSWER}
        assert 150 < seen.bodies[SECOND_ANSWER] < 250
        assert seen.answers["200", "canary"] == seen.bodies[SECOND_ANSWER]

        docker("stop", f"{NAME}-canary-1")
        assert send(port, 100).answers == Counter({("200", "model"): 100})

        # The proxy is not restarted, and the load goes on while the canary is replaced.
        proxy = docker("inspect", "--format={{.State.StartedAt}}", f"{NAME}-proxy-1")
        with SteadyLoad(port, BODY, 50) as load:
            apply(*options, "--shadow", images[1], cwd=tmp_path)
        assert load.seen.failed == {}
        assert docker("inspect", "--format={{.State.StartedAt}}", f"{NAME}-proxy-1") == proxy
        before = predictions_of_shadow()
        seen = send(port, 100)
        assert seen.bodies == Counter({FIRST_ANSWER: 100})
        assert wait_until(lambda: predictions_of_shadow() == before + 100)

        shares = docker("inspect", "--format={{.HostConfig.CpuShares}}", f"{NAME}-shadow-1")
        assert int(shares) == SHADOW_CPU_SHARES

        # More than the relay keeps open: a shadow that hangs delays no client.
        docker("pause", f"{NAME}-shadow-1")
        assert send(port, 300).answers == Counter({("200", ""): 300})
        docker("unpause", f"{NAME}-shadow-1")
        assert get(port, "/healthz")
    finally:
        if (tmp_path / "out").exists():
            modelpack("--remove", cwd=tmp_path)


def send(port: int, count: int):
    with SteadyLoad(port, BODY, 200, count=count) as load:
        pass
    return load.seen


def predictions_of_shadow() -> float:
    """Return the requests that the shadow has answered, of its metrics."""
    script = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8080/metrics').read().decode())"
    metrics = docker("exec", f"{NAME}-shadow-1", "python", "-c", script)
    found = [line for line in metrics.splitlines() if line.startswith("modelpack_requests_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in found if 'route="/predict"' in line)


def apply(*arguments: str, cwd: Path) -> None:
    """Write the files, shorten the interval of the health check, and apply them."""
    modelpack(*arguments, cwd=cwd)
    file = cwd / "out/compose.yaml"
    file.write_text(file.read_text().replace("interval: 10s", "interval: 1s"))
    modelpack("--apply", cwd=cwd)


def modelpack(*arguments: str, cwd: Path) -> None:
    command = [sys.executable, "-m", "modelpack", "deploy", *arguments, "-o", "out"]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def docker(*arguments: str) -> str:
    command = ["docker", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
