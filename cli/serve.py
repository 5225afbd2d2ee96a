"""Run one of our own services in this process: `python -m cli.serve gateway|sandbox|dispatcher` (`campaigns up` does)."""

import gc
import signal
import sys
import threading

import uvicorn

import settings

_OBJECTS = 50_000  # made and not yet gone, until the collector looks at them


def main(name: str) -> None:
    """Serve until told to end."""
    config = settings.load()
    if name == "gateway":
        from gateway.app import create_app

        app = create_app(config)
        settle()
        uvicorn.run(app, host=config.gateway.host, port=config.gateway.port, log_level="warning")
    elif name == "sandbox":
        from providers.sandbox.app import create_app as create_sandbox

        doors = f"{config.gateway.public_url}/webhooks"
        webhooks = {
            "webhook_url": config.sandbox.webhook_url or f"{doors}/sendgrid",
            "mandrill_webhook_url": config.sandbox.mandrill_webhook_url or f"{doors}/mailchimp-transactional",
        }
        sandbox = config.sandbox.model_copy(update=webhooks)
        # Idle connections stay open for longer than our client keeps them (providers/http.py): a request on one that
        # is being closed would have an unknown outcome.
        uvicorn.run(
            create_sandbox(sandbox), host=sandbox.host, port=sandbox.port, log_level="warning", timeout_keep_alive=75
        )
    elif name == "dispatcher":
        from tasks.dispatcher import Dispatcher

        one = Dispatcher()
        for number in (signal.SIGINT, signal.SIGTERM):
            # By a thread: it would wait for itself where the signal comes while this one looks at the same event.
            signal.signal(number, lambda *_: threading.Thread(target=one.stop.set).start())
        one.run()
    else:
        sys.exit(f"there is no service {name!r}: gateway, sandbox or dispatcher")


def settle() -> None:
    """What is loaded by now stays for ever: the collector need not look through it again and again.

    That took a tenth of all time while events were applied; and as four bodies make more than 10,000 objects at once,
    none of them in a cycle, to look through those each 700 took another fifteenth.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS)


if __name__ == "__main__":
    main(sys.argv[1])
