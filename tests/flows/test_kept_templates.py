"""Runs whose template the ESP keeps: what they pin, what they send, and what stops them."""

import json
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from prefect import flow

import settings
from data import database, esp_templates, runs, tables
from domain.campaigns import Run, RunStatus
from domain.esp_templates import Parts
from flows.run_campaign import run_campaign
from providers.sendgrid.management import Management
from providers.sendgrid.templates import SendGridTemplates
from tasks import campaign, dispatch, kept_templates, template_stores, wiring
from tasks.gates import GateFailed
from tasks.kept_templates import StillSent
from tasks.request import CampaignRequest, Mode
from tasks.sending import ContentChanged
from tasks.wiring import CannotStart
from tests.flows.conftest import Esp
from tests.flows.shown import artifacts

pytestmark = pytest.mark.slow


def live(**facts: Any) -> CampaignRequest:
    values = {"campaign": "news", "segment": "all-customers", "esp_template": "new-arrivals", "mode": Mode.LIVE}
    return CampaignRequest(**{**values, **facts})


def only_run(engine: sa.Engine) -> Run:
    with database.read(engine) as connection:
        (run_id,) = connection.scalars(sa.select(tables.campaign_runs.c.id))
        return runs.get(connection, run_id)


def push(**facts: Any) -> kept_templates.Pushed:
    return kept_templates.push(
        "shop", "sandbox", "new-arrivals", **{"called": None, "subject": None, "by": "test", **facts}
    )


def approved(request: CampaignRequest) -> str:
    """A run that has pinned its template, and may send."""
    found: list[str] = []

    @flow
    def begin() -> None:
        run = campaign.open_run(request, "flow-1")
        campaign.freeze_audience(run.run_id)
        question = campaign.await_approval(run.run_id)
        assert f"| Template | new-arrivals, kept at {request.provider}, version" in question
        campaign.record_decision(run.run_id, approved=True, by="Ann", note="")
        found.append(run.run_id)

    begin()
    return found[0]


def wave(run_id: str) -> None:
    @flow
    def one() -> None:
        dispatch.dispatch_wave(run_id)

    one()


def test_a_run_sends_by_the_version_that_was_active_when_it_began(engine: sa.Engine, installation: Esp) -> None:
    pushed = push()
    assert (pushed.uploaded, pushed.active, pushed.warnings) == (True, True, ())
    assert push().uploaded is False  # the very same is there already
    run_campaign(live())
    run = only_run(engine)
    assert run.status is RunStatus.DISPATCHED
    assert installation.accepted(run.id) == {f"{run.id}.{ordinal}": 1 for ordinal in range(40)}
    with database.read(engine) as connection:
        pinned = esp_templates.of_run(connection, run)
    assert (pinned.version_id, pinned.content_hash) == (pushed.version_id, pushed.content_hash)
    assert pinned.sent_by == pushed.template_id
    assert "[%" not in artifacts()[f"preview-{run.id}"]


def test_a_new_version_waits_for_the_run_that_sends_the_old_one(engine: sa.Engine, installation: Esp) -> None:
    first = push()
    run_id = approved(live())
    second = push(subject="Another subject")
    assert (second.active, second.held_by) == (False, (run_id,))
    with pytest.raises(StillSent, match=f"{run_id} still sends another version"):
        kept_templates.pin("shop", "sandbox", "new-arrivals", second.version_id, by="test")
    wave(run_id)
    assert len(installation.accepted(run_id)) == 40
    kept, _ = kept_templates.pin("shop", "sandbox", "new-arrivals", second.version_id, by="test")
    assert kept.id == first.template_id
    assert kept_templates.listing("sandbox")[0].active.id == second.version_id  # type: ignore[union-attr]


