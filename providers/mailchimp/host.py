"""Mailchimp Marketing as a CampaignHost. Each step looks for what is there; none but the last needs a claim."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from domain.campaign_host import CampaignHost, HostedCampaign, HostStatus, HostUnavailable, Member, MemberRefusal
from domain.delivery import DeliveryEvent
from domain.ledger import Outcome
from providers.mailchimp import audience, campaign, reports
from providers.mailchimp.audience import Audience
from providers.mailchimp.calls import CallFailed, open_marketing
from providers.mailchimp.campaign import Campaigns
from providers.mailchimp.config import MailchimpConfig
from providers.mailchimp.sdk import Marketing


class MailchimpHost:
    """One pooled client; safe to share between threads."""

    members_at_once = audience.AT_ONCE

    def __init__(self, api: Marketing, list_id: str, *, clock: Callable[[], datetime] = campaign.utc_now) -> None:
        self._api = api
        self._clock = clock
        self._audience = Audience(api, list_id)
        self._campaigns = Campaigns(api, list_id, clock=clock)

    def prepare(self, key: str, variables: Sequence[str]) -> None:
        """Make a field for each variable but the links, which are Mailchimp's own, and the run's segment."""
        with _told():
            self._audience.prepare(key, variables)

    def put_members(self, key: str, members: Sequence[Member]) -> Sequence[MemberRefusal]:
        """Store these and put them into the segment. Nobody who left, bounced or complained is subscribed again."""
        with _told():
            return self._audience.put(key, members)

    def leave_out(self, key: str, addresses: Sequence[str]) -> None:
        """Take these out of the run's segment."""
        with _told():
            self._audience.leave_out(key, addresses)

    def members(self, key: str) -> int:
        """How many of the run's segment are subscribed."""
        with _told():
            return self._audience.members(key)

    def campaign(self, campaign: HostedCampaign) -> str:
        """Find the campaign by the key in its title, or make it."""
        with _told():
            return self._campaigns.find_or_make(campaign, self._audience.segment(campaign.key))

    def fill(self, campaign_id: str, campaign: HostedCampaign) -> None:
        """Give it sender, subject, segment and body."""
        with _told():
            self._campaigns.fill(campaign_id, campaign, self._audience.segment(campaign.key))

    def faults(self, campaign_id: str) -> Sequence[str]:
        """The errors of Mailchimp's send checklist."""
        with _told():
            return self._campaigns.faults(campaign_id)

    def test(self, campaign_id: str, addresses: Sequence[str]) -> None:
        """Send a test. It shows no recipient's values: Mailchimp fills merge tags from its audience at the send alone."""
        with _told():
            self._campaigns.test(campaign_id, addresses)

    def goes_at(self, at: datetime) -> datetime:
        """The next quarter of an hour that is not before `at` and three minutes away or more."""
        return self._campaigns.goes_at(at)

    def schedule(self, campaign_id: str, at: datetime) -> Outcome:
        """Have it sent then."""
        return self._campaigns.schedule(campaign_id, at)

    def unschedule(self, campaign_id: str) -> None:
        """Make it a draft again, which it may be already."""
        with _told():
            self._campaigns.unschedule(campaign_id)

    def discard(self, campaign_id: str) -> None:
        """Delete the draft."""
        with _told():
            self._campaigns.discard(campaign_id)

    def status(self, campaign_id: str) -> HostStatus:
        """Where it is."""
        return self._campaigns.status(campaign_id)

    def clear(self, key: str) -> None:
        """Take the run's fields and segment away. Raises HostUnavailable while a campaign still needs them."""
        with _told():
            if self._campaigns.under_way(key):
                raise HostUnavailable("the run's campaign is still under way at Mailchimp: nothing was taken away")
            self._audience.clear(key)

    def events(self, campaign_id: str, *, since: datetime | None) -> Iterable[DeliveryEvent]:
        """The reports' rows as events, page by page."""
        with _told():
            yield from reports.events(self._api, campaign_id, since=since, now=self._clock())

    def close(self) -> None:
        """Give the pooled connections back."""
        self._api.close()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except CallFailed as error:
        raise campaign.told(error) from None


def open_host(config: MailchimpConfig) -> CampaignHost:
    """A host with a pool of its own; close it. Raises MailchimpNotConfigured and HostUnavailable."""
    list_id = config.required_list_id()
    with _told():
        return MailchimpHost(Marketing(open_marketing(config)), list_id)
