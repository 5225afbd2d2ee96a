"""Commands about mail that comes back: listen for it, fetch it."""

import signal
import threading

import typer

import settings
from cli import store
from cli.output import AsJson, answer, console

app = typer.Typer(no_args_is_help=True)


@app.command("listen")
def listen(as_json: AsJson = False) -> None:
    """Take bounces and complaints by SMTP (or LMTP) until Ctrl-C, for the configured mailboxes and nobody else.

    A mail is stored before its sender hears so. docs/returned-mail.md says how mail gets here.
    """
    from providers.smtp.listener import Listener
    from tasks import receiving, wiring

    config = settings.load().returns
    receiver = receiving.Receiver(store.engine(), config.max_backlog, wiring.clock)
    with Listener(config, receiver.keep) as listener:
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        threading.Thread(target=listener.serve_forever, name="returned-mail", daemon=True).start()
        where = {"host": config.listen_host, "port": listener.port, "lmtp": config.lmtp}
        text = f"Listening on {config.listen_host}, port {listener.port}. Ctrl-C ends it."
        answer(where, as_json=as_json, text=text)
        stop.wait()
        listener.shutdown()
    if not as_json:
        console.print("Ended. What was answered with 250 is stored.")


@app.command("fetch")
def fetch(as_json: AsJson = False) -> None:
    """Read the configured mailbox once by IMAP, as the flow fetch-returned-mail does every minute."""
    from tasks import receiving, wiring

    done = receiving.fetch(store.engine(), settings.load().returns, clock=wiring.clock)
    parts = [f"{done.new:,} new mails", f"{done.known:,} known already"]
    parts += [f"{done.gone:,} gone meanwhile"] if done.gone else []
    parts += [f"{done.unreadable:,} that the server did not give out (dead letters)"] if done.unreadable else []
    parts += [f"{done.left_in_place:,} kept but neither moved nor marked"] if done.left_in_place else []
    parts += [f"{done.waiting:,} left to the next round"] if done.waiting else []
    answer(done.counts(), as_json=as_json, text=f"{', '.join(parts)}. process-delivery-events reads them.")
