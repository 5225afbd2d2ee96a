"""The table from what was raised to the line that the user reads."""

import importlib

import httpx
import pytest
import sqlalchemy as sa
from pydantic import BaseModel, ValidationError

import settings
from cli import mistakes
from data.runs import UnknownRun


@pytest.mark.parametrize("name", mistakes.LINES)
def test_every_name_is_that_of_an_exception(name: str) -> None:
    module, _, kind = name.rpartition(".")
    found = getattr(importlib.import_module(module), kind)
    assert issubclass(found, Exception)
    assert f"{found.__module__}.{found.__qualname__}" == name


def test_what_is_not_in_the_table_is_a_fault_of_ours() -> None:
    for error in (KeyError("x"), ValueError("x"), LookupError("x"), RuntimeError("x"), OSError("x")):
        assert mistakes.line(error) is None


def test_lines_are_lines() -> None:
    assert mistakes.line(UnknownRun("no\n  such run")) == "no such run"


def test_another_models_validation_is_a_fault_of_ours() -> None:
    class Other(BaseModel):
        number: int

    with pytest.raises(ValidationError) as raised:
        Other(number="x")  # type: ignore[arg-type]
    assert mistakes.line(raised.value) is None


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("statement", ["SELECT * FROM nothing", "SELEKT 1"])
def test_a_wrong_statement_is_a_fault_of_ours(statement: str) -> None:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection, pytest.raises(sa.exc.OperationalError) as raised:
        connection.exec_driver_sql(statement)
    engine.dispose()
    assert mistakes.line(raised.value) is None


def test_a_password_in_the_query_is_hidden_too(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OMS_DATABASE_URL", "postgresql://127.0.0.1:1/oms?user=ann&password=s3cr3t-word")
    settings.load.cache_clear()
    error = sa.exc.OperationalError("SELECT 1", None, Exception("no entry for s3cr3t-word\nmore"))
    line = mistakes.line(error) or ""
    assert "no entry for ***." in line
    assert "s3cr3t-word" not in line


def test_a_silent_service_is_named_without_path_and_query() -> None:
    request = httpx.Request("GET", "http://127.0.0.1:1/v3/suppression?email=a@example.com")
    line = mistakes.line(httpx.ConnectError("refused", request=request)) or ""
    assert "http://127.0.0.1:1/ does not answer (ConnectError)" in line
    assert "example.com" not in line
    assert "a service does not answer" in (mistakes.line(httpx.ReadTimeout("slow")) or "")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("OMS_PRIVACY_PEPPER", "s3cr3t", "OMS_PRIVACY_PEPPER needs 32 characters"),
        ("OMS_GATEWAY_PORT", "s3cr3t", "OMS_GATEWAY_PORT: "),
        ("OMS_SENDGRID_WEBHOOK_PUBLIC_KEYS", "[s3cr3t", "a variable OMS_SENDGRID_… cannot be read"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(
    environment: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    environment.setenv(name, value)
    settings.load.cache_clear()
    with pytest.raises(ValueError) as raised:
        settings.load()
    line = mistakes.line(raised.value) or ""
    assert says in line
    assert "s3cr3t" not in line
