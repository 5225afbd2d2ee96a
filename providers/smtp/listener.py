"""The door for mail that comes back: a thread a connection, no more connections than configured."""

import socket
import socketserver
import ssl
import threading
from typing import Any

from providers.smtp.config import ReturnsConfig, ReturnsNotConfigured
from providers.smtp.session import Door, Keep, Session
from providers.smtp.wire import Wire

# RFC 5321 section 4.5.3.2 asks for five minutes of patience with a slow sender.
_IDLE_SECONDS = 120.0
_SESSION_SECONDS = 900.0


class Listener(socketserver.ThreadingTCPServer):
    """Takes mail for the configured mailboxes and for nobody else; it sends none."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, config: ReturnsConfig, keep: Keep) -> None:
        """Listen. Raises ReturnsNotConfigured; OSError where the port cannot be had."""
        self._door = Door(config.required_mailboxes(), keep, config.max_mail_bytes, lmtp=config.lmtp, tls=_tls(config))
        self._places = threading.BoundedSemaphore(config.connections)
        self.address_family = socket.AF_INET6 if ":" in config.listen_host else socket.AF_INET
        super().__init__((config.listen_host, config.listen_port), socketserver.BaseRequestHandler)

    @property
    def port(self) -> int:
        """Where it listens; of 0 the system chose one."""
        return int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a session where there is a place for it."""
        if self._places.acquire(blocking=False):
            try:
                super().process_request(request, client_address)
            except Exception:  # no thread could be started, so none gives the place back
                self._places.release()
                raise
            return
        wire = Wire(request, idle_seconds=1, session_seconds=1)
        wire.send("421 4.3.2 too many connections, come again")
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Run a session to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - no address is logged
        """Speak with one sender."""
        wire = Wire(request, idle_seconds=_IDLE_SECONDS, session_seconds=_SESSION_SECONDS)
        Session(self._door, wire).run()


def _tls(config: ReturnsConfig) -> ssl.SSLContext | None:
    if config.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(config.tls_certificate, config.tls_key)
    except OSError as error:
        raise ReturnsNotConfigured(
            f"OMS_RETURNS_TLS_CERTIFICATE and OMS_RETURNS_TLS_KEY cannot be used: {error.strerror or error}"
        ) from error
    return context
