"""What is reached at an ESP, by whose contract it speaks: who mails, who is asked, whose lists are read."""

from typing import Any, Generic, Protocol, TypeVar

from domain import esp_record, ports
from domain.access import Access
from domain.campaign_host import CampaignHost
from domain.esp_templates import TemplateStore
from providers.mailchimp import access as mailchimp_access
from providers.mailchimp.config import MailchimpConfig
from providers.mailchimp.host import open_host
from providers.mailchimp.inquiry import open_inquirer as open_transactional_inquirer
from providers.mailchimp.marketing_templates import MarketingTemplates
from providers.mailchimp.suppressions import MarketingSuppressions, TransactionalSuppressions
from providers.mailchimp.transactional_mailer import open_mailer as open_transactional_mailer
from providers.mailchimp.transactional_templates import TransactionalTemplates
from providers.postmark import access as postmark_access
from providers.postmark.config import PostmarkConfig
from providers.postmark.mailer import open_mailer as open_postmark_mailer
from providers.sendgrid import access as sendgrid_access
from providers.sendgrid.activity import open_activity
from providers.sendgrid.config import SendGridConfig
from providers.sendgrid.inquiry import open_inquirer
from providers.sendgrid.mailer import open_mailer
from providers.sendgrid.management import Management
from providers.sendgrid.schedule import open_scheduler
from providers.sendgrid.stats import open_stats
from providers.sendgrid.suppressions import SendGridSuppressions
from providers.sendgrid.templates import SendGridTemplates
from providers.smtp import access as smtp_access
from providers.smtp.config import SmtpConfig
from providers.smtp.mailer import open_mailer as open_smtp_mailer


class Lists(ports.SuppressionSource, ports.SuppressionSink, Protocol):
    """An ESP's suppression lists, both ways."""


class NotAMailer(LookupError):
    """It sends whole campaigns, not messages."""


class Config(Protocol):
    """What the settings of every contract have."""

    @property
    def connect_timeout_seconds(self) -> float: ...

    @property
    def read_timeout_seconds(self) -> float: ...


_Config = TypeVar("_Config", bound=Config)


class Esp(Generic[_Config]):
    """One way to one ESP. What it has not is None; each thing that is opened has a pool of connections: close it."""

    def __init__(self, name: str, config: _Config) -> None:
        self.name, self.config = name, config

    def reached(self) -> tuple[str, str]:
        """Where and by which key: the same for two names of one account. Raises where that is not set up."""
        raise NotImplementedError

    @property
    def longest_request_seconds(self) -> float:
        """How long one request may take before it is given up. A batch by SMTP watches its own lease besides."""
        return self.config.connect_timeout_seconds + self.config.read_timeout_seconds

    def refuses(self) -> str | None:
        """Why no live marketing mail may go by it as it is set, if so."""
        return None

    def access(self) -> Access:
        """What its key may do, and for which domains and pools: asks the ESP. Raises what its calls raise."""
        raise NotImplementedError

    def mailer(self) -> ports.Mailer:
        """The adapter. Raises NotAMailer."""
        raise NotAMailer(f"{self.name} sends whole campaigns by itself, and no single messages")

    def host(self) -> CampaignHost | None:
        """Who stores the audience and sends the campaign, where this ESP does."""
        return None

    def scheduler(self) -> ports.Scheduler | None:
        """Who names the batches that it lets go later."""
        return None

    def inquirer(self) -> ports.Inquirer | None:
        """Who can be asked what became of a batch."""
        return None

    def lists(self) -> Lists | None:
        """Its suppression lists."""
        return None

    def templates(self) -> TemplateStore | None:
        """The templates that it keeps."""
        return None

    def stats(self) -> esp_record.StatsSource | None:
        """Its own statistics."""
        return None

    def activity(self) -> esp_record.ActivitySource | None:
        """Who tells what happened to messages when no webhook did."""
        return None


