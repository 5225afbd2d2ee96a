"""docs/cli.md names every command with an example, and every option."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from cli.main import app

PAGE = (Path(__file__).parent.parent.parent / "docs" / "cli.md").read_text("utf-8")
EXAMPLES = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))


def _commands(group: object, words: tuple[str, ...] = ()) -> Iterator[tuple[str, set[str]]]:
    inner = getattr(group, "commands", None)
    if inner is None:
        options = {name for one in group.params for name in one.opts if name.startswith("--")}  # type: ignore[attr-defined]
        yield " ".join(words), options
        return
    if getattr(group, "invoke_without_command", False):  # it acts by itself, too
        yield " ".join(words), {name for one in group.params for name in one.opts if name.startswith("--")}  # type: ignore[attr-defined]
    for name, command in inner.items():
        yield from _commands(command, (*words, name))


COMMANDS = dict(_commands(typer.main.get_command(app)))


def test_the_commands_are_those_that_were_promised() -> None:
    assert set(COMMANDS) == {
        *("up", "demo", "doctor", "migrate", "features refresh"),
        *("intake load", "intake drain", "intake pull", "intake health"),
        *("intake dead-letters", "intake patch", "intake replay", "intake discard"),
        *("intake quarantine", "intake release", "intake reread", "intake rules", "intake tune"),
        *("segments explain", "segments diff"),
        "bounces unknown",
        *("guards show", "guards lift", "guards go-on"),
        *("segments list", "segments show", "segments new", "segments check", "segments preview"),
        *("gate check", "gate accept"),
        "bounces judge",
        *("run", "preflight", "pause", "resume", "cancel", "plan", "status", "audit", "report", "explain"),
        *("kpis show", "kpis explain", "kpis recompute"),
        *("environment show", "environment claim"),
        *("events show", "events replay"),
        *("rates load", "rates list", "account show", "account limit", "account vet", "routes"),
        *("account language", "topics add", "topics list", "topics remove"),
        *("returns listen", "returns fetch", "webhooks list", "webhooks register", "webhooks remove"),
        *("templates at-esp", "templates versions", "templates push", "templates pull", "templates compare"),
        *("templates pin", "templates missing"),
        *("suppressions list", "suppressions show", "suppressions add", "suppressions remove"),
        *("suppressions export", "suppressions import"),
        *("reconcile", "reconcile history"),
        *("templates list", "templates show", "templates check", "templates preview", "templates new", "preview"),
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_and_every_option_is_mentioned(name: str) -> None:
    assert re.search(rf"^campaigns {name}(?![\w.-])", EXAMPLES, re.MULTILINE)
    for option in COMMANDS[name]:
        assert re.search(rf"{option}\b", PAGE), option


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"up"}))
def test_every_command_answers_in_json(name: str) -> None:
    assert "--json" in COMMANDS[name]


def test_every_example_is_a_command_with_options_that_exist() -> None:
    for line in EXAMPLES.splitlines():
        words = line.partition("#")[0].removeprefix("campaigns ")
        # A file in a command's place is `intake load`, options in one's place are of `kpis show`.
        words = re.sub(r"^kpis(?= *$| --)", "kpis show", words)
        named = [one for one in COMMANDS if re.match(rf"{one}(?![\w.-])", words)] or ["intake load"]
        name = max(named, key=len)
        assert set(re.findall(r"(--[a-z-]+)", words)) <= COMMANDS[name], line
