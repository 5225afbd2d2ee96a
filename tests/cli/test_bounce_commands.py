"""What we would make of a refusal, told."""

import io

import pytest

from tests.cli.conftest import Campaigns


def test_a_reply_is_judged_with_its_row_and_source(campaigns: Campaigns) -> None:
    assert campaigns("bounces", "judge", "550 5.1.1 <joe@example.com>: User unknown").lines == [
        "hard, the fault of the recipient: unknown mailbox.",
        "Row gone (words that several servers use).",
        "Ends all mail to the address.",
    ]


def test_the_json_holds_no_address(campaigns: Campaigns) -> None:
    told = campaigns("bounces", "judge", "552 <joe@example.com> over quota", "--status", "5.2.2", "--json")
    assert told.json == {
        "reply": "552 <[address]> over quota",
        "status": "5.2.2",
        "class": "soft",
        "fault": "recipient",
        "cause": "full_mailbox",
        "suppresses": None,
        "rule": "full-gmail",
        "source": "Google: SMTP errors and codes, support.google.com/a/answer/3726730",
        "follows": "Suppresses nobody yet: it is counted against the address, which may recover.",
    }


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("550 5.7.26 DMARC", "the sender is to blame"),
        ("552 5.3.4", "the content is to blame"),
        ("421 4.4.2", "Suppresses nobody."),
        ("550 you have been blocked by the recipient", "Suppresses nobody."),
        ("new to us", "worth a row"),
    ],
)
def test_it_says_what_would_follow(campaigns: Campaigns, reply: str, words: str) -> None:
    assert words in campaigns("bounces", "judge", reply).lines[-1]


@pytest.mark.parametrize(
    ("options", "fault", "rule"),
    [
        (["--type", "blocked"], "unknown", ""),
        (["--type", "expired"], "provider", "sendgrid-type"),
        (["--classification", "Frequency/Volume"], "sender", "sendgrid-class"),
    ],
)
def test_sendgrids_own_words_are_heard_as_of_an_event(
    campaigns: Campaigns, options: list[str], fault: str, rule: str
) -> None:
    told = campaigns("bounces", "judge", "550 Wobble frobnicated beyond the quux", *options, "--json").json
    assert (told["fault"], told["rule"], bool(told["source"])) == (fault, rule, bool(rule))


@pytest.mark.parametrize("option", ["--type", "--classification"])
def test_a_word_that_sendgrid_does_not_use_is_a_mistake(campaigns: Campaigns, option: str) -> None:
    assert "none of SendGrid's words" in campaigns("bounces", "judge", "550 x", option, "Wobble").mistake


def test_what_no_row_knows_is_nobodys_fault(campaigns: Campaigns) -> None:
    first, second, _ = campaigns("bounces", "judge", "new to us").lines
    assert first == "soft, nobody's fault that we know of: unknown."
    assert second == "No row knows it; docs/bounces.md says how to add one."


def test_a_reply_of_many_lines_is_read_from_stdin(campaigns: Campaigns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"550-5.1.1 The account\n550 5.1.1 does not exist\n")))
    assert campaigns("bounces", "judge", "-", "--json").json["rule"] == "gone-comcast"


@pytest.mark.parametrize("reply", ["250 2.0.0 OK", "smtp; 250-queued as 4Xk", "2.1.5 Recipient OK", "354 go on"])
def test_what_is_no_refusal_is_a_mistake(campaigns: Campaigns, reply: str) -> None:
    assert "no refusal" in campaigns("bounces", "judge", reply).mistake


@pytest.mark.parametrize("status", ["250", "2.0.0"])
def test_a_status_of_mail_that_was_taken_is_a_mistake(campaigns: Campaigns, status: str) -> None:
    assert "no refusal" in campaigns("bounces", "judge", "user unknown", "--status", status).mistake


def test_a_refusal_behind_what_was_taken_is_judged(campaigns: Campaigns) -> None:
    told = campaigns("bounces", "judge", "250 OK, and then: 550 5.1.1 user unknown", "--json").json
    assert told["class"] == "hard"


@pytest.mark.parametrize("status", ["foo", "5", "5.1", "999", "5.1.1 x"])
def test_a_status_that_is_none_is_a_mistake(campaigns: Campaigns, status: str) -> None:
    assert "no status" in campaigns("bounces", "judge", "user unknown", "--status", status).mistake


@pytest.mark.parametrize("status", ["550", "5.1.1", "5.4.310", "#5.1.1"])
def test_a_status_of_a_refusal_is_one(campaigns: Campaigns, status: str) -> None:
    assert campaigns("bounces", "judge", "user unknown", "--status", status, "--json").json["status"] == status


def test_nothing_to_judge_is_a_mistake(campaigns: Campaigns) -> None:
    assert campaigns("bounces", "judge", " ").mistake.startswith("there is nothing to judge")
