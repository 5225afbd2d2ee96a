"""The address by which the world reaches the gateway."""

import pytest
from pydantic import ValidationError

from gateway.config import GatewayConfig


@pytest.mark.parametrize(
    "url", ["https://mail.shop.example.com", "https://mail.shop.example.com/", " https://mail.shop.example.com// "]
)
def test_a_pasted_slash_makes_no_double_one_in_links(url):
    assert GatewayConfig(public_url=url).public_url == "https://mail.shop.example.com"


def test_a_path_is_kept():
    assert GatewayConfig(public_url="https://shop.example.com/mail/").public_url == "https://shop.example.com/mail"


@pytest.mark.parametrize(
    ("url", "reachable"),
    [
        ("https://mail.shop.example.com", True),
        ("https://mail.shop.example.com:8443/mail", True),
        ("HTTPS://Mail.Shop.Example.Com", True),
        ("https://203.0.113.9", True),
        ("http://mail.shop.example.com", False),
        ("mail.shop.example.com", False),
        ("https://", False),
        ("", False),
        ("https://localhost", False),
        ("https://LOCALHOST.:8000", False),
        ("https://gateway.localhost", False),
        ("https://127.0.0.1:8000", False),
        ("https://127.9.9.9", False),
        ("https://[::1]", False),
        ("https://0.0.0.0:8000", False),
        (GatewayConfig().public_url, False),
    ],
)
def test_customers_reach_only_https_that_is_not_this_machine(url, reachable):
    assert GatewayConfig(public_url=url).reachable is reachable


def test_what_is_no_address_is_refused_at_the_start():
    with pytest.raises(ValidationError):
        GatewayConfig(public_url="https://[half")
