"""How a channel's API is asked: one client with time-outs, the channel's own pace, and patience when it says "later".

Reading is safe to repeat, so unlike a mailer this client tries again: after 429 and 503 when the channel says so, after
other 5xx and broken connections with a growing pause.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Self

import httpx
from pydantic import BaseModel, Field, SecretStr, field_validator

_TRIES = 5
_LONGEST_PAUSE = 60.0  # seconds; who is told to wait longer comes back with the next pull
_TOO_MANY, _UNAVAILABLE, _SERVER_ERROR, _OK_BELOW = 429, 503, 500, 300
_REFUSED = {401, 403}
_HOST = re.compile(rb"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")  # a name, or an address of either kind


class ChannelRefused(RuntimeError):
    """The channel does not let us in, or does not know what we ask for. The message says what to check."""


class ChannelUnavailable(RuntimeError):
    """The channel does not answer, or puts us off. Nothing is lost: the next pull begins at the same place."""


class PutOff(ChannelUnavailable):
    """The channel's limit is used up for now. What was read before is sound: a long history takes several pulls."""


class Access(BaseModel):
    """How to reach one shop's API. Which of these a channel needs is in docs/connect-a-channel.md."""

    url: str = Field(description="base address, such as https://my-shop.myshopify.com")
    user: str = ""
    token: SecretStr = SecretStr("")
    secret: SecretStr = SecretStr("")
    refresh_token: SecretStr = SecretStr("")
    version: str = ""
    marketplaces: tuple[str, ...] = ()
    token_url: str = ""  # of a login that is elsewhere
    since_days: int | None = Field(None, ge=1, description="how far back the first pull reaches")
    page_size: int = Field(0, ge=0, description="0: the channel's own largest")
    options: dict[str, Any] = {}

    @field_validator("url", "token_url")
    @classmethod
    def _http(cls, url: str) -> str:
        if url and not _is_web_address(url):
            raise ValueError("needs the whole address: https://, then the host (http:// on your own machine)")
        return url.rstrip("/")

    @field_validator("user", "token", "secret", "refresh_token")
    @classmethod
    def _key(cls, key: str | SecretStr) -> str | SecretStr:
        """Keys travel in headers. What was pasted with a line break or an ellipsis can be none."""
        text = key if isinstance(key, str) else key.get_secret_value()
        if not text.isascii() or any(one.isspace() or not one.isprintable() for one in text):
            raise ValueError("holds a space, a line break or a letter that no key has: copy it anew")
        return key


def _is_web_address(url: str) -> bool:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return parsed.scheme in {"http", "https"} and _HOST.fullmatch(parsed.raw_host) is not None


@dataclass(slots=True)
class Pace:
    """A token bucket: `burst` requests at once, then `per_second`."""

    per_second: float
    burst: int
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _tokens: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._tokens, self._at = float(self.burst), self.clock()

    def wait(self) -> None:
        """Return when the next request may go. Raises ChannelUnavailable where that is too far off."""
        now = self.clock()
        self._tokens = min(float(self.burst), self._tokens + (now - self._at) * self.per_second)
        self._at = now
        self._tokens -= 1
        if self._tokens < 0:
            pause = -self._tokens / self.per_second
            if pause > _LONGEST_PAUSE:
                self._tokens += 1
                raise PutOff("the channel's own rate limit is used up: the next pull goes on from here")
            self.sleep(pause)


class Api:
    """One shop's API. Use it as a context manager."""

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        auth: httpx.Auth | tuple[str, str] | None = None,
        pace: Pace,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = httpx.Client(
            base_url=base_url,
            headers={"Accept": "application/json", **(headers or {})},
            auth=auth,
            timeout=httpx.Timeout(30.0, connect=10.0),
            follow_redirects=False,  # a token must not follow to another host
            trust_env=False,
        )
        self._pace = pace
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> httpx.Response:
        """Ask; `path` may be a whole URL of the same shop. Raises ChannelRefused, ChannelUnavailable."""
        return self._ask("GET", path, params=params)

    def post(self, path: str, body: Any, *, form: bool = False) -> httpx.Response:
        """Ask with a body that changes nothing (GraphQL, a login). Raises as get."""
        return self._ask("POST", path, **({"data": body} if form else {"json": body}))

    def rest(self, seconds: float) -> None:
        """Wait because an answer itself says so. Raises ChannelUnavailable where that is too long."""
        if seconds > _LONGEST_PAUSE:
            raise PutOff(f"{self._client.base_url.host} puts us off: the next pull goes on from here")
        if seconds > 0:
            self._sleep(seconds)

    def _ask(self, method: str, path: str, **sent: Any) -> httpx.Response:
        self._check_host(path)
        problem, later = "", False
        for attempt in range(_TRIES):
            self._pace.wait()
            try:
                response = self._client.request(method, path, **sent)
            except httpx.RequestError as error:  # of the wire, or a body that does not inflate
                problem, pause, later = type(error).__name__, 2.0**attempt, False
            else:
                if response.status_code < _OK_BELOW:
                    return response
                problem, pause = f"answers {response.status_code}", _pause(response, attempt, path)
                later = response.status_code == _TOO_MANY
            if pause > _LONGEST_PAUSE:
                break
            if attempt + 1 < _TRIES:
                self._sleep(pause)
        told = f"{self._client.base_url.host} {problem}: the next pull goes on from the same place"
        raise PutOff(told) if later else ChannelUnavailable(told)

    def _check_host(self, path: str) -> None:
        """A page's link to the next one must not carry our token elsewhere."""
        try:
            url = httpx.URL(path)
        except httpx.InvalidURL as error:
            raise ChannelRefused("the channel's link to its next page is no address") from error
        if url.is_absolute_url and (url.scheme, url.host, url.port) != (
            self._client.base_url.scheme,
            self._client.base_url.host,
            self._client.base_url.port,
        ):
            raise ChannelRefused("the channel's link to its next page leads to another host: it is not followed")


def _pause(response: httpx.Response, attempt: int, path: str) -> float:
    """Seconds until the next try. Raises ChannelRefused where trying again is of no use."""
    if response.status_code in {_TOO_MANY, _UNAVAILABLE}:
        asked = _retry_after(response.headers.get("retry-after", ""))
        return 2.0**attempt if asked is None else asked
    if response.status_code >= _SERVER_ERROR:
        return 2.0**attempt
    raise ChannelRefused(_refusal(response, path))


def _retry_after(said: str) -> float | None:
    """Seconds; the header says them, or until when (RFC 9110, section 10.2.3)."""
    try:
        seconds = float(said) if not said.endswith("GMT") else parsedate_to_datetime(said).timestamp() - time.time()
    except ValueError:
        return None
    return max(0.0, seconds)


def _refusal(response: httpx.Response, path: str) -> str:
    place = f"{response.request.url.host}{httpx.URL(path).path}"
    if response.status_code in _REFUSED:
        return (
            f"{place} answers {response.status_code}: the key in channels.yaml is wrong, has expired or lacks a scope"
        )
    return f"{place} answers {response.status_code}: check url and version in channels.yaml"


def json_of(response: httpx.Response) -> Any:
    """The answer's JSON, with numbers that are not whole as text. Raises ChannelUnavailable."""
    try:
        return json.loads(response.content, parse_float=str)
    except ValueError as error:
        raise ChannelUnavailable("the channel answers something that is no JSON") from error
