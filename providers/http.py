"""How every ESP is called: one pooled client, and the one table from what httpx raises to what is known of a batch.

No retries and no redirects: the ledger owns attempts, and a redirected POST may arrive twice or somewhere else.
Source of the table: shared/DESIGN.md section 4 and the outcome table of facts/reliability.md section 2.
"""

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache

import httpx

from domain.ledger import Outcome, OutcomeKind

# A request on a pooled connection that the ESP has just closed ends as RemoteProtocolError or ReadError, and that is
# `unknown` by rule. So an idle connection is dropped long before the other side would do it: nginx, which answers for
# SendGrid, closes after 75 s unless told otherwise, cloud load balancers after 60 s. Wave after wave of batches goes
# out within milliseconds; 8 s idle means that the campaign is over.
_KEEPALIVE_SECONDS = 8.0

# Every exception class of httpx by its exact type, so that a new subclass of a harmless one is not harmless by birth.
# NOT_SENT is what happens before the first byte of a request: name resolution, TCP, TLS, a proxy that does not open
# its tunnel, waiting for a free connection, a URL that is none. All else may have reached the ESP.
KIND_OF_EXCEPTION: dict[type[Exception], OutcomeKind] = {
    httpx.ConnectError: OutcomeKind.NOT_SENT,
    httpx.ConnectTimeout: OutcomeKind.NOT_SENT,
    httpx.PoolTimeout: OutcomeKind.NOT_SENT,
    httpx.ProxyError: OutcomeKind.NOT_SENT,
    httpx.UnsupportedProtocol: OutcomeKind.NOT_SENT,
    httpx.InvalidURL: OutcomeKind.NOT_SENT,
    httpx.CloseError: OutcomeKind.UNKNOWN,
    httpx.CookieConflict: OutcomeKind.UNKNOWN,
    httpx.DecodingError: OutcomeKind.UNKNOWN,
    httpx.HTTPError: OutcomeKind.UNKNOWN,
    httpx.HTTPStatusError: OutcomeKind.UNKNOWN,
    # h11 also raises it between the headers and the body, when the headers are already on their way.
    httpx.LocalProtocolError: OutcomeKind.UNKNOWN,
    httpx.NetworkError: OutcomeKind.UNKNOWN,
    httpx.ProtocolError: OutcomeKind.UNKNOWN,
    httpx.ReadError: OutcomeKind.UNKNOWN,
    httpx.ReadTimeout: OutcomeKind.UNKNOWN,
    httpx.RemoteProtocolError: OutcomeKind.UNKNOWN,
    httpx.RequestError: OutcomeKind.UNKNOWN,
    httpx.RequestNotRead: OutcomeKind.UNKNOWN,
    httpx.ResponseNotRead: OutcomeKind.UNKNOWN,
    httpx.StreamClosed: OutcomeKind.UNKNOWN,
    httpx.StreamConsumed: OutcomeKind.UNKNOWN,
    httpx.StreamError: OutcomeKind.UNKNOWN,
    httpx.TimeoutException: OutcomeKind.UNKNOWN,
    httpx.TooManyRedirects: OutcomeKind.UNKNOWN,
    httpx.TransportError: OutcomeKind.UNKNOWN,
    httpx.WriteError: OutcomeKind.UNKNOWN,
    httpx.WriteTimeout: OutcomeKind.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an HTTP status says of a batch. `stop`: somebody has to mend the configuration first."""

    kind: OutcomeKind
    stop: bool = False


# facts/reliability.md section 2. Whatever neither this table nor the vendor's own knows is unknown, every 5xx above all.
VERDICTS = {
    400: Verdict(OutcomeKind.REJECTED),
    413: Verdict(OutcomeKind.REJECTED),
    422: Verdict(OutcomeKind.REJECTED),
    # It is the base URL, a proxy or our program, and nothing was taken. The same mails pass once that is mended, so
    # they must not end as rejected.
    404: Verdict(OutcomeKind.NOT_SENT, stop=True),
    405: Verdict(OutcomeKind.NOT_SENT, stop=True),
    415: Verdict(OutcomeKind.NOT_SENT, stop=True),
    401: Verdict(OutcomeKind.NOT_SENT, stop=True),
    403: Verdict(OutcomeKind.NOT_SENT, stop=True),
    429: Verdict(OutcomeKind.NOT_SENT),
    # No ESP's API redirects, so a proxy or a wrong base URL (http for https) spoke. These three say that the resource
    # is elsewhere and nothing was done here. 302 and 303 are also how a server answers after it did the work, so they
    # stay unknown.
    301: Verdict(OutcomeKind.NOT_SENT, stop=True),
    307: Verdict(OutcomeKind.NOT_SENT, stop=True),
    308: Verdict(OutcomeKind.NOT_SENT, stop=True),
}
ANYTHING_ELSE = Verdict(OutcomeKind.UNKNOWN)

# A word of the other side that parks a batch is believed within these bounds: no hot loop, no batch parked for a year.
_SHORTEST_WAIT = timedelta(seconds=1)
_LONGEST_WAIT = timedelta(hours=1)


@lru_cache(maxsize=1)
def ssl_context() -> ssl.SSLContext:
    """The process's one TLS context: reading the CA store costs about 20 ms, each time."""
    return httpx.create_ssl_context(trust_env=False)


def open_client(
    base_url: str, token: str, *, connect: float, read: float, write: float, pool: float, connections: int
) -> httpx.Client:
    """Return a client that carries the token and keeps up to `connections` open; times are seconds. Close it."""
    if not token or not token.isascii() or any(not "!" <= character <= "~" for character in token):
        raise ValueError(
            "the API key is empty or holds spaces or other characters that no key has: paste it again, without quotes"
        )
    url = httpx.URL(base_url)
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError("the base URL must begin with https:// (or http:// on your own machine) and name a host")
    return httpx.Client(
        base_url=url,
        headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
        timeout=httpx.Timeout(connect=connect, read=read, write=write, pool=pool),
        limits=httpx.Limits(
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=_KEEPALIVE_SECONDS
        ),
        verify=ssl_context(),
        follow_redirects=False,
        # The environment must not decide where customers' addresses go: no proxy variables, and no .netrc, which
        # would put its own password in place of our key.
        trust_env=False,
    )


def outcome_of_exception(error: Exception) -> Outcome:
    """What is known of a batch whose request ended in `error`; the detail names classes, never texts or addresses."""
    kind = KIND_OF_EXCEPTION.get(type(error), OutcomeKind.UNKNOWN)
    own, root = type(error).__name__, type(_root(error)).__name__
    return Outcome(kind, detail=own if own == root else f"{own} from {root}")


def told(error: Exception, host: str) -> str:
    """Why there was no answer, for a person: nothing of the request, of the exception its kind alone."""
    root = _root(error)
    if isinstance(root, socket.gaierror):
        return f"the name {host} cannot be resolved: check how it is written, and this machine's network"
    if isinstance(root, ssl.SSLCertVerificationError):
        return f"the certificate of {host} is not good: a proxy in between, or a wrong clock"
    if isinstance(root, ConnectionRefusedError):
        return f"{host} refused the connection: check the address, the port and any firewall"
    if isinstance(error, httpx.TimeoutException) or isinstance(root, TimeoutError):
        return f"{host} did not answer in time: check the network and any firewall"
    own = type(error).__name__
    return own if error is root else f"{own} from {type(root).__name__}"


def _root(error: Exception) -> BaseException:
    """The operating system's own exception (gaierror, ConnectionRefusedError, SSLCertVerificationError …), if any.

    httpx raises from httpcore's exception, and that one carries the first of all as its argument; so does URLError.
    """
    inner = error.__cause__ or error
    first = inner.args[0] if inner.args else inner
    return first if isinstance(first, BaseException) else inner


def retry_after(header: str | None, *, now: datetime) -> timedelta | None:
    """Read a Retry-After header, seconds or a date (RFC 9110), as a bounded time to wait."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return bounded_wait(int(text[:9]))
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return bounded_wait((at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())


def bounded_wait(seconds: float) -> timedelta:
    """Cut a time to wait, as an ESP asks for it, to between a second and an hour."""
    return min(max(timedelta(seconds=seconds), _SHORTEST_WAIT), _LONGEST_WAIT)
