"""routes.yaml: which ESPs there are, and by which of them, through which pool and domain, each account sends.

routes.example.yaml shows every key. It holds no secret: of a key it names the environment variable. A changed file is
read anew; one that cannot be right is refused whole, so that no mail takes a way that nobody meant.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from domain import mailbox_groups
from domain.routes import MIXED, Route
from domain.suppression import Stream
from providers.esp_connection import BUILT_IN, HOSTS, NAME, SCHEDULING, Connection, Contract, PaceRow, Row

_DOMAIN = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]$"


class UnusableRoutes(ValueError):
    """routes.yaml cannot be used. The message says where and why; it repeats no value that might be a secret."""


class UnknownConnection(LookupError):
    """No provider of that name is declared; the message names those there are."""


class RouteRow(Row):
    """One way out of one account; see domain.routes.Route."""

    name: str = Field(pattern=NAME)
    stream: Stream
    provider: str
    pool: str = Field(pattern=NAME)
    domain: str = Field(
        pattern=_DOMAIN, max_length=253, description="small letters, without scheme; international ones as xn--"
    )
    share: float = Field(1.0, ge=0, allow_inf_nan=False, description="among its equals; 0: only in an emergency")
    priority: int = Field(1, ge=1)
    shared_pool: bool = False
    warm_up: bool = False
    authenticated: bool = True
    release: dict[str, PaceRow] = Field(default_factory=dict)

    @field_validator("release")
    @classmethod
    def _known_groups(cls, release: dict[str, PaceRow]) -> dict[str, PaceRow]:
        known = {*mailbox_groups.NAMES, MIXED, "*"}
        if unknown := sorted(release.keys() - known):
            raise ValueError(f"no mailbox group is named {', '.join(unknown)}; there are: {', '.join(sorted(known))}")
        return release


class RoutesFile(Row):
    """The whole file."""

    providers: dict[str, Connection] = Field(default_factory=dict)
    accounts: dict[str, tuple[RouteRow, ...]] = Field(default_factory=dict)
    residency: dict[str, str] = Field({}, description="account -> where its data must stay, such as eu")

    @model_validator(mode="after")
    def _sound(self) -> "RoutesFile":
        if faults := [
            *self._unknown(),
            *self._twice(),
            *self._of_both_streams(),
            *self._shared_unsaid(),
            *self._by_hosts(),
            *self._twofold(),
        ]:
            raise ValueError("; ".join(faults))
        return self

    def routes(self, account_id: str, stream: Stream) -> tuple[Route, ...]:
        """By which ways this stream of the account may leave, in the order of the file."""
        return tuple(one for one in self.of_account(account_id) if one.stream is stream)

    def of_account(self, account_id: str) -> tuple[Route, ...]:
        """All ways of the account."""
        return tuple(_route(account_id, row, self.providers[row.provider]) for row in self.accounts.get(account_id, ()))

    @property
    def rehearsals(self) -> frozenset[str]:
        """The providers that deliver to nobody, the built-in sandbox among them."""
        return frozenset({"sandbox"} | {name for name, one in self.providers.items() if one.kind == "sandbox"})

    @property
    def vendors(self) -> dict[str, str]:
        """Provider → by whose webhook its events come, where that is another name: the sandbox posts as SendGrid does."""
        return {"sandbox": "sendgrid"} | {name: one.contract for name, one in self.providers.items()}

    @property
    def contracts(self) -> dict[str, Contract]:
        """Whose contract each provider speaks, of the settings' own and the declared ones."""
        return {**BUILT_IN, **{name: one.contract for name, one in self.providers.items()}}

    @property
    def hosts(self) -> frozenset[str]:
        """The providers that send whole campaigns by themselves."""
        return frozenset(name for name, contract in self.contracts.items() if contract in HOSTS)

    @property
    def users(self) -> dict[str, frozenset[str]]:
        """By whose webhook events come → the accounts that have a route to it."""
        found: dict[str, set[str]] = {}
        for account, rows in self.accounts.items():
            for row in rows:
                found.setdefault(self.vendors[row.provider], set()).add(account)
        return {vendor: frozenset(accounts) for vendor, accounts in found.items()}

    def provider(self, name: str) -> Connection:
        """The connection of that name. Raises UnknownConnection."""
        if (found := self.providers.get(name)) is None:
            known = ", ".join(self.providers) or "none"
            raise UnknownConnection(f"routes.yaml declares no provider {name!r}; it declares: {known}")
        return found

    def _unknown(self) -> Iterator[str]:
        for account, rows in self.accounts.items():
            for row in rows:
                if row.provider not in self.providers:
                    yield f"accounts.{account}: route {row.name} names a provider that is not declared"

    def _twofold(self) -> Iterator[str]:
        for name, one in self.providers.items():
            other = self.providers.get(one.esp_account or name)
            if other is not None and other.esp_account not in {None, one.esp_account}:
                yield f"providers.{name}: esp_account names a provider that is of another account"

    def _twice(self) -> Iterator[str]:
        for account, rows in self.accounts.items():
            names = [row.name for row in rows]
            for name in sorted({name for name in names if names.count(name) > 1}):
                yield f"accounts.{account}: there are two routes {name}"

    def _by_hosts(self) -> Iterator[str]:
        for account, rows in self.accounts.items():
            for row in rows:
                if row.provider in self.hosts and row.stream is Stream.TRANSACTIONAL:
                    yield f"accounts.{account}: route {row.name} is transactional, and {row.provider} sends campaigns only"

    def _shared_unsaid(self) -> Iterator[str]:
        """Who sends through another's pool must have a good record: only a pool that is said to be shared asks for it."""
        users: dict[tuple[str, str], set[str]] = {}
        for account, rows in self.accounts.items():
            for row in rows:
                users.setdefault((row.provider, row.pool), set()).add(account)
        for account, rows in self.accounts.items():
            for row in rows:
                if len(users[row.provider, row.pool]) > 1 and not row.shared_pool:
                    yield f"accounts.{account}: pool {row.pool} is of several accounts; say shared_pool: true"

    def _of_both_streams(self) -> Iterator[str]:
        """Trouble of marketing must not reach the mail that customers wait for (facts/reliability.md E46)."""
        for account, rows in self.accounts.items():
            for pool in _in_both((row.pool, row.stream) for row in rows):
                yield f"accounts.{account}: pool {pool} is of both streams; give each stream a pool of its own"
            for variable in _in_both((key, row.stream) for row in rows if (key := self._key(row)) is not None):
                yield f"accounts.{account}: the key {variable} is of both streams; make one for each at the ESP"
        for domain in _in_both((row.domain, row.stream) for rows in self.accounts.values() for row in rows):
            yield f"the domain {domain} is of both streams; give each stream a subdomain of its own"

    def _key(self, row: RouteRow) -> str | None:
        found = self.providers.get(row.provider)
        return found.api_key_env if found is not None and found.kind != "sandbox" else None


