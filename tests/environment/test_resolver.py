from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import certifi
import pytest
from packaging.specifiers import SpecifierSet

from modelpack.environment import candidate_pythons, index_settings, resolve
from modelpack.environment.warnings import NEWER
from modelpack.errors import EnvironmentNotResolvedError, UsageError
from modelpack.types import Environment, IndexSettings, from_json, to_json

OPEN = IndexSettings()


@pytest.fixture
def history(local_index):
    """An index that has two numpy versions, one from after scikit-learn 1.3.0 was settled."""
    local_index.add("scikit-learn", "1.3.0", "numpy", day="2023-06-30")
    local_index.add("numpy", "1.25.2", day="2023-07-31")
    local_index.add("numpy", "1.26.0", day="2023-09-16")
    return local_index


def pins(environment: Environment) -> dict[str, str]:
    return dict(environment.requirements)


# --- the versions of the time --------------------------------------------------------------------


def test_libraries_date_from_the_model_and_the_serving_stack_is_current(make_spec, history):
    environment = resolve(make_spec("1.3.0"), "3.11", index=IndexSettings(history.url))
    assert pins(environment) == {
        "flask": "9.9",
        "gunicorn": "9.9",
        "numpy": "1.25.2",
        "orjson": "9.9",
        "prometheus-client": "9.9",
        "scikit-learn": "1.3.0",
    }


def test_tracing_libraries_are_current(make_spec, history):
    exporter = "opentelemetry-exporter-otlp-proto-http"
    for name in (exporter, "protobuf"):
        history.add(name, "1.0", day="2020-01-01")
        history.add(name, "9.9", day="2026-01-01")
    index = IndexSettings(history.url)
    environment = resolve(make_spec("1.3.0"), "3.11", index=index, requirements=[exporter])
    assert environment.requirements[exporter] == "9.9"
    assert environment.requirements["numpy"] == "1.25.2"
    both = resolve(make_spec("1.3.0", protobuf=""), "3.11", index=index, requirements=[exporter])
    assert both.requirements["protobuf"] == "9.9"
    without_protobuf = resolve(make_spec("1.3.0", protobuf=""), "3.11", index=index)
    assert without_protobuf.requirements["protobuf"] == "1.0"


def test_without_upload_times_bounds_give_the_same(make_spec, history):
    history.days.clear()
    environment = resolve(make_spec("1.3.0"), "3.11", index=IndexSettings(history.url))
    assert environment.requirements["numpy"] == "1.25.2"
    assert environment.requirements["flask"] == "9.9"


def test_without_a_version_all_are_current(make_spec, history):
    environment = resolve(make_spec(None), "3.11", index=IndexSettings(history.url))
    assert environment.requirements["numpy"] == "1.26.0"


def test_added_requirement_may_need_distributions_newer_than_the_model(make_spec, history):
    history.add("shop", "1.0", "helper>=2", day="2025-01-01")
    history.add("helper", "1.0", day="2023-01-01")
    history.add("helper", "2.0", day="2025-01-01")
    environment = resolve(
        make_spec("1.3.0"), "3.11", index=IndexSettings(history.url), requirements=["shop==1.0"]
    )
    chosen = environment.requirements
    assert (chosen["shop"], chosen["helper"], chosen["numpy"]) == ("1.0", "2.0", "1.25.2")
    assert environment.warnings == (NEWER,)


@pytest.mark.parametrize("dated", [True, False])
def test_recorded_versions_are_used_unchanged(make_spec, history, dated):
    """Also a numpy that came later; not a Flask that happened to be there."""
    if not dated:
        history.days.clear()
    recorded = {"numpy": "1.26.0", "flask": "0.1", "rich": "15.0"}
    spec = replace(make_spec("1.3.0"), recorded=recorded)
    environment = resolve(spec, "3.11", index=IndexSettings(history.url))
    assert environment.requirements["numpy"] == "1.26.0"
    assert environment.origins["numpy"] == "record"
    assert environment.requirements["flask"] == "9.9"
    assert "rich" not in environment.requirements


