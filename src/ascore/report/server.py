"""Serves a page on this machine alone, and its news while runs go on.

Other pages in the same browser can send requests here, too, under a name of their own that leads
to 127.0.0.1 (DNS rebinding); the Host header tells, and they are refused.
"""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ascore.errors import AscoreError, RunError
from ascore.report import page
from ascore.report.build import commands, now, require_readable
from ascore.report.page import Page
from ascore.report.settings import chapters
from ascore.report.sources import Reading, Shelf, entries
from ascore.runs.files import as_path, json_text

LOOPBACK = "127.0.0.1"
FRESH = 1.0
"""Seconds for which an answer is given again without a look at the files."""

PATIENCE = 10.0
"""Seconds that a client has to send its request."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Watched:
    """The page about some folders as they are now; composed anew if a file has changed."""

    def __init__(self, paths: Sequence[Path], made: dict[str, Any]) -> None:
        """Composes the first page.

        Args:
            paths: as in `report`.
            made: command and machine.

        Raises:
            RunError: a path holds no run, or none can be read.
        """
        self._paths, self._made = list(map(as_path, paths)), made
        self._shelf, self._lock = Shelf(), threading.Lock()
        self._readings: list[Reading] = []
        self._looked = float("-inf")
        self._page, self._version, self._time = self._look()

    def now(self) -> tuple[Page, str, str]:
        """The page, its version, and when it last changed.

        Raises:
            AscoreError: as the constructor.
        """
        with self._lock:
            if time.monotonic() - self._looked > FRESH:
                self._page, self._version, self._time = self._look()
                self._looked = time.monotonic()
            return self._page, self._version, self._time

    def _look(self) -> tuple[Page, str, str]:
        readings = [self._shelf.read(entry) for entry in entries(self._paths)]
        require_readable(readings)
        if self._readings and list(map(id, readings)) == list(map(id, self._readings)):
            return self._page, self._version, self._time
        self._readings = readings
        at = now()
        made = {**self._made, "time": at}
        composed = page.compose(chapters(readings), commands(self._paths), made)
        text = json_text([composed.skeleton, composed.parts, composed.charts])
        return composed, hashlib.sha256(text.encode()).hexdigest()[:16], at


class Server(ThreadingHTTPServer):
    """Listens on the loopback address alone."""

    daemon_threads = True

    def __init__(self, watched: Watched, port: int = 0) -> None:
        """Opens the port.

        Args:
            watched: what is served.
            port: 0 = a free one.

        Raises:
            RunError: the port is taken or not allowed.
        """
        self.watched = watched
        if not 0 <= port < 2**16:
            message = f"port = {port} is outside 0..65535"
            raise ValueError(message)
        try:
            super().__init__((LOOPBACK, port), Handler)
        except OSError as error:
            reason = error.strerror or str(error)
            message = (
                f"cannot listen on port {port}: {reason}; choose another --port, or leave it out"
            )
            raise RunError(message) from error

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """Where a browser finds the page."""
        return f"http://{LOOPBACK}:{self.port}/"

    def server_bind(self) -> None:
        """As the base class, which would also ask the network for this machine's name."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = LOOPBACK, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of clients that hang up."""


class Handler(BaseHTTPRequestHandler):
    """Answers for the page and its data; there is nothing else, and no file is opened by name."""

    server: Server
    timeout = PATIENCE
    server_version, sys_version = "ascore", ""

    def do_GET(self) -> None:
        """Answers a request."""
        hosts = {f"{name}:{self.server.port}" for name in (LOOPBACK, "localhost")}
        if self.server.port == 80:
            hosts |= {LOOPBACK, "localhost"}
        if self.headers.get_all("Host") not in [[host] for host in hosts]:
            self._refuse(HTTPStatus.FORBIDDEN, f"open {self.server.url} instead")
            return
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            self._refuse(HTTPStatus.FORBIDDEN, "other pages may not ask this one")
            return
        target = urlsplit(self.path)
        if target.path == "/":
            self._page()
        elif target.path == "/data.json":
            self._news(parse_qs(target.query).get("version", [""])[0])
        else:
            self._refuse(HTTPStatus.NOT_FOUND, f"there is nothing here but {self.server.url}")

    do_HEAD = do_GET

    def _page(self) -> None:
        try:
            composed, version, _ = self.server.watched.now()
        except AscoreError as error:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
            return
        self._answer("text/html", page.document(composed, version))

    def _news(self, known: str) -> None:
        """What has changed since a version, or why nothing can be said."""
        try:
            composed, version, at = self.server.watched.now()
        except AscoreError as error:
            self._answer("application/json", json.dumps({"problem": str(error)}))
            return
        news: dict[str, Any] = {"version": version, "time": at}
        if known != version:
            news |= {
                "title": composed.title,
                "shape": composed.shape,
                "skeleton": composed.skeleton,
                "parts": composed.parts,
                "charts": composed.charts,
            }
        self._answer("application/json", json_text(news))

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._answer("text/plain", f"{status.phrase}: {why}\n", status)

    def _answer(self, kind: str, text: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        body = text.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Writes no line per request."""
