"""What is said of good and bad mails. Each rule is seen to speak, and to be silent of a mail without its fault."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import content_vetting, mail_links, mail_page
from domain.content_vetting import Mail
from domain.mail_links import Probe, Reach
from domain.preflight import Light

OUT = "https://shop.example.com/unsubscribe/abc.def"
ADDRESS = "1 Market Street, 12345 Town"
PROSE = (
    "Dear customer, our spring collection has arrived with forty new records from small labels, all of them pressed"
    " on heavy vinyl, and the first hundred orders get a printed sleeve that was signed by the artist herself."
)
HTML = (
    "<html><head><style>p{color:red}</style><title>Shop</title></head><body>"
    "<div style='display:none'>New records, and a sleeve that is signed&zwnj;&nbsp;&zwnj;&nbsp;</div>"
    f"<p>{PROSE}</p><a href='https://www.shop.example.com/new?x=1'>See <b>what is new</b></a>"
    "<img src='https://cdn.example.com/a.png' alt='A sleeve' width='600' height='200'>"
    f"<p><a href='{OUT}'>Unsubscribe</a> · Shop, {ADDRESS}</p></body></html>"
)
TEXT = f"{PROSE}\n\nSee what is new: https://www.shop.example.com/new\n\nNo more: {OUT}\nShop, {ADDRESS}"
GOOD = Mail(
    template="spring",
    subject="New records for spring",
    html=HTML,
    text=TEXT,
    sender_name="The Shop",
    sender_domain="shop.example.com",
    domains=("shop.example.com",),
    unsubscribe_url=OUT,
    postal_address=ADDRESS,
    recipient=("Jane", "Doe"),
)


def _found(**changes: object) -> list[tuple[Light, str]]:
    lines = content_vetting.vet(replace(GOOD, **changes))
    assert {line.area for line in lines} == {"content"}
    return [(line.light, line.found) for line in lines]


def test_a_good_mail_gets_one_green_line() -> None:
    (line,) = content_vetting.vet(GOOD)
    assert (line.light, line.subject) == (Light.GREEN, "spring")


@pytest.mark.parametrize(
    ("light", "words", "changes"),
    [
        (Light.RED, "no subject", {"subject": "  "}),
        (Light.RED, "line break", {"subject": "Hello\nBcc: all"}),
        (Light.RED, "as if the mail were an answer", {"subject": "Re: your order"}),
        (Light.RED, "“FWD:”", {"subject": "FWD: spring offers"}),
        (Light.RED, "“AW[2]:”", {"subject": "AW[2]: Ihre Bestellung"}),
        (Light.YELLOW, "all capitals", {"subject": "LAST CHANCE TO BUY"}),
        (Light.YELLOW, "exclamation", {"subject": "Buy now!! Today"}),
        (Light.YELLOW, "more than 200", {"subject": "a spring word " * 16}),
        (Light.BLUE, "cut it off", {"subject": "a spring word " * 6}),
        (Light.RED, "none that a route of this run signs for", {"sender_domain": "other.example.com"}),
        (Light.RED, "holds the subject", {"sender_name": "The Shop: new records for spring"}),
        (Light.RED, "holds the recipient's", {"sender_name": "Jane, look here"}),
        (Light.RED, "holds the recipient's", {"sender_name": "{{ first_name }}"}),
        (Light.RED, "conversation or a badge", {"sender_name": "The Shop (2)"}),
        (Light.RED, "conversation or a badge", {"sender_name": "[v] The Shop"}),
        (Light.RED, "Gmail domain", {"sender_name": "shop@gmail.com"}),
        (Light.YELLOW, "emoji", {"sender_name": "The Shop ✅"}),
        (Light.RED, "HTML part has no link to unsubscribe", {"html": HTML.replace(OUT, "https://shop.example.com/")}),
        (Light.RED, "cannot be seen", {"html": HTML.replace(">Unsubscribe<", "><")}),
        (Light.RED, "text part has no link to unsubscribe", {"text": TEXT.replace(OUT, "write us")}),
        (Light.RED, "HTML part lacks the shop's postal address", {"html": HTML.replace(ADDRESS, "Town")}),
        (Light.RED, "text part lacks the shop's postal address", {"text": TEXT.replace(ADDRESS, "")}),
        (Light.RED, "the account has no postal address", {"postal_address": " - "}),
        (Light.YELLOW, "no text part", {"text": " "}),
        (Light.YELLOW, "something else", {"text": f"Entirely different words about gardens, flowers, trees, bushes,"
                                                  f" meadows, rivers, mountains and lakes {OUT} {ADDRESS}"}),
        (Light.YELLOW, "hidden by style", {"html": HTML.replace("<p>Dear", "<p>x</p><p style='display: none'>cheap watches and pills</p><p>Dear")}),
        (Light.YELLOW, "hidden by style", {"html": HTML + "<p style='color:#FFF;background:#fff'>cheap watches and pills</p>"}),
        (Light.YELLOW, "hidden by style", {"html": HTML + "<span style='font-size:0px'>cheap watches and pills</span>"}),
        (Light.YELLOW, "hidden preheader", {"html": HTML.replace("New records, and", "New records, " * 30)}),
        (Light.YELLOW, "the mail is pictures", {"html": HTML.replace(PROSE, "")}),
        (Light.BLUE, "little text", {"html": HTML.replace("height='200'", "height='2000'")}),
        (Light.RED, "placeholder is left in the HTML part", {"html": HTML.replace("Dear customer", "Dear {{ name }}")}),
        (Light.RED, "placeholder is left in the text part", {"text": TEXT.replace("customer", "*|FNAME|*")}),
        (Light.RED, "placeholder is left in the subject", {"subject": "Hello [%first_name%]"}),
    ],
)  # fmt: skip
def test_a_fault_is_found_and_nothing_else(light: Light, words: str, changes: dict[str, object]) -> None:
    found = _found(**changes)
    assert any(words in told and light is given_light for given_light, told in found), found
    assert len(found) <= 2, found


@pytest.mark.parametrize(
    ("light", "words", "anchor"),
    [
        (Light.RED, "no web address but javascript", "<a href='javascript:alert(1)'>x</a>"),
        (Light.RED, "no web address but data", "<a href='data:text/html,x'>x</a>"),
        (Light.RED, "broken as it is written", "<a href='htps//shop.example.com'>x</a>"),
        (Light.RED, "broken as it is written: (empty)", "<a href=' '>x</a>"),
        (Light.RED, "broken as it is written", "<a href='https:///new'>x</a>"),
        (Light.RED, "broken as it is written", "<a href='https://localhost/new'>x</a>"),
        (Light.RED, "broken as it is written", "<a href='https://shop.example.com:port/'>x</a>"),
        (Light.RED, "broken as it is written", "<a href='/new'>x</a>"),
        (Light.RED, "broken as it is written", "<a href='#'>x</a>"),
        (Light.RED, "placeholder that nobody fills in", "<a href='https://shop.example.com/{{ sku }}'>x</a>"),
        (Light.YELLOW, "not encrypted", "<a href='http://shop.example.com/'>x</a>"),
        (Light.YELLOW, "by its number", "<a href='https://203.0.113.9/x'>x</a>"),
        (Light.YELLOW, "by its number", "<a href='https://[2001:db8::1]/x'>x</a>"),
        (Light.YELLOW, "by its number", "<a href='http://0xcb.0.0x71.9/'>x</a>"),
        (Light.YELLOW, "shortened", "<a href='https://bit.ly/abc'>x</a>"),
        (Light.YELLOW, "shortened", "<a href='https://www.tinyurl.com/abc'>x</a>"),
        (Light.RED, "reads shop.example.com and leads to evil.test", "<a href='https://evil.test'>https://shop.example.com/a</a>"),
        (Light.RED, "reads shop.de", "<a href='https://shop.example.com/'> www.shop.de/offers </a>"),
        (Light.RED, "reads shop.co.uk", "<a href='https://other.co.uk/'>https://shop.co.uk</a>"),
        (Light.YELLOW, "reads brand.com", "<a href='https://shop.example.com/brand'>Brand.com</a>"),
    ],
)  # fmt: skip
def test_a_bad_link(light: Light, words: str, anchor: str) -> None:
    (found,) = _found(html=HTML.replace("</body>", f"{anchor}</body>"))
    assert found[0] is light
    assert words in found[1]


@pytest.mark.parametrize(
    "anchor",
    [
        "<a href='mailto:help@shop.example.com'>help@shop.example.com</a>",
        "<a href='tel:+4930123'>+49 30 123</a>",
        "<a href='#top'>up</a>",
        "<a href='https://click.example.com/x'>https://www.shop.example.com/x</a>",
        "<a href='https://www.shop.co.uk/'>shop.co.uk</a>",
        "<a href='https://shop.example.com/'>No. 1 in town</a>",
        "<a href='HTTPS://Shop.Example.com/'>Version 2.0 is here</a>",
        "<a href='https://xn--mller-kva.example/'>Müller</a>",
        "<a name='here'>here</a>",
    ],
)
def test_a_good_link(anchor: str) -> None:
    assert [light for light, _ in _found(html=HTML.replace("</body>", f"{anchor}</body>"))] == [Light.GREEN]


def test_what_is_said_of_a_link_holds_no_token_and_no_password() -> None:
    told = _found(html=HTML.replace("</body>", "<a href='http://u:pw@shop.example.com/a?token=secret#f'>x</a></body>"))
    assert "secret" not in str(told)
    assert "pw" not in str(told)


def test_transactional_mail_needs_no_way_out_and_a_rehearsal_no_https() -> None:
    bare = {"html": "", "text": f"Your order is on its way. {PROSE}"}
    assert [light for light, _ in _found(**bare, marketing=False)] == [Light.GREEN]
    assert Light.RED in {light for light, _ in _found(**bare)}
    local = {
        "html": HTML.replace(OUT, "http://127.0.0.1:8000/u/a"),
        "text": TEXT.replace(OUT, "http://127.0.0.1:8000/u/a"),
    }
    here = {**local, "unsubscribe_url": "http://127.0.0.1:8000/u/a"}
    assert any("one click" in told and light is Light.RED for light, told in _found(**here))
    lights = {told: light for light, told in _found(**here, rehearsal=True)}
    assert Light.RED not in lights.values()


def test_the_worst_comes_first() -> None:
    lights = [light for light, _ in _found(subject="RE: LAST CHANCE TO BUY NOW " + "x" * 60, sender_name="Shop ✅")]
    assert lights == sorted(lights, key=[Light.RED, Light.YELLOW, Light.BLUE].index)
    assert lights[0] is Light.RED


def test_only_links_of_the_web_are_tried_and_what_they_told_is_graded() -> None:
    page = mail_page.read(
        "<a href='https://a.example/'>a</a><a href='mailto:x@y.z'>b</a><a href='https://a.example/'>c</a>"
    )
    assert mail_links.to_probe(page.links) == ["https://a.example/"]
    probes = {
        "https://a.example/ok": Probe(Reach.WORKS),
        "https://a.example/gone?token=1": Probe(Reach.BROKEN, "404"),
        "https://none.example/": Probe(Reach.NOWHERE, "no such host"),
        "https://inside.example/": Probe(Reach.FORBIDDEN, "private"),
        "https://slow.example/": Probe(Reach.CANNOT_TELL, "no answer in time"),
    }
    lines = list(mail_links.judged(probes, "spring"))
    assert [line.light for line in lines] == [Light.YELLOW, Light.RED, Light.RED, Light.GREY]
    assert "token" not in str(lines)
    assert "1 of 5 links could not be tried" in lines[-1].found


def test_a_page_as_a_reader_sees_it() -> None:
    page = mail_page.read(
        "<div style='DISPLAY : none !important'>before</div><p>Hel<b>lo</b><p>World<script>x()</script><!-- no -->"
        "<p hidden>behind</p><a href=' https://x.example '><img alt='Picture' width=10px></a>"
        "<p style='line-height:0;max-width:0.5px'>small</p><p style='opacity:0.9'>clear</p>"
    )
    assert page.text == "Hello World small clear"
    assert (page.preheader, page.hidden) == ("before", "behind")
    assert page.links == (mail_page.Link("https://x.example", "Picture"),)
    assert page.pictures == (mail_page.Picture(10, None),)
    assert mail_page.read("").text == ""


def test_columns_in_a_parent_of_no_font_size_are_seen() -> None:
    cell = "<td style='font-size:0;line-height:0'><div style='font-size:15px'>Harbour Lights</div>{}</td>"
    page = mail_page.read(f"<table><tr>{cell.format('x')}</tr></table><p style='height:0;overflow:hidden'>gone</p>")
    assert (page.text, page.preheader, page.hidden) == ("Harbour Lights", "", "xgone")


@given(st.text(max_size=300), st.text(max_size=40), st.text(max_size=40))
def test_no_text_makes_it_fail(html: str, subject: str, name: str) -> None:
    assert content_vetting.vet(replace(GOOD, html=html, text=html, subject=subject, sender_name=name))


def test_two_long_links_of_one_shop_are_told_apart() -> None:
    path = "https://shop.example.com/collections/" + "x" * 60
    one, other = mail_links.shown(f"{path}/autumn"), mail_links.shown(f"{path}/winter")
    assert one != other
    assert (one.startswith("https://shop.example.com/"), one.endswith("/autumn"), len(one)) == (True, True, 60)
