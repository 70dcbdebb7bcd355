"""Servers and credentials come from the variables and the file of MLflow's client."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from modelpack.addresses.servers import registry_server, tracking_server
from modelpack.errors import ModelNotSupportedError, UsageError

TRACKING, REGISTRY = "https://tracking.example.com/mlflow/", "https://registry.example.com"


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.fixture
def setenv(monkeypatch: pytest.MonkeyPatch):
    def set_all(**variables: str) -> None:
        for name, text in variables.items():
            monkeypatch.setenv(f"MLFLOW_{name}", text)

    return set_all


def write_credentials(text: str) -> None:
    folder = Path("~/.mlflow").expanduser()
    folder.mkdir(exist_ok=True)
    (folder / "credentials").write_text(text)


def test_registry_is_that_of_its_variable_or_of_the_tracking_server(setenv):
    setenv(TRACKING_URI=TRACKING)
    assert registry_server().url == tracking_server().url == TRACKING.rstrip("/")
    setenv(REGISTRY_URI=REGISTRY)
    assert registry_server().url == REGISTRY
    assert tracking_server().url == TRACKING.rstrip("/")
    setenv(TRACKING_URI="")
    assert tracking_server().url == REGISTRY


def test_credentials_in_the_order_of_mlflow(setenv):
    setenv(TRACKING_URI=TRACKING)
    assert tracking_server().access.authorization == ""
    setenv(TRACKING_TOKEN="token")
    assert tracking_server().access.authorization == "Bearer token"
    setenv(TRACKING_USERNAME="me")
    assert tracking_server().access.authorization == "Bearer token", "no password"
    write_credentials("[mlflow]\nmlflow_tracking_username = file\nmlflow_tracking_password = p\n")
    assert tracking_server().access.authorization == basic("me:p")
    setenv(TRACKING_PASSWORD="other:é")
    assert tracking_server().access.authorization == basic("me:other:é")
    setenv(TRACKING_URI="https://url:p%40ss@tracking.example.com")
    client = tracking_server()
    assert client.access.authorization == basic("url:p@ss")
    assert client.url == "https://tracking.example.com"


@pytest.mark.parametrize("text", ["mlflow", "[mlflow]\nmlflow_tracking_password = %(x", "[a\n"])
def test_damaged_file_of_credentials_is_a_usage_error(text, setenv):
    setenv(TRACKING_URI=TRACKING)
    write_credentials(text)
    with pytest.raises(UsageError, match="is not a file of credentials of MLflow") as error:
        tracking_server()
    assert "%(x" not in error.value.message


def test_file_without_the_section_has_no_credentials(setenv):
    setenv(TRACKING_URI=TRACKING)
    write_credentials("[other]\nmlflow_tracking_username = file\n")
    assert tracking_server().access.authorization == ""


@pytest.mark.parametrize(
    ("variables", "message"),
    [({}, "No MLflow server is configured"),
     ({"TRACKING_URI": "./mlruns"}, r"no server \(path\)"),
     ({"TRACKING_URI": "sqlite:///mlflow.db"}, r"no server \(sqlite\)"),
     ({"TRACKING_URI": "http://tracking.example.com"}, "an address without TLS"),
     ({"TRACKING_URI": TRACKING, "TRACKING_TOKEN": "a\nb"}, "characters that no token has"),
     ({"TRACKING_URI": TRACKING, "TRACKING_SERVER_CERT_PATH": "/missing"}, "does not exist"),
     ({"TRACKING_URI": TRACKING, "TRACKING_CLIENT_CERT_PATH": "/missing"}, "does not exist")],
)  # fmt: skip
def test_setting_that_leads_to_no_server_is_a_usage_error(variables, message, setenv):
    setenv(**variables)
    with pytest.raises(UsageError, match=message) as error:
        tracking_server()
    assert error.value.hint


@pytest.mark.parametrize(
    "variables",
    [{"TRACKING_URI": "databricks"}, {"TRACKING_URI": "databricks://profile"},
     {"REGISTRY_URI": "databricks-uc", "TRACKING_URI": TRACKING},
     {"REGISTRY_URI": "uc:https://example.com"},
     {"TRACKING_URI": TRACKING, "TRACKING_AWS_SIGV4": "true"},
     {"TRACKING_URI": TRACKING, "TRACKING_AUTH": "kubernetes"}],
)  # fmt: skip
def test_unsupported_setting_has_a_way_out(variables, setenv):
    setenv(**variables)
    with pytest.raises(ModelNotSupportedError) as error:
        registry_server()
    assert "mlflow artifacts download" in error.value.hint
