"""What Mailchimp's settings refuse at the start."""

import pytest
from pydantic import SecretStr, ValidationError

from providers.mailchimp.config import MailchimpConfig, MailchimpNotConfigured
from settings import Settings

SECRET = "abcdefghij_0123456789-ABCDEF"


def test_the_environment_is_read(monkeypatch):
    monkeypatch.setenv("OMS_PRIVACY_PEPPER", "p" * 32)
    monkeypatch.setenv("OMS_PRIVACY_LINK_KEY", "k" * 32)
    monkeypatch.setenv("OMS_MAILCHIMP_MARKETING_API_KEY", "0123456789abcdef-us21")
    monkeypatch.setenv("OMS_MAILCHIMP_MARKETING_URL_SECRETS", f'["{SECRET}"]')
    monkeypatch.setenv("OMS_MAILCHIMP_TRANSACTIONAL_WEBHOOK_URLS", '["https://shop.example.com/webhooks/mandrill"]')
    config = Settings(_env_file=None).mailchimp
    assert config.marketing_url() == "https://us21.api.mailchimp.com/3.0"
    assert [secret.get_secret_value() for secret in config.marketing_url_secrets] == [SECRET]
    assert config.transactional_webhook_urls == ["https://shop.example.com/webhooks/mandrill"]


@pytest.mark.parametrize("key", ["", "  ", None])
def test_a_missing_key_is_named_and_never_shown(key):
    config = MailchimpConfig(marketing_api_key=key, transactional_api_key=key)
    with pytest.raises(MailchimpNotConfigured, match="OMS_MAILCHIMP_MARKETING_API_KEY"):
        config.required_marketing_key()
    with pytest.raises(MailchimpNotConfigured, match="OMS_MAILCHIMP_TRANSACTIONAL_API_KEY"):
        config.required_transactional_key()


@pytest.mark.parametrize("key", ["0123456789abcdef", "0123456789abcdef-", "0123-evil.example.com/us1"])
def test_a_key_without_its_data_centre_names_no_host(key):
    with pytest.raises(MailchimpNotConfigured, match="data centre") as refused:
        MailchimpConfig(marketing_api_key=SecretStr(key)).marketing_url()
    assert key not in str(refused.value)


def test_another_base_url_is_taken_as_it_is():
    config = MailchimpConfig(marketing_base_url="http://127.0.0.1:8025/3.0/")
    assert config.marketing_url() == "http://127.0.0.1:8025/3.0"


@pytest.mark.parametrize(
    "setting",
    [
        {"marketing_url_secrets": ["short"]},
        {"marketing_url_secrets": ["with/a-slash-in-the-middle"]},
        {"marketing_signing_secrets": [""]},
        {"transactional_webhook_keys": [" "]},
        {"transactional_webhook_urls": ["shop.example.com/webhooks"]},
        {"concurrency": 11},
    ],
)
def test_what_would_leave_the_door_open_is_refused(setting):
    with pytest.raises(ValidationError):
        MailchimpConfig(**setting)
