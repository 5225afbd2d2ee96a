"""SendGrid's management calls through its official SDK, behind a wrapper that cures what would hurt.

Cured (facts/esp-contracts.md section 5): no timeout; redirects that turn a POST into a GET and carry the key to
another host; headers of one call that leak into all later ones; proxies from the environment; DEBUG logs that print
the key; and a dozen kinds of exception where a caller needs one.
"""

import http.client
import json
import logging
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import IO, Any

import python_http_client
import sendgrid
from python_http_client.exceptions import HTTPError

from domain.masking import masked
from providers import http as pooled
from providers.sendgrid.config import SendGridConfig

_SDK_LOGGER = "python_http_client.client"


class ManagementError(RuntimeError):
    """A management call gave no usable answer. All of them may be repeated. Names no address."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Management:
    """What one SendGrid account is asked and told besides mail."""

    def __init__(self, config: SendGridConfig) -> None:
        base_url = config.base_url.rstrip("/")
        sdk = sendgrid.SendGridAPIClient(config.required_key(), host=base_url)
        self._root = _CuredClient(
            host=base_url,
            request_headers=sdk.client.request_headers,
            version=3,
            timeout=config.read_timeout_seconds,
        )

        self._address = urllib.parse.urlsplit(base_url).hostname or base_url
        self.asm_group_id = config.asm_group_id

    def get(self, path: str, params: Mapping[str, int | str]) -> Any:
        """Read /v3/`path`. Raises ManagementError."""
        return self._call("get", path, query_params=dict(params))

    def post(self, path: str, body: dict[str, Any] | None) -> Any:
        """Add to /v3/`path`, or have done what it names. Raises ManagementError."""
        return self._call("post", path, request_body=body)

    def delete(self, path: str, body: dict[str, Any] | None = None) -> None:
        """Take away /v3/`path`, or what of it `body` names. Raises ManagementError."""
        self._call("delete", path, request_body=body)

    def _call(self, method: str, path: str, **options: Any) -> Any:
        logger = logging.getLogger(_SDK_LOGGER)
        if logger.isEnabledFor(logging.DEBUG):  # there the SDK prints all headers, our key among them
            logger.setLevel(logging.INFO)
        client = self._root
        for segment in path.split("/"):
            client = client._(segment)
        try:
            answer = getattr(client, method)(**options)
            return json.loads(answer.body) if answer.body or method == "get" else None
        except HTTPError as error:
            raise ManagementError(_refusal(path, error), status=error.status_code) from None
        # URLError, timeouts and resets are OSErrors; the last is what json says of an HTML page.
        except (OSError, http.client.HTTPException, ValueError) as error:
            told = masked(f"SendGrid gave no usable answer to {path}")
            raise ManagementError(f"{told}: {pooled.told(error, self._address)}") from None


def _refusal(path: str, error: Any) -> str:
    words = error.body.decode(errors="replace") if isinstance(error.body, bytes) else ""
    return masked(f"SendGrid answered {error.status_code} to {path}: {words}")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect as the error that it is."""

    def redirect_request(
        self,
        req: urllib.request.Request,  # noqa: ARG002 - the signature is urllib's
        fp: IO[bytes],  # noqa: ARG002
        code: int,  # noqa: ARG002
        msg: str,  # noqa: ARG002
        headers: http.client.HTTPMessage,  # noqa: ARG002
        newurl: str,  # noqa: ARG002
    ) -> None:
        return None


class _CuredClient(python_http_client.Client):  # type: ignore[misc]  # the SDK has no types
    """The SDK's client with its own headers in each derived client, and an opener of ours."""

    def _build_client(self, name: str | None = None) -> "_CuredClient":
        return _CuredClient(
            host=self.host,
            version=self._version,
            request_headers=dict(self.request_headers),
            url_path=[*self._url_path, name] if name else self._url_path,
            append_slash=self.append_slash,
            timeout=self.timeout,
        )

    def _make_request(self, _opener: Any, request: urllib.request.Request, timeout: float | None = None) -> Any:
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=pooled.ssl_context()),
            _NoRedirect(),
        )
        return super()._make_request(opener, request, timeout)
