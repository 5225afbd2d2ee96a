"""The services of one installation as child processes: sandbox ESP, gateway, Prefect server, dispatcher, worker.

They are started in this order, each when the one before answers, and ended in reverse by their own process ids.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

import settings
from cli.output import Mistake

ROOT = Path(__file__).parent.parent
POOL = "campaigns"
_READY_SECONDS = 90
_STOP_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Service:
    """One child process and how to know that it is ready."""

    name: str
    command: tuple[str, ...]
    health: str | None  # a URL that answers 2xx
    page: str | None = None  # what a person opens


def catalogue(config: settings.Settings) -> list[Service]:
    """The services that listen. The worker comes after them."""
    python = sys.executable
    sandbox, gateway, prefect = config.sandbox, config.gateway, config.prefect
    gateway_url = f"http://{gateway.host}:{gateway.port}"
    serve = (python, "-m", "cli.serve")
    start_prefect = ("server", "start", "--host", prefect.host, "--port", str(prefect.port))
    return [
        Service("sandbox", (*serve, "sandbox"), f"{sandbox.url}/health"),
        Service("gateway", (*serve, "gateway"), f"{gateway_url}/health", f"{gateway_url}/campaigns"),
        Service("prefect", (python, "-m", "prefect", *start_prefect), f"{prefect.api_url}/health", prefect.url),
    ]


def worker() -> Service:
    """The process that runs flows.

    Without --limit: with one, a flow run that is resumed before its old slot is given back ends the whole worker
    (Prefect 3.8.8, RuntimeError in acquire_on_behalf_of_nowait; met after an approval within a second).
    """
    command = ("worker", "start", "--pool", POOL, "--type", "process")
    return Service("worker", (sys.executable, "-m", "prefect", *command), None)


def dispatcher() -> Service:
    """The process that hands transactional mail over; more of them may run, here or elsewhere."""
    return Service("dispatcher", (sys.executable, "-m", "cli.serve", "dispatcher"), None)


def environment(config: settings.Settings, home: Path) -> dict[str, str]:
    """What every child gets beside the present environment."""
    return {
        "OMS_HOME": str(Path.cwd()),
        "PREFECT_HOME": str(home.resolve() / "prefect"),
        "PREFECT_API_URL": config.prefect.api_url,
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_TASKS_SCHEDULING_MAX_SCHEDULED_RUNS": "5",
        # Seven times less CPU for recording task runs (facts/prefect.md).
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_WORKER_PREFETCH_SECONDS": "2",
        "PREFECT_UI_API_URL": config.prefect.api_url,
        "DO_NOT_TRACK": "1",
        "GX_ANALYTICS_ENABLED": "false",
    }


def answers(url: str) -> bool:
    """Say whether a service answers there."""
    try:
        return httpx.get(url, timeout=2.0).is_success
    except httpx.HTTPError:
        return False


def check_ports(found: list[Service]) -> None:
    """Refuse to start over somebody else's port. Raises Mistake."""
    for service in found:
        url = httpx.URL(service.health or "")
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if probe.connect_ex((url.host, url.port or 80)) == 0:
                raise Mistake(
                    f"port {url.port} is taken by another program, so {service.name} cannot start:"
                    f" end that program, or choose another port by OMS_{service.name.upper()}_PORT"
                )


@contextmanager
def child(service: Service, env: Mapping[str, str], logs: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run one service until the end of the block. Raises Mistake when it does not get ready."""
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{service.name}.log"
    with log.open("ab") as target:
        # A session of its own: Ctrl-C reaches only us, and we end the children in order.
        process = subprocess.Popen(
            service.command,
            env={**os.environ, **env},
            stdout=target,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        _await_ready(service, process, log)
        yield process
    finally:
        _end(process)


def _await_ready(service: Service, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while service.health is not None and not answers(service.health):
        if process.poll() is not None:
            raise Mistake(f"{service.name} ended at its start (status {process.returncode}); its log is {log}")
        if time.monotonic() > deadline:
            raise Mistake(f"{service.name} did not answer within {_READY_SECONDS} seconds; its log is {log}")
        time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, then insist. Its whole session goes with it: a worker has flow runs below it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@dataclass(slots=True)
class Running:
    """All services as they run now."""

    env: dict[str, str]
    logs: Path
    stack: ExitStack
    children: dict[str, tuple[Service, subprocess.Popen[bytes]]] = field(default_factory=dict)

    @property
    def pids(self) -> dict[str, int]:
        return {name: process.pid for name, (_, process) in self.children.items()}

    def start(self, service: Service) -> None:
        """Start it, and wait until it answers. Raises Mistake."""
        self.children[service.name] = service, self.stack.enter_context(child(service, self.env, self.logs))

    def mend(self) -> Iterator[str]:
        """Start anew what ended without being told to; which those were, in words."""
        for service, process in list(self.children.values()):
            if process.poll() is not None:
                told = f"{service.name} ended (status {process.returncode}; its log is {self.logs / service.name}.log)"
                try:
                    self.start(service)
                except Mistake as error:
                    yield f"{told} and does not start again: {error}"
                else:
                    yield f"{told} and was started again"


@contextmanager
def running(config: settings.Settings, home: Path) -> Iterator[Running]:
    """Start everything and deploy the flows."""
    found = catalogue(config)
    check_ports(found)
    with ExitStack() as stack:
        all_of_it = Running(environment(config, home), home / "log", stack)
        for service in found:
            all_of_it.start(service)
            if service.name == "sandbox":
                all_of_it.env |= webhook_keys(config)
        all_of_it.start(dispatcher())
        deploy(all_of_it.env, all_of_it.logs)
        all_of_it.start(worker())
        yield all_of_it


def webhook_keys(config: settings.Settings) -> dict[str, str]:
    """The configured keys and the sandbox's own, as the JSON lists that the environment holds."""
    from cli.output import json_text

    answer = httpx.get(
        f"{config.sandbox.url}/v3/user/webhooks/event/settings/signed",
        headers={"Authorization": f"Bearer {config.sandbox.api_key.get_secret_value()}"},
        timeout=5.0,
    )
    answer.raise_for_status()
    signing = [*config.mailchimp.transactional_webhook_keys, config.sandbox.mandrill_webhook_key]
    return {
        "OMS_SENDGRID_WEBHOOK_PUBLIC_KEYS": json_text(
            [*config.sendgrid.webhook_public_keys, answer.json()["public_key"]]
        ),
        "OMS_MAILCHIMP_TRANSACTIONAL_WEBHOOK_KEYS": json_text([one.get_secret_value() for one in signing]),
    }


def deploy(env: Mapping[str, str], logs: Path) -> None:
    """Make the work pool and all deployments of prefect.yaml. Raises Mistake with the log's name."""
    log = logs / "deploy.log"
    prefect = (sys.executable, "-m", "prefect", "--no-prompt")
    commands = (
        (*prefect, "work-pool", "create", POOL, "--type", "process", "--overwrite"),
        (*prefect, "deploy", "--all", "--prefect-file", str(ROOT / "prefect.yaml")),
    )
    with log.open("ab") as target:
        for command in commands:
            done = subprocess.run(
                command,
                env={**os.environ, **env},
                stdout=target,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                timeout=180,
                check=False,
            )
            if done.returncode != 0:
                raise Mistake(f"deploying the flows failed (status {done.returncode}); the log is {log}")


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def new_secret() -> str:
    """A random key of 256 bits."""
    return secrets.token_urlsafe(32)
