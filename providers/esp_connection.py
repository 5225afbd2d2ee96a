"""A connection: one account at one ESP, as routes.yaml declares it, and whose contract it speaks."""

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from domain.routes import Pace
from providers.smtp.config import Mailbox, Name

NAME = r"^[a-z0-9][a-z0-9_.-]{0,59}$"
# A key itself holds small letters or dots, so it cannot be taken for the name of its variable.
_VARIABLE = r"^[A-Z][A-Z0-9_]{0,99}$"


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PaceRow(Row):
    """How fast; see domain.routes.Pace."""

    per_minute: float | None = Field(None, gt=0, allow_inf_nan=False)
    burst: float | None = Field(None, gt=0, allow_inf_nan=False)

    def pace(self) -> Pace:
        return Pace(self.per_minute, self.burst)


# An ESP's contract, under which name its events come as well; of a campaign host, which sends by itself, too.
Contract = Literal["sendgrid", "mailchimp-transactional", "mailchimp", "postmark", "smtp"]
CONTRACTS: tuple[Contract, ...] = get_args(Contract)
HOSTS = frozenset[str]({"mailchimp"})
SCHEDULING = frozenset[str]({"sendgrid"})  # keeps mail until a time that we name, and can be told to forget it
BUILT_IN: Mapping[str, Contract] = {"sandbox": "sendgrid", **{one: one for one in CONTRACTS}}
_SPOKEN = ", ".join(one for one in CONTRACTS if one != "postmark")
_SCHEMES = {"smtp": ("smtps", "smtp")}


class RelayKeys(Row):
    """What only an SMTP relay has: who logs in, and how it is treated, as OMS_SMTP_… of the same name say of that one."""

    user: str | None = Field(None, min_length=1, max_length=200, description="of a relay: who logs in")
    x_smtpapi: bool | None = Field(None, description="of a relay: it is SendGrid's, whose webhook tells of each mail")
    return_mailbox: Mailbox | None = Field(None, min_length=1, description="of a relay: where bounces of its mail go")
    dkim_domain: Name | None = Field(None, min_length=1, description="of a relay: we sign as this domain")
    dkim_selector: Name | None = Field(None, min_length=1, description="of a relay: the name of the key's record")
    dkim_key_file: Path | None = Field(None, description="of a relay: PEM file with the RSA key that we sign with")
    ca_file: Path | None = Field(None, description="of a relay: certificates to trust instead of the machine's")

    @property
    def of_relay(self) -> dict[str, object]:
        """What is said of it, by the names of SmtpConfig."""
        names = RelayKeys.model_fields
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    @model_validator(mode="after")
    def _signed_wholly(self) -> "RelayKeys":
        if len({one is None for one in (self.dkim_domain, self.dkim_selector, self.dkim_key_file)}) > 1:
            raise ValueError("dkim_domain, dkim_selector and dkim_key_file are said together, or none")
        return self


class Connection(RelayKeys):
    """One account at one ESP: where it is, by which key, and what it can bear.

    None as `base_url` or `api_key_env` stands for what the settings of that kind say. `api_key_env` of an SMTP relay
    names its password; a relay with a `base_url` of its own has no user, password, signature and certificates of
    another one. `speaks`: of a sandbox, whose contract.
    """

    kind: Literal[Contract, "sandbox"]
    speaks: Contract | None = Field(
        None, description="of a sandbox: whose contract, such as smtp; sendgrid unless said"
    )
    api_key_env: str | None = Field(None, pattern=_VARIABLE, description="the variable that holds the key or password")
    base_url: str | None = Field(None, description="of a relay smtps://host:465, or smtp://host:587 for STARTTLS")
    list_id: str | None = Field(None, pattern=r"^[A-Za-z0-9]{1,40}$", description="of Mailchimp: the audience")
    concurrency: int = Field(8, ge=1, le=64, description="requests under way at once")
    hand_over: PaceRow = PaceRow()
    cost_per_thousand: float = Field(0.0, ge=0, allow_inf_nan=False, description="of mails, in any one currency")
    residency: str | None = Field(None, pattern=r"^[a-z]{2,20}$", description="where it keeps data, such as eu")
    activity_lookup: bool = Field(False, description="the ESP's look-up of single mails is paid for and may be asked")
    ip_pool: str | None = Field(None, min_length=1, max_length=64, description="the ESP's own name of a pool of IPs")
    esp_account: str | None = Field(None, pattern=NAME, description="the same for all keys of one account at the ESP")

    @property
    def contract(self) -> Contract:
        """Whose words it speaks."""
        return (self.speaks or "sendgrid") if self.kind == "sandbox" else self.kind

    @field_validator("base_url")
    @classmethod
    def _without_secrets(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "")
        if parts.username or parts.password:
            raise ValueError("needs no user and no password: the key has its own variable")
        return url.rstrip("/") if url else None

    @model_validator(mode="after")
    def _whole(self) -> "Connection":
        """No half of a configuration, and no key in clear over a network."""
        secure, home = _SCHEMES.get(self.contract, ("https", "http"))
        parts = urlsplit(self.base_url or "")
        at_home = parts.scheme == home and (self.contract == "smtp" or _at_home(parts.hostname or ""))
        if self.base_url and not (parts.hostname and (parts.scheme == secure or at_home)):
            otherwise = "smtp:// for STARTTLS" if self.contract == "smtp" else "http:// to this machine"
            raise ValueError(f"base_url needs {secure}://, or {otherwise}")
        if self.kind not in {"sandbox", "smtp"} and self.api_key_env is None:
            raise ValueError("api_key_env must name the environment variable that holds the key")
        if self.kind == "smtp" and (self.user is None) != (self.api_key_env is None):
            raise ValueError("user and api_key_env (of the password) are said together, or neither")
        if self.kind != "sandbox" and self.speaks is not None:
            raise ValueError("speaks is of a sandbox: say its kind instead")
        if self.speaks == "postmark":
            raise ValueError(f"the sandbox does not speak as Postmark does: {_SPOKEN}")
        if self.contract != "smtp" and self.of_relay:
            only = " and ".join(self.of_relay)
            raise ValueError(f"{only} is of an SMTP relay: this ESP knows who calls by the key")
        return self


def _at_home(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def on_this_machine(url: str | None) -> bool:
    """Whether an ESP's address is this machine's, where no ESP is: a sandbox, or a test."""
    return _at_home(urlsplit(url or "").hostname or "")
