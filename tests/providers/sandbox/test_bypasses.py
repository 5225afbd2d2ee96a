"""Mail that goes past lists: each flag past its own, and past no other."""

import pytest

from tests.providers.sandbox.conftest import Esp

LISTS = {"unsubscribe": "unsubscribe.test", "bounce": "hard.test", "spam": "complaint.test", "invalid": "invalid.test"}


def _arrives(esp: Esp, campaign, run: str, domain: str, **settings) -> bool:
    payload = campaign(1, domain=domain, run=run) | settings
    assert esp.send(payload).status_code == 202
    return esp.summary(run)["dropped"] == 0


@pytest.mark.parametrize("flag", ["unsubscribe", "bounce", "spam", "list", None])
def test_each_flag_is_for_its_own_list(esp: Esp, campaign, flag: str | None) -> None:
    for domain in LISTS.values():
        esp.send(campaign(1, domain=domain, run="before"))  # now each is on its list
    settings = {} if flag is None else {"mail_settings": {f"bypass_{flag}_management": {"enable": True}}}
    reached = {of for of, domain in LISTS.items() if _arrives(esp, campaign, f"to-{of}", domain, **settings)}
    # Of an invalid address the sandbox itself says again that there is none, listed or not.
    assert reached - {"invalid"} == ({"unsubscribe", "bounce", "spam"} if flag == "list" else {flag} - {None})


def test_a_flag_that_is_switched_off_is_none(esp: Esp, campaign) -> None:
    esp.send(campaign(1, domain="unsubscribe.test", run="before"))
    settings = {"mail_settings": {"bypass_unsubscribe_management": {"enable": False}}}
    assert not _arrives(esp, campaign, "after", "unsubscribe.test", **settings)


@pytest.mark.parametrize(("listed_too", "arrives"), [(False, True), (True, False)])
def test_who_is_on_two_lists_is_kept_back_by_the_other(esp: Esp, campaign, listed_too: bool, arrives: bool) -> None:
    people = ["p0@delivered.test"]
    esp.client.post("/v3/asm/suppressions/global", json={"recipient_emails": people}).raise_for_status()
    domain = "delivered.test"
    if listed_too:
        domain = "hard.test"
        esp.send(campaign(1, domain=domain, run="before"))
        esp.client.post("/v3/asm/suppressions/global", json={"recipient_emails": ["p0@hard.test"]}).raise_for_status()
    settings = {"mail_settings": {"bypass_unsubscribe_management": {"enable": True}}}
    assert _arrives(esp, campaign, "after", domain, **settings) is arrives


def test_who_left_a_group_is_reached_by_mail_that_names_none(esp: Esp, campaign) -> None:
    """The flag is for global unsubscribes: in mail that names her group she is dropped all the same."""
    group = esp.client.post("/v3/asm/groups", json={"name": "News", "description": "What is new"}).json()["id"]
    path = f"/v3/asm/groups/{group}/suppressions"
    esp.client.post(path, json={"recipient_emails": ["p0@delivered.test"]}).raise_for_status()
    flag = {"mail_settings": {"bypass_unsubscribe_management": {"enable": True}}}
    named = {"asm": {"group_id": group}}
    assert not _arrives(esp, campaign, "named", "delivered.test", **flag, **named)
    assert _arrives(esp, campaign, "nameless", "delivered.test", **flag)
    every = {"mail_settings": {"bypass_list_management": {"enable": True}}}
    assert _arrives(esp, campaign, "every", "delivered.test", **every, **named)


def test_what_is_not_tracked_is_never_heard_of(esp: Esp, campaign) -> None:
    """Links of a password reset lead straight to the shop, so nobody can count who follows them."""
    off = {"tracking_settings": {"click_tracking": {"enable": False}, "open_tracking": {"enable": False}}}
    for run, settings in (("tracked", {}), ("untracked", off)):
        assert esp.send(campaign(1, domain="click.test", run=run) | settings).status_code == 202
    assert esp.summary("tracked")["clicked_unique"] == 1
    assert (esp.summary("untracked")["clicked_unique"], esp.summary("untracked")["opened_unique"]) == (0, 0)