class SendGrid(Esp[SendGridConfig]):
    """SendGrid, and the sandbox where it speaks like it."""

    def reached(self) -> tuple[str, str]:
        return self.config.base_url, self.config.required_key()

    def refuses(self) -> str | None:
        if self.config.validate_only:
            return "OMS_SENDGRID_VALIDATE_ONLY is on: SendGrid would accept everything and send nothing."
        return None

    def access(self) -> Access:
        return sendgrid_access.access(Management(self.config))

    def mailer(self) -> ports.Mailer:
        return open_mailer(self.config)

    def scheduler(self) -> ports.Scheduler | None:
        return open_scheduler(self.config)

    def inquirer(self) -> ports.Inquirer | None:
        return open_inquirer(self.config)

    def lists(self) -> Lists | None:
        return SendGridSuppressions(Management(self.config))

    def templates(self) -> TemplateStore | None:
        return SendGridTemplates(Management(self.config))

    def stats(self) -> esp_record.StatsSource | None:
        return open_stats(self.config)

    def activity(self) -> esp_record.ActivitySource | None:
        return open_activity(self.config)


class Transactional(Esp[MailchimpConfig]):
    """Mailchimp Transactional."""

    def reached(self) -> tuple[str, str]:
        return self.config.transactional_base_url, self.config.required_transactional_key()

    def refuses(self) -> str | None:
        """The header's link is one recipient's own, and Mailchimp takes one set of headers for a whole request."""
        if self.config.transactional_batch_size > 1:
            return (
                "OMS_MAILCHIMP_TRANSACTIONAL_BATCH_SIZE is above 1, and only alone does a mail carry its List-Unsubscribe"
                " header, which Gmail and Yahoo require of marketing mail: set it to 1."
            )
        return None

    def access(self) -> Access:
        return mailchimp_access.transactional(self.config)

    def mailer(self) -> ports.Mailer:
        return open_transactional_mailer(self.config)

    def inquirer(self) -> ports.Inquirer | None:
        return open_transactional_inquirer(self.config)

    def lists(self) -> Lists | None:
        return TransactionalSuppressions(self.config)

    def templates(self) -> TemplateStore | None:
        return TransactionalTemplates(self.config)


class Marketing(Esp[MailchimpConfig]):
    """Mailchimp Marketing: a campaign host."""

    def reached(self) -> tuple[str, str]:
        key = self.config.marketing_token() or self.config.required_marketing_key()
        place = self.config.marketing_base_url or self.config.marketing_metadata_url
        return place, f"{key} {self.config.marketing_list_id}"

    def access(self) -> Access:
        return mailchimp_access.marketing(self.config)

    def host(self) -> CampaignHost | None:
        return open_host(self.config)

    def lists(self) -> Lists | None:
        return MarketingSuppressions(self.config)

    def templates(self) -> TemplateStore | None:
        return MarketingTemplates(self.config)


class Postmark(Esp[PostmarkConfig]):
    """One server, in Postmark's sense."""

    def reached(self) -> tuple[str, str]:
        return self.config.base_url, self.config.required_token()

    def access(self) -> Access:
        return postmark_access.access(self.config)

    def mailer(self) -> ports.Mailer:
        return open_postmark_mailer(self.config)


class Smtp(Esp[SmtpConfig]):
    """Any relay by SMTP. `link_key`: what Message-IDs and return paths are signed with."""

    def __init__(self, name: str, config: SmtpConfig, *, link_key: str) -> None:
        super().__init__(name, config)
        self._link_key = link_key

    def reached(self) -> tuple[str, str]:
        return f"smtp://{self.config.required_host()}:{self.config.port}", self.config.user

    def access(self) -> Access:
        return smtp_access.access(self.config)

    def mailer(self) -> ports.Mailer:
        return open_smtp_mailer(self.config, link_key=self._link_key)


AnyEsp = Esp[Any]
