"""Models of honest and hostile registries, and files of HTTPS."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from unittest.mock import Mock

import pytest
from fake_servers import (
    API,
    PROXY,
    FakeServer,
    Response,
    as_json,
    redirect,
    run_fake_server,
    serve_folder,
    serve_model,
)

from modelpack.addresses import artifacts, is_address
from modelpack.addresses.fetch import fetch
from modelpack.addresses.http import Client
from modelpack.errors import (
    EnvironmentNotResolvedError,
    ModelNotSupportedError,
    ModelpackError,
    ModelRefusedError,
    UsageError,
)

FOLDER = Path(__file__).parents[1] / "data" / "mlflow" / "3" / "frame"
ROOT = "1/models/m-1/artifacts"
FILES = {path.name: path.read_bytes() for path in FOLDER.iterdir()}


def get(address, tmp_path, sha256=None):
    """Fetch an address into an empty folder, and return the result and the progress."""
    parent = tmp_path / f"fetched-{len(list(tmp_path.iterdir()))}"
    parent.mkdir()
    seen = []
    return fetch(address, sha256, parent, lambda *event: seen.append(event)), seen


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")
            if p.is_file()}  # fmt: skip


def uri(server, artifact_uri):
    server[f"{API}/model-versions/get-download-uri"] = as_json({"artifact_uri": artifact_uri})


@pytest.mark.parametrize(
    "address",
    ["models:/churn/3", "models:/churn@best", "models:/churn/latest", "models:///churn/3",
     "models:/churn/Production", "models:/churn/3/"],
)  # fmt: skip
def test_registered_model_is_fetched(address, server, tmp_path):
    serve_model(server, FOLDER)
    fetched, seen = get(address, tmp_path)
    assert fetched.path.name == "churn"
    assert files(fetched.path) == {k: v for k, v in FILES.items() if "." in k}
    assert fetched.digests == {k: hashlib.sha256(v).hexdigest() for k, v in FILES.items()}
    origin = fetched.origin
    assert (origin.address, origin.resolved) == (address, "models:/churn/3")
    assert (origin.name, origin.version, origin.run) == ("churn", "3", "0123456789abcdef")
    assert origin.server == server.url
    assert origin.artifacts == "mlflow-artifacts:/1/models/m-1/artifacts"
    size = len(FILES["model.pkl"])
    assert ("model.pkl", 0, 1) in seen
    assert ("model.pkl", size, size) in seen
    versions = {r.query["version"] for r in server.requests if "version" in r.query}
    assert versions == {"3"}, "an alias is resolved once"


def test_models_and_files_of_runs_are_fetched(server, tmp_path):
    info = {"artifact_uri": f"{server.url}{PROXY}/1/run/artifacts"}
    outputs = {"model_outputs": [{"model_id": "m-0"}, {"model_id": "m-1"}]}
    server[f"{API}/runs/get"] = as_json({"run": {"info": info, "outputs": outputs}})
    for name, model in (("other", "m-0"), ("model", "m-1")):
        place = f"mlflow-artifacts:/1/models/{model}/artifacts"
        described = {"name": name, "artifact_uri": place, "source_run_id": "abc"}
        server[f"{API}/logged-models/{model}"] = as_json({"model": {"info": described}})
    serve_folder(server, FOLDER, ROOT)
    fetched, _ = get("runs:/abc/model", tmp_path)
    assert set(fetched.digests) == set(FILES), "of MLflow 3"
    assert (fetched.origin.run, fetched.origin.version) == ("abc", "")
    fetched, _ = get("models:/m-1", tmp_path)
    assert (fetched.origin.name, fetched.origin.run) == ("model", "abc")
    serve_folder(server, FOLDER, "1/run/artifacts/deep/old")
    fetched, _ = get("runs:/abc/deep/old", tmp_path)
    assert set(fetched.digests) == set(FILES), "of MLflow 2"
    server[f"{PROXY}/1/run/artifacts/x.pkl"] = Response(b"one file")
    server[PROXY] = as_json({})
    fetched, _ = get("runs:/abc/x.pkl", tmp_path)
    assert (fetched.path.name, fetched.path.read_bytes()) == ("x.pkl", b"one file")
    assert fetched.digests == {"": hashlib.sha256(b"one file").hexdigest()}


@pytest.mark.parametrize("form", ["file://{}", "{}"])
def test_folder_on_a_shared_disk_is_copied(form, server, tmp_path, monkeypatch):
    monkeypatch.setenv("MODELPACK_ARTIFACT_FOLDERS", f"relative:/missing:{FOLDER.parent}:")
    serve_model(server, FOLDER)
    uri(server, form.format(FOLDER))
    assert set(get("models:/churn/3", tmp_path)[0].digests) == set(FILES)
    uri(server, "file:///missing/folder")
    with pytest.raises(UsageError, match="does not exist on this machine") as error:
        get("models:/churn/3", tmp_path)
    assert "--serve-artifacts" in error.value.hint


@pytest.mark.parametrize("form", ["file://{}", "file://localhost{}", "{}", "file:{}"])
@pytest.mark.parametrize("listed", ["", ".", "{}/other", "{}x"])
def test_a_server_names_no_folder_of_this_machine(form, listed, server, tmp_path, monkeypatch):
    """Also not through `..` or a link in a folder that the user allows."""
    secret, other = tmp_path / "secret", tmp_path / "secret" / "other"
    other.mkdir(parents=True)
    (secret / "key.pkl").write_bytes(b"secret")
    (other / "link").symlink_to(secret)
    (tmp_path / "secretx").mkdir()
    monkeypatch.chdir(secret)
    monkeypatch.setenv("MODELPACK_ARTIFACT_FOLDERS", listed.format(secret))
    serve_model(server, FOLDER)
    for path in (secret, f"{other}/..", other / "link", secret / "key.pkl", "/etc", "/missing"):
        uri(server, form.format(path))
        with pytest.raises(ModelRefusedError, match="of this machine") as error:
            get("models:/churn/3", tmp_path)
        assert error.value.exit_code == 3
        assert "set MODELPACK_ARTIFACT_FOLDERS" in error.value.hint
    assert not list(tmp_path.glob("fetched-*/*"))


@pytest.mark.parametrize("path", ["mlruns/1", "./mlruns/1", "file:mlruns/1", "../secret"])
def test_a_relative_folder_of_a_server_is_refused(path, server, tmp_path, monkeypatch):
    monkeypatch.setenv("MODELPACK_ARTIFACT_FOLDERS", "/")
    serve_model(server, FOLDER)
    uri(server, path)
    with pytest.raises(ModelRefusedError, match="of this machine"):
        get("models:/churn/3", tmp_path)


def test_links_and_pipes_on_a_shared_disk_are_refused(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MODELPACK_ARTIFACT_FOLDERS", str(tmp_path))
    serve_model(server, FOLDER)
    for name, make in (("link", lambda path: path.symlink_to("/etc")), ("pipe", os.mkfifo)):
        folder = tmp_path / name
        folder.mkdir()
        make(folder / "x")
        uri(server, f"file://{folder}")
        with pytest.raises(ModelRefusedError, match="x is neither a file nor a folder"):
            get("models:/churn/3", tmp_path)


@pytest.mark.parametrize(
    "store", ["s3://bucket/1/abc", "gs://b/x", "wasbs://c@a.blob.core.windows.net/x",
              "dbfs:/x", "file://elsewhere/share", "C:/x", "hdfs://h/x"])  # fmt: skip
def test_store_without_proxy_has_a_way_out(store, server, tmp_path):
    serve_model(server, FOLDER)
    uri(server, store)
    with pytest.raises(ModelNotSupportedError, match="which modelpack does not read") as error:
        get("models:/churn@best", tmp_path)
    assert "mlflow artifacts download -u models:/churn/3 -d FOLDER" in error.value.hint
    assert "--serve-artifacts" in error.value.hint


def test_credentials_of_a_store_are_not_shown(server, tmp_path):
    serve_model(server, FOLDER)
    uri(server, "s3://key:secret@bucket/1")
    with pytest.raises(ModelNotSupportedError, match=r"are in s3://bucket, "):
        get("models:/churn/3", tmp_path)


def test_unknown_name_version_alias_and_run(server, tmp_path):
    for address in ("models:/churn/9", "models:/churn@x", "models:/churn/latest", "runs:/a/b",
                    "models:/churn/stage", "models:/m-7"):  # fmt: skip
        with pytest.raises(UsageError, match=r"does not have .*: not found") as error:
            get(address, tmp_path)
        assert error.value.hint
    serve_model(server, FOLDER)
    del server.answers[f"{API}/registered-models/alias"]
    with pytest.raises(UsageError) as error:
        get("models:/churn@x", tmp_path)
    assert error.value.hint == "Of churn, version 3 is the newest; its aliases are @best."
    server[f"{API}/registered-models/get-latest-versions"] = as_json({})
    with pytest.raises(UsageError, match="it has no such version"):
        get("models:/churn/latest", tmp_path)


@pytest.mark.parametrize(
    "address", ["models:/", "models:/ /1", "models:/a/b/c", "runs:/abc", "runs:/abc/", "runs://"]
)
def test_address_of_another_form_is_a_usage_error(address, server, tmp_path):
    with pytest.raises(UsageError, match="is not a valid address") as error:
        get(address, tmp_path)
    assert "models:/NAME@ALIAS" in error.value.hint
    assert not server.requests


@pytest.mark.parametrize("address", ["s3://bucket/x", "ftp://h/x", "file:///x", "gs://b/\x1b[2J"])
def test_unknown_kind_of_address_is_a_usage_error(address, tmp_path):
    assert is_address(address)
    with pytest.raises(UsageError, match="reads no addresses of the kind") as error:
        get(address, tmp_path)
    assert "\x1b" not in error.value.message


@pytest.mark.parametrize("path", ["model.pkl", "oci:dir", "models", "models:x", "a:/b", "/x://y"])
def test_paths_are_no_addresses(path):
    assert not is_address(path)


NAMES = ["../x", "/etc/passwd", "a/b", "..", ".", "", "a\\b", "a\0b", "a\nb", "\x1b[2J", "x" * 300,
         "/", "a/", None, 3]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("is_folder", [False, True])
def test_listed_name_that_leaves_the_folder_is_refused(name, is_folder, server, tmp_path):
    serve_model(server, FOLDER)
    server[f"{PROXY}?{ROOT}"] = as_json(
        {"files": [{"path": name, "is_dir": is_folder, "file_size": "1"}]}
    )
    server[PROXY] = as_json({"files": []})
    with pytest.raises(ModelRefusedError, match="leaves the folder") as error:
        get("models:/churn/3", tmp_path)
    assert "\x1b" not in error.value.message
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def listing(*sizes, name="f"):
    return as_json({"files": [
        {"path": f"{name}{index}", "is_dir": False, "file_size": size}
        for index, size in enumerate(sizes)
    ]})  # fmt: skip


@pytest.mark.parametrize(
    ("sizes", "message"),
    [(["-1"], "a size is '-1'"), (["1e3"], "a size is"), ([[]], "a size is"), ([1.5], "a size"),
     (["9" * 5_000], "a size is"), (["٣"], "a size is"),
     ([2**40], "more than 4,294,967,296 bytes"), ([3], "3 were announced|sends more than 3"),
     ([5], "f0 has 4 bytes, but 5 were announced"), (["4"] * 1_001, "more than 1,000 files")],
)  # fmt: skip
def test_wrong_sizes_and_numbers_are_refused(sizes, message, server, tmp_path):
    serve_model(server, FOLDER)
    server[f"{PROXY}?{ROOT}"] = listing(*sizes)
    for index in range(len(sizes)):
        server[f"{PROXY}/{ROOT}/f{index}"] = Response(b"four")
    with pytest.raises(ModelRefusedError, match=message):
        get("models:/churn/3", tmp_path)


def test_total_of_sizes_is_limited(server, tmp_path, monkeypatch):
    monkeypatch.setattr(artifacts, "MAX_BYTES", 9)
    serve_model(server, FOLDER)
    for sizes in ([4, 4, 4], [None, None, None]):
        server[f"{PROXY}?{ROOT}"] = listing(*sizes)
        for index in range(3):
            server[f"{PROXY}/{ROOT}/f{index}"] = Response(b"four")
        with pytest.raises(ModelRefusedError, match=r"more than \d"):
            get("models:/churn/3", tmp_path)


def test_endless_depth_and_repeated_names_are_refused(server, tmp_path):
    serve_model(server, FOLDER)
    server[f"{PROXY}?{ROOT}"] = server[PROXY] = as_json({"files": [{"path": "a", "is_dir": True}]})
    server[PROXY] = as_json({"files": [{"path": "a", "is_dir": True}]})
    with pytest.raises(ModelRefusedError, match="more than 10 levels"):
        get("models:/churn/3", tmp_path)
    server[f"{PROXY}?{ROOT}"] = as_json({"files": [{"path": "a", "is_dir": True}] * 2})
    with pytest.raises(ModelRefusedError, match="a name twice"):
        get("models:/churn/3", tmp_path)


def test_artifacts_of_another_server_are_requested_without_credentials(
    server, tmp_path, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    serve_model(server, FOLDER)
    with run_fake_server() as other:
        serve_folder(other, FOLDER, ROOT)
        for form in (f"mlflow-artifacts://{other.url[7:]}/{ROOT}", f"{other.url}{PROXY}/{ROOT}",
                     f"http://user:pass@{other.url[7:]}{PROXY}/{ROOT}"):  # fmt: skip
            uri(server, form)
            fetched, _ = get("models:/churn/3", tmp_path)
            assert set(fetched.digests) == set(FILES)
            assert "pass" not in fetched.origin.artifacts
        assert other.requests
        assert not [r for r in other.requests if "authorization" in r.headers]
    assert all(r.headers["authorization"] == "Bearer secret" for r in server.requests)


@pytest.mark.parametrize(
    "place", ["http://example.com/x", "http://[::1", "", "mlflow-artifacts://example.com/1/x"]
)
def test_place_of_artifacts_that_no_server_sends_is_an_error(place, server, tmp_path):
    serve_model(server, FOLDER)
    server[f"{API}/model-versions/get"] = as_json({"model_version": {"version": "3"}})
    uri(server, place)
    with pytest.raises(ModelpackError) as error:
        get("models:/churn/3", tmp_path)
    assert error.value.exit_code in {2, 3}


FUZZED = [None, [], "x", 3, {"model_version": []}, {"model_version": {"version": [1]}},
          {"registered_model": {"aliases": 3, "latest_versions": [None]}}, {"model_versions": [3]},
          {"artifact_uri": 3}, {"run": {"info": [], "outputs": {"model_outputs": [3]}}},
          {"model": 3}, {"files": 3}, {"files": [None]}]  # fmt: skip


@pytest.mark.parametrize("document", FUZZED)
def test_documents_of_other_forms_are_errors_of_modelpack(document, server: FakeServer, tmp_path):
    paths = ("registered-models/alias", "registered-models/get", "model-versions/get",
             "registered-models/get-latest-versions", "model-versions/get-download-uri",
             "runs/get", "logged-models/m-1")  # fmt: skip
    serve_model(server, FOLDER)
    for path in (*(f"{API}/{each}" for each in paths), PROXY):
        before = dict(server.answers)
        server[path] = as_json(document)
        for address in ("models:/churn@best", "models:/churn/latest", "runs:/a/b", "models:/m-1"):
            try:
                get(address, tmp_path)
            except ModelpackError as error:
                assert error.exit_code in {2, 3, 4}  # noqa: PT017 - it may also succeed
        server.answers = before


CONTENT = b"the file of a model"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("form", [SHA256, SHA256.upper(), f"sha256:{SHA256}"])
def test_file_with_its_digest_is_downloaded(form, server, tmp_path):
    server["/dir/my%20model.pkl"] = Response(CONTENT)
    address = f"{server.url.replace('//', '//me:secret@')}/dir/my%20model.pkl?signature=1#part"
    fetched, _ = get(address, tmp_path, form)
    assert fetched.path.name == "my_model.pkl"
    assert fetched.path.read_bytes() == CONTENT
    assert fetched.digests == {"": SHA256}
    assert fetched.origin.address == f"{server.url}/dir/my%20model.pkl"
    assert server.requests[0].query == {"signature": "1"}
    assert server.requests[0].headers["authorization"].startswith("Basic ")


def test_file_with_another_digest_is_refused(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    server["/x.pkl"] = Response(CONTENT + b" ")
    with pytest.raises(ModelRefusedError, match=f"instead of {SHA256}"):
        get(f"{server.url}/x.pkl", tmp_path, SHA256)
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("address", "sha256", "message"),
    [("https://example.com/x", None, "is not given"), ("https://example.com/x", "12", "SHA-256"),
     ("https://u:secret@example.com/x?t=secret", None, "of https://example.com/x is not given"),
     ("http://example.com/x", SHA256, "without TLS"), ("https://", SHA256, "not a valid address"),
     ("https://[::1", SHA256, "not a valid"), ("https://h:99999/x", SHA256, "not a valid")],
)  # fmt: skip
def test_address_of_a_file_needs_tls_and_a_digest(address, sha256, message, tmp_path):
    with pytest.raises(UsageError, match=message) as error:
        get(address, tmp_path, sha256)
    assert error.value.hint
    assert "secret" not in error.value.message


def test_missing_and_moved_files(server, tmp_path):
    with pytest.raises(UsageError, match="the server responds with 404"):
        get(f"{server.url}/x.pkl", tmp_path, SHA256)
    server["/x.pkl"] = Response(b"", 403)
    with pytest.raises(UsageError, match="denies access") as error:
        get(f"{server.url}/x.pkl", tmp_path, SHA256)
    assert "https://USER:PASSWORD@" in error.value.hint
    server["/x.pkl"] = redirect("file:///etc/passwd")
    with pytest.raises(ModelRefusedError, match="without TLS"):
        get(f"{server.url}/x.pkl", tmp_path, SHA256)


def test_full_disk_is_an_error_of_the_environment(server, tmp_path, monkeypatch):
    serve_model(server, FOLDER)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(Client, "copy", Mock(side_effect=full))
    for address in ("models:/churn/3", f"{server.url}/x.pkl"):
        with pytest.raises(EnvironmentNotResolvedError, match="No space left on device") as error:
            get(address, tmp_path, SHA256)
        assert "TMPDIR" in error.value.hint
