"""A run's share of a Mailchimp audience: its fields, its members' values, its segment.

Nobody is subscribed again. `POST /lists/{id}` with `update_existing` "will change existing members' subscription status"
(the vendor's API document), and whom this engine once unsubscribed there by API is in no compliance state that would stop
it. So the calls for up to 500 members go: add those whom Mailchimp does not know, with `update_existing` off, which
changes nobody who is there; read the state of the others from a segment that is made for it; and only of those who are
subscribed write the values, without a status: who is unsubscribed between the two calls stays so. `status_if_new` would say
it in one call, but PUT takes one member each.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from domain.campaign_host import HostRefuses, HostUnavailable, Member, MemberRefusal
from providers.mailchimp import fields, member_data
from providers.mailchimp.calls import CallFailed
from providers.mailchimp.sdk import Marketing, number, rows

AT_ONCE = 500
_MOST_ROWS = 1000
_PAGE = 500  # of members: 1000 are allowed, and time out on large audiences
_EXISTS = "ERROR_CONTACT_EXISTS"
_BAD_REQUEST = 400
_NOT_FOUND = 404


class Audience:
    """One list at Mailchimp. Everything may be repeated; all raise CallFailed."""

    def __init__(self, api: Marketing, list_id: str) -> None:
        self._api = api
        self._list = list_id
        self._segments: dict[str, int] = {}

    def prepare(self, key: str, variables: Iterable[str]) -> None:
        """Make the run's fields and its segment, as far as they are not there."""
        there = {field["tag"]: str(field.get("name", "")) for field in self._fields()}
        for variable in variables:
            tag, name = fields.tag(key, variable), fields.name(key, variable)
            if variable in fields.SYSTEM_TAGS or there.get(tag) == name:
                continue
            if tag in there:
                raise HostRefuses(f"Mailchimp's audience has a field {tag} that is not this run's: delete it there")
            self._add_field({"name": name, "type": "text", "tag": tag, "public": False, "required": False})
        self.segment(key)

    def _fields(self) -> list[dict[str, Any]]:
        return rows(self._api.lists.get_list_merge_fields(self._list, count=_MOST_ROWS), "merge_fields")

    def _add_field(self, field: dict[str, Any]) -> None:
        try:
            self._api.lists.add_list_merge_field(self._list, field)
        except CallFailed as error:
            # Not 429, whose words are of a limit, too.
            if error.status == _BAD_REQUEST and "limit" in str(error).casefold():
                raise HostRefuses(
                    f"{error}. An audience has 30 fields, 80 on Premium, and each run needs one for each variable until"
                    " it has settled: delete fields that nobody needs, or let other runs end first"
                ) from None
            raise

    def segment(self, key: str) -> int:
        """The id of the run's static segment, which is made where there is none."""
        if key not in self._segments:
            same = [one["id"] for one in self._static() if one.get("name") == _segment_name(key)]
            self._segments[key] = min(same) if same else self._make(_segment_name(key), [])
        return self._segments[key]

    def _static(self) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            answer = self._api.lists.list_segments(self._list, type="static", count=_MOST_ROWS, offset=offset)
            found = rows(answer, "segments")
            yield from found
            if len(found) < _MOST_ROWS:
                return
            offset += _MOST_ROWS

    def _make(self, name: str, addresses: Sequence[str]) -> int:
        body = {"name": name, "static_segment": list(addresses)}
        return number(self._api.lists.create_segment(self._list, body), "id")

    def put(self, key: str, members: Sequence[Member]) -> list[MemberRefusal]:
        """Store these with their values and put them into the run's segment; who was refused, and why."""
        if len(members) > AT_ONCE:
            raise ValueError(f"Mailchimp takes {AT_ONCE} members at once, and these are {len(members)}")
        asked, refused = member_data.readable(members)
        no = self._batch([member_data.body(key, one, known=False) for one in asked.values()], update=False)
        there = [address for address in asked if no.get(address, ("", ""))[0] == _EXISTS]
        no = {address: why for address, why in no.items() if address not in there}
        states = self._states(key, there) if there else {}
        for address in there:
            if states.get(address) != member_data.SUBSCRIBED:
                no[address] = _not_subscribed(states.get(address))
        known = [member_data.body(key, asked[one], known=True) for one in there if one not in no]
        no |= self._batch(known, update=True)
        self._into_segment(key, [asked[address].address for address in asked if address not in no])
        return [
            *refused,
            *(
                member_data.refusal(asked[one].message_id, why, state)
                for one, (state, why) in no.items()
                if one in asked
            ),
        ]

    def _batch(self, bodies: Sequence[dict[str, Any]], *, update: bool) -> dict[str, tuple[str, str]]:
        """One call; by address whom Mailchimp did not take, with its code or her state, and words. It answers 200 always."""
        if not bodies:
            return {}
        answer = self._api.lists.batch_list_members(
            self._list, {"members": list(bodies), "update_existing": update}, skip_merge_validation="true"
        )
        no = {
            member_data.known(row.get("email_address")): (
                str(row.get("error_code") or ""),
                str(row.get("error") or "no reason"),
            )
            for row in rows(answer, "errors")
        }
        took = [*rows(answer, "new_members"), *rows(answer, "updated_members")]
        states = {member_data.known(row.get("email_address")): str(row.get("status") or "") for row in took}
        for body in bodies:
            address = member_data.known(body["email_address"])
            if address not in no and states.get(address) != member_data.SUBSCRIBED:
                no[address] = _not_subscribed(states.get(address))
        return no

    def _states(self, key: str, addresses: Sequence[str]) -> dict[str, str]:
        """In which state those whom Mailchimp knows are: read from a segment that is made of them and taken away.

        Whom the segment does not show (who has not confirmed yet, above all) is asked for by herself.
        """
        with self._passing_segment(key, addresses) as segment:
            answer = self._api.lists.get_segment_members_list(
                self._list,
                segment,
                count=_PAGE,
                include_cleaned="true",
                include_transactional="true",
                include_unsubscribed="true",
                fields=["members.email_address", "members.status"],
            )
        shown = {
            member_data.known(row.get("email_address")): str(row.get("status") or "") for row in rows(answer, "members")
        }
        return {one: shown[one] if one in shown else self._state(one) for one in addresses}

    def _state(self, address: str) -> str:
        """Of one, by the MD5 of her address; empty where Mailchimp knows nobody."""
        subscriber = hashlib.md5(address.lower().encode(), usedforsecurity=False).hexdigest()
        try:
            answer = self._api.lists.get_list_member(self._list, subscriber, fields=["status"])
        except CallFailed as error:
            if error.status != _NOT_FOUND:
                raise
            return ""
        return str(answer.get("status") or "") if isinstance(answer, dict) else ""

    @contextmanager
    def _passing_segment(self, key: str, addresses: Sequence[str]) -> Iterator[int]:
        segment = self._make(f"{_segment_name(key)} {secrets.token_hex(4)}", addresses)
        try:
            yield segment
        finally:
            with suppress(CallFailed):  # `clear` takes away what is left of these
                self._delete_segment(segment)

    def _into_segment(self, key: str, addresses: Sequence[str]) -> None:
        """Unknown addresses are ignored in silence, and who is in already is not told as added.

        So those who are not told are taken out and put in once more: it takes two calls, where reading the segment
        takes one for each 500 of the whole run. Who was taken a moment ago and is still not in may be so in a moment.
        """
        missing = self._added(key, addresses)
        if missing:
            self._change(key, {"members_to_remove": missing})
            missing = self._added(key, missing)
        if missing:
            raise HostUnavailable(
                f"Mailchimp took {len(addresses)} members, and {len(missing)} of them are not in the run's segment;"
                " nothing was scheduled: try again"
            )

    def _added(self, key: str, addresses: Sequence[str]) -> list[str]:
        """Those of whom Mailchimp does not say that it put them in."""
        if not addresses:
            return []
        answer = self._change(key, {"members_to_add": list(addresses)})
        added = {member_data.known(row.get("email_address")) for row in rows(answer, "members_added")}
        return [address for address in addresses if member_data.known(address) not in added]

    def _change(self, key: str, body: dict[str, list[str]]) -> Any:
        segment = self.segment(key)
        return self._of_segment(key, self._api.lists.batch_segment_members, body, self._list, segment)

    def _in_segment(self, segment: int) -> Iterator[str]:
        offset = 0
        while True:
            answer = self._api.lists.get_segment_members_list(
                self._list, segment, count=_PAGE, offset=offset, fields=["members.email_address"]
            )
            found = rows(answer, "members")
            yield from (member_data.known(row.get("email_address")) for row in found)
            if len(found) < _PAGE:
                return
            offset += _PAGE

    def leave_out(self, key: str, addresses: Sequence[str]) -> None:
        """Take these out of the run's segment, so many at once as Mailchimp takes, and see that they are out."""
        left: set[str] = set()
        for start in range(0, len(addresses), AT_ONCE):
            some = list(addresses[start : start + AT_ONCE])
            answer = self._change(key, {"members_to_remove": some})
            gone = {member_data.known(row.get("email_address")) for row in rows(answer, "members_removed")}
            left |= {member_data.known(one) for one in some} - gone
        if left and left & set(self._in_segment(self.segment(key))):
            raise HostUnavailable(
                "Mailchimp left members in the run's segment who are to be out of it; nothing was scheduled: try again"
            )

    def members(self, key: str) -> int:
        """How many of the run's segment would get the campaign."""
        fields_read = ["total_items", "members.id"]
        segment = self.segment(key)
        answer = self._of_segment(
            key, self._api.lists.get_segment_members_list, self._list, segment, count=1, fields=fields_read
        )
        return number(answer, "total_items")

    def _of_segment(self, key: str, call: Callable[..., Any], *args: Any, **query: Any) -> Any:
        """A call of the SDK's about the run's segment, which another process may have taken away since it was found."""
        try:
            return call(*args, **query)
        except CallFailed as error:
            if error.status == _NOT_FOUND and self._segments.pop(key, None) is not None:
                raise HostUnavailable("the run's segment is gone from Mailchimp's audience: it is made anew") from None
            raise

    def clear(self, key: str) -> None:
        """Take away the run's fields with their values, its segment and what is left of passing ones."""
        for field in self._fields():
            if fields.is_of(key, tag=str(field.get("tag", "")), name=str(field.get("name", ""))):
                self._gone_already(self._api.lists.delete_list_merge_field, str(field["merge_id"]))
        name = _segment_name(key)
        for segment in list(self._static()):
            if str(segment.get("name", "")).partition(" ")[0] == name:
                self._delete_segment(segment["id"])
        self._segments.pop(key, None)

    def _delete_segment(self, segment: int) -> None:
        self._gone_already(self._api.lists.delete_segment, str(segment))

    def _gone_already(self, delete: Any, one: str) -> None:
        try:
            delete(self._list, one)
        except CallFailed as error:
            if error.status != _NOT_FOUND:
                raise


def _not_subscribed(state: str | None) -> tuple[str, str]:
    return state or "", member_data.told_of(state)


def _segment_name(key: str) -> str:
    """Without a blank, so that a passing segment's name can go on after one; Mailchimp's limit is 100 characters."""
    return "-".join(key.split())[:80]
