"""The only reader of the environment: composes the config models that the rooms own.

Every variable is `OMS_<GROUP>_<NAME>`, in upper case; .env.example lists all of them.
"""

import os
from functools import lru_cache
from pathlib import Path

from dotenv import dotenv_values
from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from data.config import (
    ContentConfig,
    DatabaseConfig,
    IntakeConfig,
    MessagesConfig,
    PrivacyConfig,
    SeedConfig,
    ShopConfig,
)
from domain.gate_policy import GatePolicy
from domain.policy import SendingPolicy
from gateway.config import GatewayConfig
from providers.config import PreflightConfig, RoutesConfig
from providers.dns import DnsConfig
from providers.mailchimp.config import MailchimpConfig
from providers.postmark.config import PostmarkConfig
from providers.sandbox.config import SandboxConfig
from providers.sendgrid.config import SendGridConfig
from providers.smtp.config import ReturnsConfig, SmtpConfig


class PrefectConfig(BaseModel):
    """Where Prefect's server listens when `campaigns up` starts it."""

    host: str = "127.0.0.1"
    port: int = Field(4200, ge=1, le=65535)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def api_url(self) -> str:
        return f"{self.url}/api"


class OpenSettings(BaseSettings):
    """What is read where no secret is at hand, such as for the form of a run: routes, templates, whose mail it is."""

    model_config = SettingsConfigDict(
        env_prefix="OMS_",
        env_nested_delimiter="_",
        env_nested_max_split=1,
        env_file=".env",
        extra="ignore",
        hide_input_in_errors=True,  # a secret may stand beside what is wrong
    )

    account: str = Field("main", description="the account that commands and flows work on unless told otherwise")
    shop: ShopConfig = ShopConfig()
    routes: RoutesConfig = RoutesConfig()
    content: ContentConfig = ContentConfig()


class Settings(OpenSettings):
    """All settings of one installation."""

    environment: str = Field(
        "production", pattern=r"^[a-z][a-z0-9-]{1,39}$", description="what this installation is: production, staging, …"
    )
    database: DatabaseConfig = DatabaseConfig()
    intake: IntakeConfig = IntakeConfig()
    privacy: PrivacyConfig
    sending: SendingPolicy = SendingPolicy()
    gate: GatePolicy = GatePolicy()
    gateway: GatewayConfig = GatewayConfig()
    sendgrid: SendGridConfig = SendGridConfig()
    mailchimp: MailchimpConfig = MailchimpConfig()
    sandbox: SandboxConfig = SandboxConfig()
    postmark: PostmarkConfig = PostmarkConfig()
    smtp: SmtpConfig = SmtpConfig()
    returns: ReturnsConfig = ReturnsConfig()
    dns: DnsConfig = DnsConfig()
    seeds: SeedConfig = SeedConfig()
    messages: MessagesConfig = MessagesConfig()
    preflight: PreflightConfig = PreflightConfig()
    prefect: PrefectConfig = PrefectConfig()


@lru_cache(maxsize=1)
def load() -> Settings:
    """Read the environment and .env once a process. Raises pydantic's ValidationError naming what is missing."""
    return Settings()


def routes_file() -> Path:
    """Where the routes are declared, read without the other settings."""
    return without_secrets().routes.file


def without_secrets() -> OpenSettings:
    """The settings that need no secret, read anew."""
    return OpenSettings()


def secret(variable: str) -> SecretStr | None:
    """What a file calls by the name of its environment variable, such as an ESP's key; None where it is not set."""
    found = os.environ.get(variable) or dotenv_values(".env").get(variable)
    return SecretStr(found.strip()) if found and found.strip() else None


def names() -> list[str]:
    """Every environment variable that is read, for .env.example and its test."""
    found = []
    for group, field in Settings.model_fields.items():
        inner = field.annotation
        members = getattr(inner, "model_fields", None) or getattr(inner, "__dataclass_fields__", None)
        found += [f"{group}_{member}" for member in members] if members else [group]
    return [f"OMS_{name}".upper() for name in found]
