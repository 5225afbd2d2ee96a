"""A real browser, driven by its own debugging protocol: pages as people meet them, by mouse and by keyboard."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "headless_shell")
_SECONDS = 20
_KEYS = {"Tab": 9, "Enter": 13, " ": 32, "ArrowDown": 40}


def found() -> str | None:
    """Where a Chromium is, if the machine has one; OMS_TEST_BROWSER names another."""
    return os.environ.get("OMS_TEST_BROWSER") or next(filter(None, map(shutil.which, _NAMES)), None)


def until(true: Callable[[], bool]) -> bool:
    """Whether this comes to be true within the time that a page may take."""
    deadline = time.monotonic() + _SECONDS
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class Tab:
    """One tab."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection, self._numbers = connection, itertools.count(1)
        for domain in ("Page", "Runtime", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            told = json.loads(self._connection.recv(timeout=_SECONDS))
            if told.get("id") == number:
                assert "error" not in told, told
                return dict(told["result"])

    def loaded(self, method: str, **params: Any) -> None:
        """Do what leads to another page, and wait until that is there."""
        before = self.value("performance.timeOrigin")
        self.send(method, **params)
        deadline = time.monotonic() + _SECONDS
        # In one question: asked one after the other, the first may be about the old page and the second about the new.
        there = f"document.readyState == 'complete' && performance.timeOrigin != {before}"
        while not self.value(there):
            assert time.monotonic() < deadline, "no other page came"

    def open(self, url: str, *, language: str = "en", width: int = 1100, height: int = 900) -> None:
        """As a new page in a window of this size, by a browser of this language."""
        phone = width < 600
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.send("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})
        self.loaded("Page.navigate", url=url)

    def value(self, script: str) -> Any:
        """What an expression gives in the page."""
        return self.send("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def click(self, selector: str, *, leads_on: bool = False) -> None:
        """Press the mouse in the middle of the element's first line."""
        self.value(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center'}})")
        box = self.value(f"JSON.stringify(document.querySelector({selector!r}).getClientRects()[0])")
        facts = json.loads(box)
        place = {"x": facts["x"] + facts["width"] / 2, "y": facts["y"] + facts["height"] / 2}
        mouse = {"button": "left", "clickCount": 1, **place}
        self.send("Input.dispatchMouseEvent", type="mousePressed", **mouse)
        (self.loaded if leads_on else self.send)("Input.dispatchMouseEvent", type="mouseReleased", **mouse)

    def key(self, name: str, *, leads_on: bool = False) -> None:
        """Press and let go of a key."""
        text = {"Enter": "\r", " ": " "}.get(name)
        key = {"key": name, "windowsVirtualKeyCode": _KEYS[name], **({"text": text} if text else {})}
        (self.loaded if leads_on and name == "Enter" else self.send)(
            "Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **key
        )
        self.send("Input.dispatchKeyEvent", type="keyUp", **key)

    def focused(self) -> str:
        """Tag, name and value of what the keyboard acts on."""
        return str(self.value("[...'tagName name value'.split(' ')].map(n => document.activeElement[n]).join(' ')"))

    def picture(self, file: Path) -> None:
        """The whole page, as tall as it is."""
        shot = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def tab(program: str) -> Iterator[Tab]:
    """Start the browser with a profile of its own; it is ended at the end."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--remote-debugging-port=0",
        ]
        with subprocess.Popen(
            [program, *options, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                port = _port(Path(profile) / "DevToolsActivePort", process)
                with connect(_page(port), max_size=2**26) as connection:
                    yield Tab(connection)
            finally:
                process.terminate()
                process.wait(timeout=_SECONDS)


def _port(file: Path, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + _SECONDS
    while not (file.exists() and file.read_text().strip()):
        assert process.poll() is None, "the browser ended at once"
        assert time.monotonic() < deadline, "the browser did not start"
        time.sleep(0.05)
    return int(file.read_text().split()[0])


def _page(port: int) -> str:
    import httpx

    (page,) = [one for one in httpx.get(f"http://127.0.0.1:{port}/json").json() if one["type"] == "page"]
    return str(page["webSocketDebuggerUrl"])
