"""Each check finds what it is for, and every shipped template passes all of them."""

import re
from dataclasses import replace

import pytest

from data import brands, content, html_tree, messages, template_checks, template_colours
from data.template_checks import CHECKS, Mail, Severity, check
from domain import template_fields
from domain.suppression import Stream
from domain.template_fields import Purpose

CONSTANTS = {"shop_name": "Salt & Vinyl", "postal_address": "1 Street, Town", "sender_name": "Sam"}
OWN = {"home": "https://vinyl-shop.com/", "contact_url": "https://vinyl-shop.com/contact"}
SHIPPED = brands.load()
BRAND = brands.Brand(SHIPPED.parts, {**SHIPPED.values, **OWN})


def mail(name: str = "new-arrivals") -> Mail:
    template = content.load(name)
    samples = template_fields.samples(template.purpose)
    shown = messages.render_message(template, samples, CONSTANTS, brand=BRAND)
    return template_checks.mail_of(template, shown, samples, CONSTANTS["postal_address"])


def changed(before: str, after: str, name: str = "new-arrivals") -> Mail:
    one = mail(name)
    assert re.search(before, one.html, re.DOTALL), before
    return replace(one, html=re.sub(before, after, one.html, count=1, flags=re.DOTALL))


@pytest.mark.parametrize("name", content.names())
def test_every_shipped_template_passes(name: str) -> None:
    template = content.load(name)
    assert template_checks.of_template(template, CONSTANTS, BRAND) == []
    # As shipped, only that the shop's own address is not set yet.
    assert {one.severity for one in template_checks.of_template(template, CONSTANTS, SHIPPED)} == {Severity.WARNING}


BROKEN = {
    "size": (lambda: changed("</body>", "x" * 105_000 + "</body>"), "error", "Gmail cuts"),
    "nearly too large": (lambda: changed("</body>", "x" * 80_000 + "</body>"), "warning", "Gmail cuts"),
    "no alt": (lambda: changed("</body>", "<img src='https://a.com/x.png'></body>"), "error", "what the picture shows"),
    "a link of a nameless picture": (
        lambda: changed("</body>", "<a href='https://a.com/'><img alt='' src='https://a.com/x.png'></a></body>"),
        "error",
        "what the picture shows",
    ),
    "faint in light": (lambda: changed("color:#665d50", "color:#c0b8ac"), "error", "to 1 and needs 4.5"),
    "faint in dark": (
        lambda: changed(r"\.muted \{ color: #b8ad9c", ".muted { color: #3a342a"),
        "error",
        "to 1 and needs 4.5",
    ),
    "no dark meta": (lambda: changed('<meta name="color-scheme"[^>]*>', ""), "error", "color-scheme"),
    "no dark rules": (
        lambda: changed(r"@media \(prefers-color-scheme: dark\)", "@media print"),
        "error",
        "prefers-color-scheme",
    ),
    "a relative link": (lambda: changed('href="https://vinyl-shop.com/new"', 'href="/new"'), "error", "whole address"),
    "an unsafe link": (
        lambda: changed('href="https://vinyl-shop.com/new"', 'href="http://a.com"'),
        "error",
        "https://",
    ),
    "a script link": (
        lambda: changed('href="https://vinyl-shop.com/new"', 'href="javascript:x"'),
        "error",
        "whole address",
    ),
    "localhost": (
        lambda: changed('href="https://vinyl-shop.com/new"', 'href="https://localhost/"'),
        "error",
        "your own",
    ),
    "a number": (
        lambda: changed('href="https://vinyl-shop.com/new"', 'href="https://10.0.0.1/x"'),
        "error",
        "your own",
    ),
    "a short link": (
        lambda: changed('href="https://vinyl-shop.com/new"', 'href="https://bit.ly/x"'),
        "error",
        "shortened",
    ),
    "no address": (lambda: changed('href="https://vinyl-shop.com/new"', 'href="https://[::1"'), "error", "no address"),
    "no href": (lambda: changed('href="https://vinyl-shop.com/new"', ""), "error", "leads nowhere"),
    "an example": (
        lambda: changed("https://vinyl-shop.com/new", "https://shop.example.com/new"),
        "warning",
        "an example's",
    ),
    "no way out": (
        lambda: changed('href="https://mail.shop.test/u/4f7c"', 'href="https://a.com/"'),
        "error",
        "visible link",
    ),
    "a hidden way out": (
        lambda: changed('<p style="(?=[^"]*"><a clicktracking)', '<p style="display:none;'),
        "error",
        "visible link",
    ),
    "no way out in the text": (lambda: replace(mail(), text="words"), "error", "here, too"),
    "no postal address": (lambda: changed("1 Street, Town", ""), "error", "the law asks"),
    "no language": (lambda: changed('lang="en-GB"', ""), "error", "screen readers speak"),
    "no title": (lambda: changed("<title>.*?</title>", "<title> </title>"), "error", "add a <title>"),
    "no preheader": (lambda: changed('class="preheader"', ""), "warning", "without it inboxes"),
    "a short preheader": (lambda: changed('(?<=line-height:1px">)[^&]*', "Hello"), "warning", "write 30 to 140"),
    "a long preheader": (lambda: changed('(?<=line-height:1px">)[^&]*', "Hello " * 40), "warning", "write 30 to 140"),
    "no text": (lambda: replace(mail("shipped"), text=" \n"), "error", "remove the file"),
    "only a picture": (
        lambda: changed("<body.*</body>", "<body><img alt='Sale' src='https://a.com/x.png'></body>", "shipped"),
        "error",
        "say it in words",
    ),
    "a script": (lambda: changed("</body>", "<script>1</script></body>"), "error", "mail programs take it out"),
    "a form": (lambda: changed("</body>", "<form></form></body>"), "error", "mail programs take it out"),
    "an iframe": (lambda: changed("</body>", "<iframe></iframe></body>"), "error", "mail programs take it out"),
    "styles from outside": (lambda: changed("</head>", "<link rel=stylesheet href=x></head>"), "error", "take it out"),
    "an import": (lambda: changed("</style>", "@import 'https://a.com/x.css';</style>"), "error", "write the styles"),
    "an event": (lambda: changed("<body ", "<body onload='x()' "), "error", "nothing runs"),
    "a wide table": (lambda: changed("</body>", "<table role=none width=700></table></body>"), "error", "stay within"),
    "a wide style": (lambda: changed("</body>", "<div style='width: 640px'></div></body>"), "error", "stay within"),
    "a table of data": (lambda: changed("</body>", "<table></table></body>"), "warning", 'role="presentation"'),
    "no subject": (lambda: replace(mail(), subject=" "), "error", "write 4 to 70"),
    "a long subject": (lambda: replace(mail(), subject="word " * 20), "warning", "write 4 to 70"),
    "a subject with a tab": (lambda: replace(mail(), subject="New\tthings"), "error", "one line"),
    "an unfilled subject": (lambda: replace(mail(), subject="Hello [%first_name%]"), "error", "not filled in"),
    "an unfilled text": (lambda: replace(mail(), text=mail().text + "*|FNAME|*"), "error", "not filled in"),
    "an unfilled page": (lambda: changed("Johanna", "{{ first_name }}"), "error", "not filled in"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_check_finds_what_it_is_for(name: str) -> None:
    broken, severity, told = BROKEN[name]
    found = [(str(one.severity), one.what_to_do) for one in check(broken())]
    assert any(one == severity and told in what for one, what in found), found


def test_no_check_is_without_a_mail_that_it_refuses() -> None:
    refusing = {name for name, one in CHECKS.items() for broken, _, _ in BROKEN.values() if list(one(broken()))}
    assert refusing == set(CHECKS)


def test_errors_come_first_and_addresses_that_are_values_are_nobodys_fault() -> None:
    one = changed('href="https://vinyl-shop.com/new"', 'href="/new"')
    assert [each.severity for each in check(replace(one, subject="word " * 20))] == [Severity.ERROR, Severity.WARNING]
    assert check(mail("shipped")) == []
    assert {each.check for each in check(replace(mail("shipped"), given=()))} == {"links"}


def test_transactional_mail_needs_no_way_out() -> None:
    assert mail("password-reset").stream is Stream.TRANSACTIONAL
    assert "nsubscribe" not in mail("password-reset").html


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#777777", "#ffffff", 4.48),
        ("#767676", "#ffffff", 4.54),
        ("#ff0000", "#ffffff", 4.0),
    ],
)
def test_contrast_is_that_of_wcag(one: str, other: str, ratio: float) -> None:
    def channels(text: str) -> tuple[float, float, float]:
        return tuple(int(text[at : at + 2], 16) / 255 for at in (1, 3, 5))  # type: ignore[return-value]

    assert round(template_colours.ratio(channels(one), channels(other)), 2) == ratio


