"""Ask a running sandbox what it accepted: the ESP's own record, which the audit compares the ledger with."""

from collections.abc import Mapping

import httpx

from providers import http


class RecordUnavailable(RuntimeError):
    """The sandbox gave no usable answer. Asking changes nothing, so it may be asked again."""


class SandboxRecord:
    """Of one sandbox, by its `url`."""

    def __init__(self, url: str, api_key: str) -> None:
        self.url = url
        self._api_key = api_key

    def accepted(self, run_id: str) -> Mapping[str, int]:
        """How many times each message id of a run was accepted. Raises RecordUnavailable."""
        # A run of a million messages takes the sandbox some seconds to count.
        timeouts = {"connect": 5.0, "read": 60.0, "write": 5.0, "pool": 5.0}
        with http.open_client(self.url, self._api_key, connections=1, **timeouts) as client:
            try:
                answer = client.get("/sandbox/accepted", params={"run": run_id}).raise_for_status()
            except httpx.HTTPError as error:
                raise RecordUnavailable(
                    f"the sandbox ESP did not say what it accepted ({type(error).__name__}): is it running?"
                ) from None
            counts: dict[str, int] = answer.json()
            return counts
