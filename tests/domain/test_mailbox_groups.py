"""Which mailbox provider stands behind a domain: by the offline table, and by MX hosts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import addresses, mailbox_groups


@pytest.mark.parametrize(
    ("domain", "group"),
    [
        ("gmail.com", "gmail"),
        ("aol.com", "yahoo"),
        ("yahoo.co.uk", "yahoo"),
        ("yahoo.com.br", "yahoo"),
        ("yahoo.de", "yahoo"),
        ("yahoo.co.jp", "yahoo-japan"),
        ("yahoo.cn", None),
        ("hotmail.fr", "outlook"),
        ("outlook.co.id", "outlook"),
        ("live.com.au", "outlook"),
        ("web.de", "gmx"),
        ("gmail.test", "gmail"),
        ("microsoft365.test", "microsoft365"),
        ("hard.test", "other"),  # reserved: never in the DNS
        ("example.com", "other"),
        ("shop.example", "other"),
        ("myexample.com", None),
        ("yahoo.com.evil.org", None),
        ("notgmail.com", None),
        ("comcast.net", None),  # its provider changed: the MX tells
        ("", None),
    ],
)
def test_what_the_table_says_of_a_domain(domain: str, group: str | None) -> None:
    assert mailbox_groups.of_domain(domain) == group


@pytest.mark.parametrize(
    ("hosts", "group"),
    [
        (["aspmx.l.google.com", "alt1.aspmx.l.google.com"], "gmail"),  # Google Workspace
        (["gmail-smtp-in.l.google.com."], "gmail"),
        (["ASPMX2.GOOGLEMAIL.COM"], "gmail"),
        (["firm-com.mail.protection.outlook.com"], "microsoft365"),
        (["firm-com.a-v1.mx.microsoft"], "microsoft365"),
        (["hotmail-com.olc.protection.outlook.com"], "outlook"),
        (["mta5.am0.yahoodns.net"], "yahoo"),
        (["mx01.mail.icloud.com"], "icloud"),
        (["mx00.emig.gmx.net"], "gmx"),
        (["mx-shv-06.web.de"], "gmx"),
        (["us-smtp-inbound-1.mimecast.com"], "mimecast"),
        (["mx1.mail.yahoo.co.jp"], "yahoo-japan"),
        (["mail.firm.com", "aspmx.l.google.com"], "other"),  # Google only while the firm's own is down
        (["fakegoogle.com"], "other"),
        (["google.com.evil.org"], "other"),
        (["google.com"], "gmail"),
        ([""], "other"),
        ([], "other"),
    ],
)
def test_what_hosts_say_of_a_domain(hosts: list[str], group: str) -> None:
    assert mailbox_groups.of_mx(hosts) == group


def test_no_domain_and_no_ending_is_of_two_groups() -> None:
    groups = mailbox_groups._GROUPS
    for what in ([one for group in groups for one in group.domains], [one for group in groups for one in group.mx]):
        assert len(what) == len(set(what))
        assert all(one == one.lower() and not one.startswith(".") for one in what)
    assert len({group.name for group in groups}) == len(groups)
    assert mailbox_groups.OTHER not in {group.name for group in groups}


@given(st.text(), st.lists(st.text()))
def test_any_text_has_a_group(domain: str, hosts: list[str]) -> None:
    named = {group.name for group in mailbox_groups._GROUPS} | {"other", None}
    assert mailbox_groups.of_domain(domain) in named
    assert mailbox_groups.of_mx(hosts) in named - {None}
    assert mailbox_groups.shown(mailbox_groups.of_mx(hosts))


def test_an_address_is_of_its_domains_group() -> None:
    assert addresses.mailbox_provider(" Anna@GMX.de ") == "gmx"
    assert addresses.mailbox_provider("anna@firm.com") == "other"
