"""The official SDK of Mailchimp Marketing over our own transport: its methods, paths and queries, and none of its wire.

The vendor's client is handed an ApiClient of ours. Cured so (facts/esp-contracts.md section 5): 429, 403 and 503
without a body, which the SDK gives back as if they were answers; "server" in an id, which it replaces by the data
centre; a slash in an id, which it leaves; a new connection for each call; errors without a text; and proxies of the
environment. Every failure is a `calls.CallFailed`.
"""

from typing import Any
from urllib.parse import quote

import httpx
from mailchimp_marketing.api.campaigns_api import CampaignsApi
from mailchimp_marketing.api.lists_api import ListsApi
from mailchimp_marketing.api.reports_api import ReportsApi
from mailchimp_marketing.api.root_api import RootApi
from mailchimp_marketing.api.verified_domains_api import VerifiedDomainsApi
from mailchimp_marketing.api_client import ApiClient

from providers.mailchimp import calls


class Marketing:
    """Those of the SDK's parts that are used here, over one pooled client; safe to share between threads."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        transport = _PooledApiClient(client)
        self.lists = ListsApi(transport)
        self.campaigns = CampaignsApi(transport)
        self.reports = ReportsApi(transport)
        self.root = RootApi(transport)
        self.domains = VerifiedDomainsApi(transport)

    def close(self) -> None:
        """Give the pooled connections back."""
        self._client.close()


class _PooledApiClient(ApiClient):  # type: ignore[misc]  # the SDK has no types
    """Takes what the SDK would send, and sends it."""

    def __init__(self, client: httpx.Client) -> None:
        super().__init__({})
        self._client = client

    def call_api(
        self,
        resource_path: str,
        method: str,
        path_params: dict[str, Any] | None = None,
        query_params: list[tuple[str, Any]] | None = None,
        header_params: dict[str, str] | None = None,  # noqa: ARG002 - the signature is the SDK's
        body: Any = None,
        collection_formats: dict[str, str] | None = None,
        **_: Any,
    ) -> Any:
        for name, value in (path_params or {}).items():
            resource_path = resource_path.replace(f"{{{name}}}", quote(str(value), safe=""))
        query = dict(self.parameters_to_tuples(query_params or [], collection_formats))
        return calls.call(self._client, method, resource_path, body=body, **query)


def rows(answer: Any, key: str) -> list[dict[str, Any]]:
    """The list of objects that an answer holds. Raises CallFailed where it is not as documented."""
    found = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise calls.CallFailed(f"Mailchimp's answer has no list of {key}, as it should; nothing of it was used")
    return found


def text(answer: Any, key: str) -> str:
    """A text of an answer that we cannot do without. Raises CallFailed."""
    found = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(found, str) or not found:
        raise calls.CallFailed(f"Mailchimp's answer has no {key}, as it should; nothing of it was used")
    return found


def number(answer: Any, key: str) -> int:
    """A whole number of an answer that we cannot do without. Raises CallFailed."""
    found = answer.get(key) if isinstance(answer, dict) else None
    if type(found) is not int:
        raise calls.CallFailed(f"Mailchimp's answer has no {key}, as it should; nothing of it was used")
    return found
