"""Whose the webhooks are, as far as routes.yaml and the settings say."""

from providers.readers import webhook_accounts
from providers.routes_file import RoutesFile


def test_routes_name_the_accounts_of_a_vendor_and_the_settings_the_rest() -> None:
    sandbox = {"kind": "sandbox", "api_key_env": "OMS_A_KEY"}
    ways = {
        account: [
            {"name": "a", "provider": "a", "stream": "marketing", "pool": account, "domain": f"{account}.example"}
        ]
        for account in ("shop", "tea")
    }
    declared = RoutesFile.model_validate({"providers": {"a": sandbox}, "accounts": ways})
    assert webhook_accounts(declared, "shop") == {
        "sendgrid": {"shop", "tea"},
        "mailchimp": {"shop"},
        "mailchimp-transactional": {"shop"},
        "postmark": {"shop"},
    }