@pytest.mark.parametrize("what", ["activated", "edited", "deleted"])
def test_nothing_is_sent_once_the_version_is_another(engine: sa.Engine, installation: Esp, what: str) -> None:
    pushed = push()
    run_id = approved(live())
    path = f"{installation.url}/v3/templates/{pushed.template_id}/versions"
    headers = {"Authorization": "Bearer SG.sandbox"}
    version = {"name": "x", "subject": "Other", "html_content": "<p>Other</p>", "active": 1}
    if what == "activated":
        httpx.post(path, json=version, headers=headers, trust_env=False).raise_for_status()
    elif what == "edited":
        changed = {"html_content": "<p>Other</p>"}
        httpx.patch(f"{path}/{pushed.version_id}", json=changed, headers=headers, trust_env=False).raise_for_status()
    else:
        httpx.delete(f"{path}/{pushed.version_id}", headers=headers, trust_env=False).raise_for_status()
    with pytest.raises(ContentChanged, match=f"is not what run {run_id} has pinned"):
        wave(run_id)
    assert installation.accepted(run_id) == {}
    if what == "activated":  # put back, and the run goes on
        kept_templates.pin("shop", "sandbox", "new-arrivals", pushed.version_id, by="test")
        wave(run_id)
        assert len(installation.accepted(run_id)) == 40


def test_what_cannot_be_sent_stops_the_run_when_it_is_opened(engine: sa.Engine, installation: Esp) -> None:
    with pytest.raises(CannotStart, match="the ESP keeps no template 'new-arrivals'"):
        run_campaign(live())
    assert only_run(engine).status is RunStatus.STOPPED


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (Parts("Hi", "<p>{{order.total}}</p>", ""), "can be checked for variables"),
        (Parts("Hi", "<p>{{shoe_size}} {{unsubscribe_url}}</p>", ""), "it uses shoe_size; there are"),
        (Parts("Hi", "<p>{{first_name}}</p>", ""), "a way out"),
        (Parts("Hi", "<p>{{{first_name}}} {{unsubscribe_url}}</p>", ""), "unescaped"),
    ],
)
def test_a_template_of_others_that_we_cannot_answer_for_is_not_sent(
    engine: sa.Engine, installation: Esp, parts: Parts, words: str
) -> None:
    store = template_stores.open_store("sandbox")
    store.upload("new-arrivals", "by hand", parts, activate=True)
    with pytest.raises(CannotStart, match=words):
        run_campaign(live())
    assert words in (only_run(engine).stop_reason or "")


def test_a_template_of_others_brings_its_own_words_for_who_has_none(engine: sa.Engine, installation: Esp) -> None:
    html = '<p>{{#if first_name}}Hi {{first_name}}{{else}}Hi{{/if}} {{insert last_name "default=friend"}} {{unsubscribe_url}}</p>'
    template_stores.open_store("sandbox").upload("theirs", "by hand", Parts("Hi", html, ""), activate=True)
    with database.write(engine) as connection:
        connection.execute(tables.parties.update().values(first_name=None, last_name=None))
    run_campaign(live(esp_template="theirs"))
    assert len(installation.accepted(only_run(engine).id)) == 40
    with database.read(engine) as connection:
        pinned = esp_templates.of_run(connection, only_run(engine))
    assert pinned.understood.fallbacks == {"first_name": "", "last_name": "friend"}


def test_the_runs_own_subject_cannot_replace_the_templates(engine: sa.Engine, installation: Esp) -> None:
    push()
    with pytest.raises(CannotStart, match="leave the run's subject empty"):
        run_campaign(live(subject="Mine"))


def without_names(engine: sa.Engine, count: int) -> None:
    with database.write(engine) as connection:
        some = sa.select(tables.parties.c.id).order_by(tables.parties.c.id).limit(count)
        connection.execute(tables.parties.update().values(first_name="Ada"))
        connection.execute(tables.parties.update().where(tables.parties.c.id.in_(some)).values(first_name=None))


def upload_without_words(name: str = "strict") -> None:
    parts = Parts("Hi {{{first_name}}}", "<p>{{first_name}} {{unsubscribe_url}}</p>", "")
    template_stores.open_store("sandbox").upload(name, "by hand", parts, activate=True)