def test_unavailable_recorded_version_is_replaced_and_reported(make_spec, history):
    spec = replace(make_spec("1.3.0"), recorded={"numpy": "1.24.9"})
    environment = resolve(spec, "3.11", index=IndexSettings(history.url))
    assert environment.requirements["numpy"] == "1.25.2"
    assert environment.origins["numpy"] == "resolver"
    assert "The recorded versions of the training (numpy 1.24.9)" in environment.warnings[0]


@pytest.mark.parametrize("dated", [True, False])
def test_a_newer_library_in_the_file_moves_the_time(make_spec, history, dated):
    """A pandas of August 2023 was there, so a numpy of September may have been."""
    history.add("pandas", "2.1.0", day="2023-08-30")
    history.add("pandas", "2.2.0", day="2024-01-20")
    if not dated:
        history.days.clear()
    spec = make_spec("1.3.0", pandas=">=2.1")
    chosen = resolve(spec, "3.11", index=IndexSettings(history.url)).requirements
    assert (chosen["pandas"], chosen["numpy"]) == ("2.1.0", "1.26.0")


@pytest.mark.parametrize("dated", [True, False])
def test_exact_versions_are_not_dated(make_spec, history, dated):
    if not dated:
        history.days.clear()
    index = IndexSettings(history.url)
    by_user = resolve(make_spec("1.3.0"), "3.11", index=index, requirements=["numpy==1.26.0"])
    by_file = resolve(make_spec("1.3.0", numpy="==1.26.0"), "3.11", index=index)
    assert by_user.requirements == by_file.requirements
    assert (by_user.origins["numpy"], by_file.origins["numpy"]) == ("user", "file")
    assert by_user.origins["scikit-learn"] == "file"
    assert by_user.origins["flask"] == "resolver"


def test_lightgbm_needs_a_system_package(make_spec, history):
    history.add("lightgbm", "4.0.0", day="2023-07-01")
    spec = make_spec("1.3.0", lightgbm="==4.0.0")
    environment = resolve(spec, "3.11", index=IndexSettings(history.url))
    assert environment.system_packages == ("libgomp1",)


# --- the lock ------------------------------------------------------------------------------------


def test_lock_contains_hashes_and_no_path_of_this_machine(make_spec, history):
    environment = resolve(make_spec("1.3.0"), "3.11", index=IndexSettings(history.url))
    entries = [line for line in environment.lock.splitlines() if not line.startswith(" ")]
    assert entries == [f"{name}=={version} \\" for name, version in pins(environment).items()]
    assert environment.lock.count("    --hash=sha256:") == len(entries)
    assert "127.0.0.1" not in environment.lock
    assert "#" not in environment.lock


def test_an_environment_survives_json(make_spec, history):
    environment = resolve(make_spec("1.3.0"), "3.11", index=IndexSettings(history.url))
    assert from_json(Environment, to_json(environment)) == environment


def test_settings_of_this_machines_uv_do_not_change_the_lock(
    make_spec, history, tmp_path, monkeypatch
):
    (tmp_path / "constraints.txt").write_text("numpy<1.25")
    (tmp_path / "uv.toml").write_text("no-index = true")
    monkeypatch.setenv("UV_CONSTRAINT", str(tmp_path / "constraints.txt"))
    monkeypatch.setenv("UV_EXCLUDE_NEWER", "2020-01-01")
    monkeypatch.chdir(tmp_path)
    environment = resolve(make_spec("1.3.0"), "3.11", index=IndexSettings(history.url))
    assert environment.requirements["numpy"] == "1.25.2"


def test_an_extra_index_goes_before_the_main_one(make_spec, history, second_index):
    """A newer version of a private distribution on the main index is not used."""
    second_index.add("private-features", "1.0", day="2023-01-01")
    history.add("private-features", "99.0", day="2023-01-01")
    index = IndexSettings(history.url, extra_index_urls=(second_index.url,))
    spec = make_spec("1.3.0", **{"private-features": ""})
    environment = resolve(spec, "3.11", index=index)
    assert environment.requirements["private-features"] == "1.0"


# --- credentials ---------------------------------------------------------------------------------