@pytest.mark.parametrize(
    ("html", "faint"),
    [
        ("<p style='color:#777'>x</p>", True),
        ("<p style='color:#767676'>x</p>", False),
        ("<p style='color:#777;font-size:24px'>x</p>", False),
        ("<p style='color:#777;font-size:18pt'>x</p>", False),
        ("<p style='color:#777;font-size:1.5em'>x</p>", False),
        ("<p style='color:#777;font-size:19px'><b>x</b></p>", False),
        ("<p style='color:#777;font-size:19px'>x</p>", True),
        ("<p style='color:#777;font-weight:700;font-size:19px'>x</p>", False),
        ("<p style='color:#fff'>x</p>", True),
        ("<div style='background:#000 no-repeat'><p style='color:#fff'>x</p></div>", False),
        ("<table bgcolor=#000000><tr><td><font style='color:white'>x</font></table>", False),
        ("<div style='background-color:rgba(0,0,0,.1)'><p style='color:#767676'>x</p></div>", True),
        ("<p style='color:rgba(0,0,0,.3)'>x</p>", True),
        ("<p style='color:#777'> &nbsp; </p>", False),
        ("<div style='display:none;color:#fff'>x</div>", False),
        ("<style>.a{color:#fff}</style><p class=a>x</p>", True),
        ("<style>.a{color:#fff}</style><p class=a style='color:#000'>x</p>", False),
        ("<style>.a{color:#fff!important}</style><p class=a style='color:#000'>x</p>", True),
        ("<style>p.a{color:#fff}</style><p class=b>x</p><b class=a>x</b>", False),
        ("<style>@media (prefers-color-scheme: dark){.a{color:#fff!important}}</style><p class=a style='color:#000'>x</p>", True),
        ("<style>@media (max-width: 4px){.a{color:#fff!important}}</style><p class=a style='color:#000'>x</p>", False),
        ("<style>@media (prefers-color-scheme:dark){.a{color:#fff!important}body{background:#111}}</style><body><p class=a>x", False),
    ],
)  # fmt: skip
def test_contrast_is_reckoned_as_a_mail_program_applies_styles(html: str, faint: bool) -> None:
    assert bool(template_colours.faint(html_tree.parse(html))) is faint


def test_purposes_are_all_shipped_for() -> None:
    assert {content.load(name).purpose for name in content.names()} == set(Purpose)
