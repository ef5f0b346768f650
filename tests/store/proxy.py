"""An S3 store that misbehaves on cue: what moto answers, bent on its way through a proxy."""

from __future__ import annotations

import contextlib
import enum
import http.client
import socket
import struct
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class Bend(enum.Enum):
    """What becomes of an answer."""

    STALL = "half of the body, then nothing more"
    RESET = "half of the body, then a reset"
    SHORT = "half of the body, then the end of the connection"
    FLIP = "one bit of the body is another"
    SLOW_DOWN = "503 SlowDown"
    EXPIRED = "400 ExpiredToken"
    DENIED = "403 AccessDenied"


_REFUSALS = {Bend.SLOW_DOWN: (503, "SlowDown"), Bend.EXPIRED: (400, "ExpiredToken"), Bend.DENIED: (403, "AccessDenied")}
_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive", "date", "server"}


class Store:
    """A proxy on 127.0.0.1. Answers to ranges of data files are bent while `bend` is set.

    first: which of them is the first to be bent, from 0. times: how many are. before: called ahead of the first.
    """

    def __init__(self, endpoint: str) -> None:
        self.upstream = urlsplit(endpoint)
        self.bend: Bend | None = None
        self.first = 0
        self.times = 1 << 30
        self.before: Callable[[], None] | None = None
        self.seen = 0
        self.bent = 0
        self.closing = threading.Event()
        self._guard = threading.Lock()
        store = self

        class Handler(_Handler):
            server_side = store

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def fail(self, bend: Bend | None, *, first: int = 0, times: int = 1 << 30) -> None:
        """Bend answers from now on, or none."""
        with self._guard:
            self.bend, self.first, self.times, self.seen, self.bent = bend, first, times, 0, 0

    def next_bend(self) -> Bend | None:
        """What becomes of the answer to this range."""
        with self._guard:
            number, self.seen = self.seen, self.seen + 1
            if number == self.first and self.before is not None:
                before, self.before = self.before, None
                before()
            if self.bend is None or number < self.first or self.bent >= self.times:
                return None
            self.bent += 1
            return self.bend

    def close(self) -> None:
        """Stop."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is nothing to report."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server_side: Store
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_HEAD(self) -> None:
        self._pass_on()

    def do_GET(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        store = self.server_side
        bend = store.next_bend() if "Range" in self.headers and "/data/" in self.path else None
        if bend in _REFUSALS:
            status, code = _REFUSALS[bend]
            body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>on cue</Message></Error>'.encode()
            self._answer(status, [("Content-Type", "application/xml")], body)
            return
        assert store.upstream.hostname
        upstream = http.client.HTTPConnection(store.upstream.hostname, store.upstream.port or 80, timeout=60)
        with contextlib.closing(upstream):
            upstream.request(self.command, self.path, headers=dict(self.headers.items()))
            answer = upstream.getresponse()
            body = answer.read()
            headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in _HOP]
            length = int(answer.getheader("Content-Length") or len(body)) if self.command == "HEAD" else len(body)
        if bend is Bend.FLIP and body:
            middle = len(body) // 2
            body = body[:middle] + bytes([body[middle] ^ 0x10]) + body[middle + 1 :]
        self._answer(answer.status, headers, body, length, bend)

    def _answer(
        self,
        status: int,
        headers: list[tuple[str, str]],
        body: bytes,
        length: int | None = None,
        bend: Bend | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if bend not in (Bend.STALL, Bend.RESET, Bend.SHORT):
            self.wfile.write(body)
            return
        self.wfile.write(body[: len(body) // 2])
        self.wfile.flush()
        self.close_connection = True
        if bend is Bend.STALL:
            self._wait_for_the_client_to_leave()
        if bend is Bend.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()
            self.connection.close()

    def _wait_for_the_client_to_leave(self) -> None:
        self.connection.settimeout(0.1)
        while not self.server_side.closing.is_set():
            try:
                if not self.connection.recv(1, socket.MSG_PEEK):
                    return
            except TimeoutError:
                continue
            except OSError:
                return
