"""The text part that is made from the HTML."""

import pytest

from data import plain_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two<br>three</p>", "One\n\nTwo\nthree"),
        ("<p>a   b\n c</p>", "a b c"),
        ("<div style='display: none'>hidden</div><p>seen</p>", "seen"),
        ("<head><title>T</title><style>p{}</style></head><p>seen</p>", "seen"),
        ("<p aria-hidden='true'>decoration</p>seen", "seen"),
        ("<p>See <a href='https://a.test/?x=1&amp;y=2'>here</a>.</p>", "See here: https://a.test/?x=1&y=2."),
        ("<a href='https://a.test'>https://a.test</a>", "https://a.test"),
        ("<a href='mailto:us@a.test'>us@a.test</a>", "us@a.test"),
        ("<a href='https://a.test'><img alt='Our shop'></a>", "Our shop: https://a.test"),
        ("<a href='https://a.test'><img></a>", "https://a.test"),
        ("<ul><li>One</li><li>Two</li></ul>", "- One\n- Two"),
        ("<table><tr><td>Total</td><td>5</td></tr><tr><td>Tax</td><td>1</td></tr></table>", "Total  5\nTax  1"),
        ("a&#847;&zwnj;&nbsp;&#847;b &lt;c&gt;", "a b <c>"),
        ("<!--[if mso]><p>Outlook</p><![endif]-->seen", "seen"),
        ("<p>unclosed <b>bold</p></i><p>next", "unclosed bold\n\nnext"),
        ("", ""),
    ],
)
def test_it_reads_like_a_letter(html: str, text: str) -> None:
    assert plain_text.of_html(html) == text
