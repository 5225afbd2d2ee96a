"""The declaration of fields: whole, in the documentation, and no offer in a receipt."""

import re
from pathlib import Path

from data import field_values, variables
from domain.suppression import Stream
from domain.template_fields import FIELDS, SOURCES, Kind, Purpose, Source, allowed, samples, stream

PAGE = (Path(__file__).parent.parent.parent / "docs" / "templates.md").read_text("utf-8")


def test_every_sample_is_what_its_field_must_be() -> None:
    for one in FIELDS.values():
        if one.sample is None:
            assert one.fallback == ""
        else:
            assert list(field_values.problems(one.name, one.kind, one.sample)) == []
        assert one.meaning
        assert not one.meaning.endswith(".")


def test_campaign_fields_are_those_that_have_a_column_and_the_links() -> None:
    assert set(allowed(Purpose.CAMPAIGN)) == {*variables.VARIABLES, *variables.LINKS}
    for name, one in variables.VARIABLES.items():
        assert one.meaning == FIELDS[name].meaning


def test_no_receipt_may_hold_an_offer_and_no_transactional_mail_a_way_out() -> None:
    for purpose in Purpose:
        if stream(purpose) is Stream.TRANSACTIONAL:
            assert not SOURCES[purpose] & {Source.OFFER, Source.LEDGER, Source.HISTORY}
        else:
            assert Source.LEDGER in SOURCES[purpose]
        assert set(samples(purpose)) == set(allowed(purpose))
    assert {one for sources in SOURCES.values() for one in sources} == set(Source)


def test_the_page_has_every_field_with_its_type_and_fallback() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE)
    assert [row[0] for row in rows] == list(FIELDS)
    for name, kind, source, fallback, meaning in rows:
        one = FIELDS[name]
        shown = "needed" if one.fallback is None else one.fallback or "left out"
        assert (kind, source, fallback, meaning) == (one.kind, one.source, shown, one.meaning)


def test_the_page_has_every_type_and_purpose() -> None:
    for kind in Kind:
        assert f"| {kind} |" in PAGE
    for purpose in Purpose:
        assert f"| `{purpose}` | {stream(purpose)} |" in PAGE
