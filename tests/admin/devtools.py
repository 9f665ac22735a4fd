"""A Chromium, driven over its DevTools protocol through a pair of pipes: no driver, no package, no open port.

https://chromedevtools.github.io/devtools-protocol/ names the methods. Messages are JSON, each ended by a NUL.
"""

import contextlib
import fcntl
import itertools
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from typing import Any, Final

PATIENCE_SECONDS: Final = 20.0
NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS: Final = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"),
    *("--no-first-run", "--no-default-browser-check", "--disable-extensions", "--disable-sync", "--disable-quic"),
    *("--disable-background-networking", "--disable-component-update", "--disable-default-apps"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


def find() -> str | None:
    """Where this machine has a Chromium: FLOWFORGE_TEST_BROWSER, or the PATH."""
    given = os.environ.get("FLOWFORGE_TEST_BROWSER")
    return given or next((path for name in NAMES if (path := shutil.which(name))), None)


class Chromium:
    """The process. `with Chromium(path) as browser: page = browser.page()`."""

    def __init__(self, path: str) -> None:
        self._profile = tempfile.mkdtemp(prefix="flowforge-browser-")
        to_it, self._write = os.pipe()
        self._read, from_it = os.pipe()
        to_it, from_it = (_above_ten(number) for number in (to_it, from_it))  # one of them may be 3 or 4
        pipes = [(os.POSIX_SPAWN_DUP2, to_it, 3), (os.POSIX_SPAWN_DUP2, from_it, 4)]  # where Chromium looks for them
        silence = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0), (os.POSIX_SPAWN_DUP2, 1, 2)]
        self._pid = os.posix_spawn(
            path,
            [path, *FLAGS, f"--user-data-dir={self._profile}", "about:blank"],
            {**os.environ, "HOME": self._profile},
            file_actions=[*pipes, *silence],
            setpgroup=0,
        )
        os.close(to_it)
        os.close(from_it)
        self._numbers = itertools.count(1)
        self._buffer = b""
        self.pages: dict[str, Page] = {}

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self.call("Browser.close")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self._profile, ignore_errors=True)

    def page(self, origin: str, *, width: int = 1400, height: int = 1000, dark: bool = False) -> "Page":
        """A page of its own, with no cookies of others."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self.pages[session] = Page(self, session, origin)
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.call(f"{domain}.enable")
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.call("Emulation.setEmulatedMedia", features=[scheme])
        return page

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """The result of a method. Raises RuntimeError with the browser's words."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self._write, json.dumps(message).encode() + b"\0")
        for answer in self.messages():
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result
        raise AssertionError("unreachable: messages() ends by an error alone")

    def messages(self) -> Iterator[dict[str, Any]]:
        """Whatever comes, told to its page first. Raises TimeoutError when nothing comes for too long."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            while b"\0" in self._buffer:
                raw, _, self._buffer = self._buffer.partition(b"\0")
                message = json.loads(raw)
                if message.get("sessionId") in self.pages and "method" in message:
                    self.pages[message["sessionId"]].hear(message["method"], message["params"])
                yield message
            if not select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError("the browser says nothing any more")
            self._buffer += os.read(self._read, 1 << 20)


class Page:
    """A tab. `faults` are the console's errors and warnings, failed requests, and requests to anywhere but `origin`."""

    def __init__(self, browser: Chromium, session: str, origin: str) -> None:
        self._browser, self._session, self.origin = browser, session, origin
        self._open: set[str] = set()  # requests under way
        self._loads = 0
        self.faults: list[str] = []
        self.requested: list[str] = []

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **params)

    def hear(self, method: str, params: dict[str, Any]) -> None:
        """Keep book of an event."""
        if method == "Page.loadEventFired":
            self._loads += 1
        elif method == "Network.requestWillBeSent":
            self._begun(params)
        elif method in ("Network.loadingFinished", "Network.loadingFailed"):
            self._open.discard(params["requestId"])
            if method == "Network.loadingFailed" and not params.get("canceled"):
                self.faults.append(f"failed: {params['errorText']}")
        elif method == "Network.responseReceived" and params["response"]["status"] >= 400:
            self.faults.append(f"{params['response']['status']}: {params['response']['url']}")
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.faults.append(f"console: {[each.get('value') for each in params['args']]}")
        elif method == "Runtime.exceptionThrown":
            self.faults.append(f"exception: {params['exceptionDetails'].get('exception', {}).get('description')}")
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.faults.append(f"log: {params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Page.javascriptDialogOpening":
            self.faults.append(f"a script opened a dialog: {params['message']}")

    def _begun(self, params: dict[str, Any]) -> None:
        url = params["request"]["url"]
        if url.startswith("data:"):
            return
        self._open.add(params["requestId"])
        self.requested.append(url)
        if not url.startswith(f"{self.origin}/"):
            self.faults.append(f"left for {url}")

    def goto(self, path: str) -> None:
        """Go there and wait until it is loaded and quiet."""
        loads = self._loads
        answer = self.call("Page.navigate", url=self.origin + path)
        assert "errorText" not in answer, answer["errorText"]
        self._settle(loads)

    def click(self, selector: str, *, leaves: bool = False) -> None:
        """Press where the first match can be seen; `leaves`: wait for the page that comes."""
        place = self.run(
            f"(() => {{ const found = document.querySelector({json.dumps(selector)});"
            " found.scrollIntoView({block: 'center'}); const at = found.getBoundingClientRect();"
            " return [at.x + at.width / 2, at.y + at.height / 2, at.width * at.height]; })()"
        )
        assert place[2] > 0, f"{selector} cannot be seen"
        loads = self._loads
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)
        if leaves:
            self._settle(loads)

    def type(self, selector: str, text: str) -> None:
        """As a keyboard does, into a field."""
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        self.call("Input.insertText", text=text)

    def run(self, script: str) -> Any:
        """The value of an expression; of a promise, what it gives."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait for a condition, looked at before each frame."""
        met = self.run(
            f"new Promise(resolve => {{ const until = Date.now() + {PATIENCE_SECONDS * 500:.0f};"
            f" const look = () => {condition} ? resolve(true) : Date.now() > until ? resolve(false)"
            " : requestAnimationFrame(look); look(); })"
        )
        assert met, f"never came true: {condition}"

    def text(self, selector: str = "body") -> str:
        """What people read there."""
        return str(self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    def count(self, selector: str) -> int:
        return int(self.run(f"document.querySelectorAll({json.dumps(selector)}).length"))

    def _settle(self, loads: int) -> None:
        """Wait for a load after `loads`, then until no request is under way."""
        if self._loads > loads and not self._open:
            return
        for _ in self._browser.messages():
            if self._loads > loads and not self._open:
                return


def _above_ten(number: int) -> int:
    """The same file under a number that is in nobody's way."""
    moved = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(number)
    return moved
