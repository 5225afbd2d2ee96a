"""The console script in a process of its own: what it costs to start, how it ends, what it says on a bad start."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.cli.conftest import Campaigns
from tests.conftest import LINK_KEY, PEPPER

SCRIPT = Path(sys.executable).with_name("campaigns")
SECRETS = {"OMS_PRIVACY_PEPPER": PEPPER, "OMS_PRIVACY_LINK_KEY": LINK_KEY}


def _start(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMS_", "PREFECT_"))}
    return subprocess.run(
        [SCRIPT, *arguments], cwd=cwd, env=clean | environment, capture_output=True, text=True, check=False, timeout=60
    )


def _mistake(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    return line


def test_help_names_every_command(tmp_path: Path) -> None:
    done = _start("--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("up", "demo", "doctor", "migrate", "intake", "run", "resume", "explain"):
        assert name in done.stdout


def test_without_a_command_it_shows_the_help_and_says_what_is_missing(tmp_path: Path) -> None:
    done = _start(cwd=tmp_path)
    assert done.returncode == 2
    assert "Usage" in done.stdout
    assert done.stderr == "campaigns: which command? The help above lists them\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["bogus"], "No such command 'bogus'"),
        (["status", "--bogus"], "No such option: --bogus"),
        (["segments", "show", "bogus"], "there is no segment 'bogus'"),
    ],
)
def test_what_is_unknown_is_one_line(tmp_path: Path, arguments: list[str], says: str) -> None:
    assert says in _mistake(_start(*arguments, cwd=tmp_path))


def test_missing_secrets_are_named(tmp_path: Path) -> None:
    line = _mistake(_start("status", cwd=tmp_path))
    assert "OMS_PRIVACY_PEPPER and OMS_PRIVACY_LINK_KEY must be set" in line
    assert "`campaigns up`" in line


def test_an_unreachable_database_is_one_line_without_the_password(tmp_path: Path) -> None:
    url = "postgresql://ann:s3cr3t-word@127.0.0.1:1/oms"
    line = _mistake(_start("status", cwd=tmp_path, OMS_DATABASE_URL=url, **SECRETS))
    assert "127.0.0.1:1/oms cannot be used" in line
    assert "s3cr3t-word" not in line


def test_prefect_that_does_not_run_is_one_line(tmp_path: Path, sqlite_template: Path) -> None:
    url = f"sqlite:///{_with_account(sqlite_template, tmp_path)}"
    run = ("run", "news", "--segment", "all-customers", "--template", "new-arrivals")
    line = _mistake(_start(*run, cwd=tmp_path, OMS_DATABASE_URL=url, OMS_PREFECT_PORT="1", **SECRETS))
    assert "Prefect does not answer at http://127.0.0.1:1" in line
    assert "`campaigns up`" in line


def _with_account(template: Path, folder: Path) -> Path:
    import shutil

    path = folder / "oms.db"
    shutil.copy(template, path)
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO accounts (id, name, currency, timezone, postal_address, sender_email, sender_name, created_at) VALUES ('main', 'Shop', 'EUR', 'UTC', 'Street', 'news@shop.example.com', 'Shop', 0)"
        )
    engine.dispose()
    return path


@pytest.mark.parametrize(
    ("arguments", "too_dear"),
    [
        (["--help"], ("prefect", "great_expectations", "matplotlib", "pandas", "sqlalchemy", "fastapi")),
        (["segments", "list"], ("prefect", "great_expectations", "matplotlib", "fastapi")),
        (["status"], ("prefect", "great_expectations", "matplotlib")),
        (["intake", "dead-letters"], ("prefect", "great_expectations", "matplotlib", "pandas")),
        (["intake", "--help"], ("prefect", "great_expectations", "matplotlib", "pandas", "sqlalchemy")),
    ],
)
def test_starting_costs_only_what_the_command_needs(
    tmp_path: Path, sqlite_template: Path, arguments: list[str], too_dear: tuple[str, ...]
) -> None:
    code = (
        "import contextlib, io, json, sys\n"
        "from cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        f"    assert main.run({arguments}) == 0\n"
        f"print(json.dumps([name for name in {too_dear} if name in sys.modules]))\n"
    )
    environment = os.environ | SECRETS | {"OMS_DATABASE_URL": f"sqlite:///{_with_account(sqlite_template, tmp_path)}"}
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert json.loads(done.stdout or "null") == [], done.stderr


def test_a_reader_that_goes_away_makes_no_noise(tmp_path: Path) -> None:
    command = f"'{SCRIPT}' segments list --json | true"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == ""


def test_a_fault_of_ours_keeps_its_traceback(campaigns: Campaigns, monkeypatch: pytest.MonkeyPatch) -> None:
    from segments import registry

    def broken() -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(registry, "load", broken)
    with pytest.raises(KeyError, match="a bug"):
        campaigns("segments", "list")