def test_credentials_in_the_url_reach_the_index_and_not_the_lock(make_spec, history):
    history.protect("reader", "s3cret/word")
    url = history.url.replace("://", "://reader:s3cret%2Fword@")
    environment = resolve(make_spec("1.3.0"), "3.11", index=index_settings(index_url=url))
    assert environment.requirements["scikit-learn"] == "1.3.0"
    assert "s3cret" not in environment.lock


def test_credentials_in_netrc_reach_the_index(make_spec, history, tmp_path, monkeypatch):
    history.protect("reader", "s3cret")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login reader password s3cret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    settings = index_settings(index_url=history.url)
    assert resolve(make_spec("1.3.0"), "3.11", index=settings).requirements["numpy"] == "1.25.2"


@pytest.mark.parametrize("secret", ["", "reader:wr0ng@"])
def test_credential_errors_do_not_contain_the_credentials(make_spec, history, secret):
    history.protect("reader", "s3cret")
    url = history.url.replace("://", f"://{secret}")
    with pytest.raises(EnvironmentNotResolvedError, match="requires credentials") as caught:
        resolve(make_spec("1.3.0"), "3.11", index=IndexSettings(url))
    assert "wr0ng" not in caught.value.message
    assert "netrc" in caught.value.hint


# --- errors --------------------------------------------------------------------------------------


def test_a_version_that_does_not_exist(make_spec, history):
    with pytest.raises(
        EnvironmentNotResolvedError, match=r"no such version.*scikit-learn==1\.3\.1"
    ):
        resolve(make_spec("1.3.1"), "3.11", index=IndexSettings(history.url))


def test_requirements_that_contradict_each_other(make_spec, history):
    history.add("scikit-learn", "1.3.2", "numpy<2", day="2023-10-23")
    history.add("numpy", "2.1.0", day="2024-08-18")
    with pytest.raises(EnvironmentNotResolvedError) as caught:
        resolve(
            make_spec("1.3.2"), "3.11", index=IndexSettings(history.url), requirements=["numpy>=2"]
        )
    assert caught.value.message.startswith("No set of versions fits Python 3.11: Because")
    assert "\n" not in caught.value.message
    assert "--requirement" in caught.value.hint


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/simple", "http://index.invalid/simple"])
def test_an_index_that_cannot_be_reached(make_spec, url, monkeypatch):
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(EnvironmentNotResolvedError, match="cannot be reached") as caught:
        resolve(make_spec("1.3.2"), "3.11", index=IndexSettings(url))
    assert "--index-url" in caught.value.hint
    assert caught.value.message.count(url) == 1


@pytest.mark.parametrize("python", ["3.6", "2.7", "3", "3.11.4", "newest", "3.11\n--no-index"])
def test_a_python_that_serving_does_not_run_on(make_spec, python):
    with pytest.raises(UsageError, match="not a Python version") as caught:
        resolve(make_spec("1.3.2"), python, index=OPEN)
    assert "--python" in caught.value.hint


def test_a_platform_that_has_no_lock(make_spec):
    with pytest.raises(UsageError, match="linux/riscv64") as caught:
        resolve(make_spec("1.3.2"), "3.11", platform="linux/riscv64", index=OPEN)
    assert "linux/arm64" in caught.value.hint


INTERRUPTED = """
import sys
from modelpack.environment.uv import Request, compile_lock
from modelpack.types import IndexSettings
from packaging.requirements import Requirement
index = IndexSettings(sys.argv[1])
compile_lock(Request([Requirement("numpy")], "3.11", "x86_64-manylinux_2_28", index))
"""


