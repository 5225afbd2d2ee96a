"""A real Postfix of our own: its configuration and queue in a temporary folder, on loopback, ended with the block."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 20
_SERVICES = """\
127.0.0.1:{port} inet n - n - - smtpd
127.0.0.1:{plain} inet n - n - - smtpd
  -o smtpd_discard_ehlo_keywords=size,dsn,pipelining
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
_SETTINGS = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {daemons}
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = relay.example.com
mydestination = local.example.com
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
local_transport = discard
local_recipient_maps = inline:{{ {{ known = known }} }}
alias_maps =
default_transport = error:5.4.4 this relay knows no such host
transport_maps = inline:{{ {transports} }}
message_size_limit = 200000
delay_warning_time = 1s
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
maximal_queue_lifetime = 6s
bounce_queue_lifetime = 6s
smtp_tls_security_level = none
"""


@dataclass(frozen=True)
class Postfix:
    """`plain` is a port of the same that offers neither SIZE, DSN nor PIPELINING."""

    port: int
    plain: int
    folder: Path

    def log(self) -> str:
        path = self.folder / "mail.log"
        return path.read_text() if path.exists() else ""


def missing() -> str | None:
    """Why there can be none on this machine; None where there can."""
    if shutil.which("postfix", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
        return "no Postfix on this machine: apt-get install postfix"
    if os.geteuid() != 0:
        return "Postfix is started by root only, and we are not"
    return None


@contextmanager
def running(transports: Mapping[str, str]) -> Iterator[Postfix]:
    """`transports`: domain → by what way its mail goes, as in transport(5)."""
    folder = Path(tempfile.mkdtemp(prefix="oms-postfix-", dir="/tmp"))
    folder.chmod(0o755)  # its daemons are no root
    port, plain = _free_ports()
    for name in ("queue", "data", "conf"):
        (folder / name).mkdir(mode=0o755)
    os.chown(folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
    ways = " ".join(f"{{ {domain} = {way} }}" for domain, way in transports.items())
    daemons = next(path for path in ("/usr/lib/postfix/sbin", "/usr/libexec/postfix") if Path(path, "master").exists())
    (folder / "conf" / "main.cf").write_text(_SETTINGS.format(folder=folder, daemons=daemons, transports=ways))
    (folder / "conf" / "master.cf").write_text(_SERVICES.format(port=port, plain=plain))
    environment = {"PATH": f"{os.environ['PATH']}:/usr/sbin", "MAIL_CONFIG": str(folder / "conf")}
    subprocess.run(["postfix", "-c", str(folder / "conf"), "check"], env=environment, check=True, capture_output=True)
    master = subprocess.Popen(
        [f"{daemons}/master", "-c", str(folder / "conf"), "-d"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _await(port, master)
        yield Postfix(port, plain, folder)
    finally:
        master.terminate()  # it ends its own daemons
        master.wait(_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def _await(port: int, master: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _SECONDS
    while master.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
                if probe.recv(100).startswith(b"220"):
                    probe.sendall(b"QUIT\r\n")
                    return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("Postfix did not start")
