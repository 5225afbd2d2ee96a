"""An ESP's lists in memory, with SendGrid's four kinds of refusal and a group: both ports, for tests of what lies between."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from domain.ports import ListedSuppression
from domain.suppression import Reason, Scope

_LISTS = {"bounces": Reason.HARD_BOUNCE, "spam": Reason.COMPLAINT, "global": Reason.UNSUBSCRIBE}


class Esp:
    """`dies_after` calls of put it takes the addresses of one more and does not answer."""

    at_once = 2

    def __init__(self, clock: datetime, *, group: bool = True) -> None:
        self.now = clock
        self.group = group
        self.lists: dict[tuple[str, str], datetime] = {}
        self.puts: list[tuple[str, tuple[str, ...]]] = []
        self.dies_after: int | None = None
        self.refuses: set[str] = set()

    def bounced(self, listing: str, address: str) -> None:
        self.lists[listing, address] = self.now

    def suppressions(self, since: datetime, until: datetime) -> Iterator[ListedSuppression]:
        for (listing, address), at in sorted(self.lists.items()):
            created = until if listing == "group" else at
            if since <= created <= until:
                reason = _LISTS.get(listing, Reason.UNSUBSCRIBE)
                yield ListedSuppression(address, reason, created, "words", listing, dated=listing != "group")

    def list_for(self, scope: Scope) -> str | None:
        return "global" if scope is not Scope.MARKETING else "group" if self.group else None

    def refusing(self, scope: Scope) -> Sequence[str]:
        return [*_LISTS, *(["group"] if self.group and scope is Scope.MARKETING else [])]

    def naming(self, reason: Reason) -> Sequence[str]:
        own = [one for one, means in _LISTS.items() if means is reason]
        return [*own, *(["group"] if reason is Reason.UNSUBSCRIBE else [])]

    def put(self, listing: str, addresses: Sequence[str]) -> Sequence[str]:
        self.puts.append((listing, tuple(addresses)))
        for address in addresses:
            if address not in self.refuses:
                self.lists.setdefault((listing, address), self.now)
        if self.dies_after is not None and len(self.puts) > self.dies_after:
            raise ConnectionResetError
        return [one for one in addresses if one in self.refuses]

    def take_off(self, listing: str, address: str) -> bool:
        self.lists.pop((listing, address), None)
        return True