def test_an_interrupt_leaves_no_process_and_no_folder(tmp_path):
    """Against an index that takes the connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/simple/"
        variables = {**os.environ, "TMPDIR": str(tmp_path), "UV_NO_CACHE": "1"}
        command = [sys.executable, "-c", INTERRUPTED, url]
        with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE) as child:
            connection, _ = silent.accept()
            assert any(tmp_path.glob("modelpack-*"))
            child.send_signal(signal.SIGINT)
            assert b"KeyboardInterrupt" in child.communicate(timeout=10)[1]
        with connection:
            connection.settimeout(10)
            while connection.recv(4096):
                pass  # the request; its end shows that uv has ended
    assert list(tmp_path.glob("modelpack-*")) == []


# --- the real index ------------------------------------------------------------------------------

REAL = [
    ("1.3.2", "3.11", {"numpy": "==1.26.*", "scipy": "==1.11.*", "flask": ">=3"}),
    ("1.3.0", "3.11", {"numpy": "==1.25.*", "scipy": "==1.11.*", "pandas": "==2.0.*"}),
    ("0.20.3", "3.7", {"numpy": "==1.16.*", "scipy": "==1.2.*", "flask": "==2.2.5"}),
    ("0.20.3", "3.7", {"pandas": "==0.25.*"}),
    ("1.0.2", "3.7", {"numpy": "==1.21.*", "pandas": "==1.3.*"}),  # which requires 3.7.1
    ("1.7.2", "3.13", {"numpy": "==2.3.*", "scipy": "==1.16.*", "pandas": "==2.3.*"}),
]


@pytest.mark.parametrize(("version", "python", "expected"), REAL)
def test_versions_of_the_time_on_the_real_index(make_spec, real_index, version, python, expected):
    libraries = {"pandas": ""} if "pandas" in expected else {}
    environment = resolve(make_spec(version, **libraries), python, index=real_index)
    chosen = environment.requirements
    assert chosen["scikit-learn"] == version
    wrong = {n: chosen[n] for n, fits in expected.items() if chosen[n] not in SpecifierSet(fits)}
    assert not wrong


@pytest.mark.slow
def test_table_in_the_documentation_is_correct(make_spec, real_index):
    text = (Path(__file__).parents[2] / "docs" / "environment.md").read_text()
    rows = re.findall(
        r"^\| ([\d.]+) \| ([\d.]+) \| (.+?) \| (.+?) \| (.+?) \|$", text, re.MULTILINE
    )
    assert len(rows) > 3
    for version, python, *libraries in rows:
        spec = make_spec(version, pandas="")
        chosen = resolve(spec, candidate_pythons(spec)[0], index=real_index)
        pins = [chosen.requirements[name] for name in ("numpy", "scipy", "pandas")]
        assert [chosen.python, *pins] == [python, *libraries], version


def test_arm64_has_wheels_of_the_same_versions(make_spec, real_index):
    spec = make_spec("1.3.2")
    ours = resolve(spec, "3.11", index=real_index)
    arm = resolve(spec, "3.11", platform="linux/arm64", index=real_index)
    assert arm.requirements == ours.requirements
    assert arm.platform == "linux/arm64"


def test_a_python_that_the_version_has_no_wheel_for(make_spec, real_index):
    with pytest.raises(EnvironmentNotResolvedError, match=r"wheel for Python 3\.13") as caught:
        resolve(make_spec("1.3.2"), "3.13", index=real_index)
    assert "--python" in caught.value.hint


def test_distribution_without_a_wheel_leads_to_a_python_that_has_one(make_spec, local_index):
    local_index.add("scikit-learn", "1.3.0", "numpy", "solver", day="2023-06-30")
    local_index.add("numpy", "1.25.2", day="2023-07-31")
    local_index.add("solver", "1.0", day="2023-01-01")
    wheel = local_index.files.pop("solver-1.0-py3-none-any.whl")
    local_index.files["solver-1.0-cp310-cp310-manylinux_2_17_x86_64.whl"] = wheel
    with pytest.raises(EnvironmentNotResolvedError, match=r"wheel for Python 3\.11") as caught:
        resolve(make_spec("1.3.0"), "3.11", index=IndexSettings(local_index.url))
    assert caught.value.hint == "Python 3.10 has wheels of all distributions: --python 3.10"


def test_an_untrusted_certificate_leads_to_ca_cert(make_spec, real_index, tmp_path, monkeypatch):
    """Trusting one authority only, which is not that of the index."""
    first = Path(certifi.where()).read_text().split("-----END CERTIFICATE-----")[0]
    wrong = tmp_path / "ca.pem"
    wrong.write_text(f"{first}-----END CERTIFICATE-----\n")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    index = IndexSettings(real_index.index_url, ca_bundle=str(wrong))
    with pytest.raises(EnvironmentNotResolvedError, match="certificate") as caught:
        resolve(make_spec("1.3.2"), "3.11", index=index)
    assert "--ca-cert FILE" in caught.value.hint