def test_who_lacks_a_value_stops_the_run_and_is_shown(engine: sa.Engine, installation: Esp) -> None:
    upload_without_words()
    without_names(engine, 3)
    with pytest.raises(GateFailed, match="--leave-out-missing"):
        run_campaign(live(esp_template="strict"))
    run = only_run(engine)
    assert run.status is RunStatus.STOPPED
    assert "No value for first_name (3 people): give the template words" in (run.stop_reason or "")
    shown = artifacts()[f"variables-{run.id}"]
    assert "3 of 40 people (7.5" in shown
    (row,) = (line for line in shown.splitlines() if line.startswith("| `first_name` | 3 |"))
    assert "nothing: the run stops" in row
    assert "\\*\\*\\*@" in row
    assert "@example" not in shown


def test_who_lacks_a_value_is_left_out_where_the_run_says_so(engine: sa.Engine, installation: Esp) -> None:
    upload_without_words()
    without_names(engine, 3)
    run_campaign(live(esp_template="strict", leave_out_missing=True))
    run = only_run(engine)
    assert (run.planned, run.skipped) == (37, {"missing_value": 3})
    assert len(installation.accepted(run.id)) == 37
    assert "nothing: left out" in artifacts()[f"variables-{run.id}"]
    assert "has no value for something that the template says" in artifacts()[f"waterfall-{run.id}"]


TRANSACTIONAL = """
providers:
  mandrill: {kind: sandbox, speaks: mailchimp-transactional}
accounts:
  shop:
    - {name: m, stream: marketing, provider: mandrill, pool: m, domain: shop.example.com}
"""


def test_where_mail_names_the_version_a_new_one_disturbs_no_run(
    engine: sa.Engine, installation: Esp, tmp_path: Path
) -> None:
    Path("routes.yaml").write_text(TRANSACTIONAL)
    push = partial(kept_templates.push, "shop", "mandrill", "new-arrivals", called=None, by="test")
    first = push(subject=None)
    assert (first.version_id, first.active, first.warnings) == ("new-arrivals-v1", True, ())
    run_id = approved(live(provider="mandrill"))
    second = push(subject="Other")
    assert (second.version_id, second.active) == ("new-arrivals-v2", True)
    wave(run_id)
    assert len(installation.accepted(run_id)) == 40
    with database.read(engine) as connection:
        run = runs.get(connection, run_id)
        _, rendered = wiring.content_of(connection, run)
        asked = wiring.needs(connection, run, rendered)
    assert (rendered.esp_template_id, asked.template_at) == ("new-arrivals-v1", "mandrill")  # no other ESP may send it
    with closing(sqlite3.connect(tmp_path / "sandbox.db")) as theirs:  # the sandbox's own record of what mail named
        names = [json.loads(common)["template"] for (common,) in theirs.execute("SELECT common FROM requests")]
    assert set(names) == {"new-arrivals-v1"}


def test_a_provider_that_keeps_no_templates_ends_the_run_at_once(engine: sa.Engine, installation: Esp) -> None:
    with pytest.raises(CannotStart, match="smtp keeps no templates"):
        run_campaign(live(provider="smtp", mode=Mode.DRY_RUN))
    assert only_run(engine).status is RunStatus.STOPPED


def test_where_the_provider_does_not_tell_its_template_mail_waits(
    engine: sa.Engine, installation: Esp, monkeypatch: pytest.MonkeyPatch
) -> None:
    push()
    run_id = approved(live())
    silent = {"base_url": "http://127.0.0.1:9", "read_timeout_seconds": 1.0}

    def elsewhere(_: str) -> Any:
        config = settings.load().sendgrid.model_copy(update=silent | {"api_key": settings.load().sandbox.api_key})
        return SendGridTemplates(Management(config))

    with monkeypatch.context() as patched:
        patched.setattr(template_stores, "open_store", elsewhere)
        wave(run_id)
    assert installation.accepted(run_id) == {}
    with database.read(engine) as connection:
        assert runs.get(connection, run_id).status is RunStatus.DISPATCHING  # it waits, as it does for the ESP itself
        details = set(connection.scalars(sa.select(tables.batch_attempts.c.detail)))
    assert details
    assert all("it cannot be seen whether the template is still the pinned one" in one for one in details)