def _in_both(pairs: Iterable[tuple[str, Stream]]) -> list[str]:
    streams: dict[str, set[Stream]] = {}
    for what, stream in pairs:
        streams.setdefault(what, set()).add(stream)
    return [what for what, found in streams.items() if len(found) > 1]


def _route(account_id: str, row: RouteRow, connection: Connection) -> Route:
    return Route(
        **row.model_dump(exclude={"release"}),
        account_id=account_id,
        cost_per_thousand=connection.cost_per_thousand,
        residency=connection.residency,
        concurrency=connection.concurrency,
        ip_pool=connection.ip_pool,
        schedules=connection.contract in SCHEDULING,
        hand_over=connection.hand_over.pace(),
        release={group: pace.pace() for group, pace in row.release.items()},
    )


def built_in(account_id: str, domain: str) -> tuple[Route, ...]:
    """The ways of an account of which no file says anything: each provider of the settings, with a pool a stream."""
    return tuple(
        Route(
            f"{provider}-{stream}",
            account_id,
            stream,
            provider,
            f"{provider}-{stream}",
            domain,
            schedules=contract in SCHEDULING,
        )
        for provider, contract in BUILT_IN.items()
        for stream in Stream
        if stream is Stream.MARKETING or contract not in HOSTS
    )


def load(path: Path) -> RoutesFile:
    """Read the file; none declares nothing. A changed file is read anew. Raises UnusableRoutes."""
    try:
        seen = path.stat()
    except FileNotFoundError:
        return RoutesFile()
    except OSError as error:
        raise UnusableRoutes(f"{path} cannot be read: {error.strerror}") from error
    return _load(path, (seen.st_mtime_ns, seen.st_size, seen.st_ino))


class _Twice(yaml.MarkedYAMLError):
    pass


class _OnceEach(yaml.SafeLoader):
    """YAML lets the last of two equal keys win in silence; here a second provider of one name is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [str(key.value) for key, _ in node.value]
        if len(keys) != len(set(keys)):
            raise _Twice(problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


@lru_cache(maxsize=4)
def _load(path: Path, _stamp: tuple[int, int, int]) -> RoutesFile:
    try:
        text = path.read_text("utf-8")
        return RoutesFile.model_validate(yaml.load(text, _OnceEach) or {})  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableRoutes(f"{path} cannot be read: {type(error).__name__}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        why = "a key is there twice in what begins there" if isinstance(error, _Twice) else "this is no YAML"
        raise UnusableRoutes(f"{path}{place}: {why}") from None  # its own text quotes the line
    except ValidationError as error:
        told = "; ".join(map(_told, error.errors(include_input=False, include_context=False)))
        raise UnusableRoutes(f"{path}: {told}. routes.example.yaml shows every key") from None


def _told(mistake: Mapping[str, Any]) -> str:
    place = ".".join(map(str, mistake["loc"]))
    told = str(mistake["msg"]).removeprefix("Value error, ")
    if place.endswith("api_key_env"):
        told = "write the name of the environment variable, such as SENDGRID_MARKETING_KEY, never the key"
    return f"{place}: {told}" if place else told
