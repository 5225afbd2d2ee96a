"""The house of DESIGN section 2: rooms, arrows, and what each room may hold."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
ROOMS = ("flows", "tasks", "domain", "segments", "data", "providers", "gateway", "cli")
SOURCES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")) if "versions" not in path.parts]


def test_import_contracts_hold() -> None:
    lint = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert lint.returncode == 0, lint.stdout


def test_rooms_belong_to_our_distribution_alone() -> None:
    owners = importlib.metadata.packages_distributions()
    assert {room: owners.get(room, ["campaign-engine"]) for room in ROOMS} == {
        room: ["campaign-engine"] for room in ROOMS
    }


@pytest.mark.parametrize("path", [p for p in SOURCES if p.name == "__init__.py"], ids=str)
def test_init_files_hold_a_docstring_only(path: Path) -> None:
    body = ast.parse(path.read_text()).body
    assert len(body) == 1
    assert isinstance(body[0], ast.Expr)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_are_short_and_say_what_they_are(path: Path) -> None:
    source = path.read_text()
    assert ast.get_docstring(ast.parse(source)), "a module begins with a docstring"
    assert source.count("\n") <= 350
    assert path.stem not in {"utils", "helpers", "common", "misc", "lib"}


def test_only_settings_reads_the_environment() -> None:
    readers = re.compile(r"os\.environ\.get|os\.getenv|os\.environ\[[^\]]+\](?!\s*=)")
    assert [str(path) for path in SOURCES if readers.search(path.read_text())] == []


def test_flows_are_named_like_no_room_and_no_stdlib_module() -> None:
    names = {path.stem for path in (ROOT / "flows").glob("*.py")} - {"__init__"}
    assert not names & (set(ROOMS) | set(sys.stdlib_module_names))


def test_deployments_are_module_paths_of_flows_that_exist() -> None:
    import importlib

    from prefect import Flow

    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    names = {one["name"] for one in deployments}
    assert names == {
        *("run-campaign", "refresh-features", "process-delivery-events", "reconcile", "report-kpis"),
        *("ingest-orders", "pull-orders", "watch-intake", "group-mailboxes", "probe-routes", "control-campaign"),
        *("fetch-returned-mail", "look-again", "heed-anomaly", "preflight", "pull-reports", "watch-lane"),
    }
    for one in deployments:
        module, _, function = one["entrypoint"].rpartition(".")
        assert ":" not in one["entrypoint"]
        assert isinstance(getattr(importlib.import_module(module), function), Flow)


def test_mailers_are_opened_in_one_place() -> None:
    """Where the guard stands around them that lets nobody but internal addresses through outside production."""
    opened = re.compile(r"\bopen_(?:mailer|host)\(|\b\w+(?:Mailer|Host)\((?!Protocol)")
    outside = [path for path in SOURCES if path.relative_to(ROOT).parts[0] not in {"providers", "domain"}]
    callers = {str(path.relative_to(ROOT)) for path in outside if opened.search(path.read_text())}
    around = {"tasks/trial_mail.py": "InternalMailer(", "tasks/pinning.py": "PinnedMailer("}  # one more guard each
    assert callers == {"tasks/esp_kinds.py", *around}
    for place, guard in around.items():
        assert set(opened.findall((ROOT / place).read_text())) == {guard}
    reached = re.compile(r"\.(?:mailer|host)\(\)")
    assert {str(path.relative_to(ROOT)) for path in outside if reached.search(path.read_text())} == {"tasks/esps.py"}


def test_lock_files_name_no_host_and_pin_by_hash() -> None:
    for path in (ROOT / "requirements").glob("*.lock"):
        text = path.read_text()
        assert "://" not in text
        assert "--hash=sha256:" in text


def test_every_setting_stands_in_env_example() -> None:
    import settings

    shown = set(re.findall(r"^#?\s?(OMS_[A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert shown == set(settings.names())


def test_the_readme_leads_to_every_page() -> None:
    told = (ROOT / "README.md").read_text()
    assert {page.name for page in (ROOT / "docs").glob("*.md") if f"(docs/{page.name})" not in told} == set()


def test_the_newest_schema_is_told_to_who_upgrades() -> None:
    from data import migrate

    assert f"brings the schema to {migrate.newest()}," in (ROOT / "docs/operations.md").read_text()
    assert f"(schema {migrate.newest()})" in (ROOT / "CHANGELOG.md").read_text()


def test_the_words_of_what_happens_after_a_mail_stand_in_the_glossary() -> None:
    from domain.delivery import BounceClass, Fault

    told = (ROOT / "docs/glossary.md").read_text()
    words = {*BounceClass, *Fault, "soft bounce", "hard bounce", "fault owner", "second look", "stray", "frequency"}
    words |= {"topic", "returned mail", "reconciliation", "anomaly", "preference page", "scope", "lift"}
    assert {word for word in words if word not in told} == set()


def test_every_dependency_is_justified() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = project["project"]["dependencies"] + [
        one for group in project["dependency-groups"].values() for one in group
    ]
    names = {re.split(r"[\[<>=!~ ]", one)[0] for one in wanted}
    told = (ROOT / "docs/decisions/0002-dependencies.md").read_text()
    assert {name for name in names if f"| {name} |" not in told} == set()


def test_data_is_shipped_and_not_ignored() -> None:
    ignored = subprocess.run(
        ["git", "check-ignore", "data/tables.py", "data/templates"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ignored.stdout == ""
