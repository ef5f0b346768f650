"""The HTTP side: what https://clickhouse.com/docs/interfaces/http says, as far as clickhouse-connect uses it."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
import ssl
import struct
import sys
import threading
import uuid
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from gateway.engine import Engine, StatementError
from gateway.faults import Fault, Kind

TRANSPORT = frozenset(
    [
        *("query", "database", "query_id", "session_id", "session_timeout", "wait_end_of_query", "buffer_size"),
        *("client_protocol_version", "compress", "decompress", "default_format", "user", "password", "role"),
        *("send_progress_in_http_headers", "http_headers_progress_interval_ms", "enable_http_compression"),
    ]
)
"""What the HTTP interface takes for itself; everything else in the URL is a setting."""

CONTROL = "/control"
_CODE = re.compile(r"Code: (\d+)")
_PIECE = 1 << 20
_STATUS = {516: 403, 192: 403, 193: 403, 497: 403, 60: 404, 81: 404, 159: 408, 202: 503, 210: 502}
"""HTTP's status for ClickHouse's code where it is not 500."""


class ResetError(Exception):
    """The connection is to be reset now."""


@dataclass
class Request:
    """One request as it came in. body: only where bodies are kept."""

    sql: str
    settings: dict[str, str]
    headers: dict[str, str]
    body: bytes


class Gateway:
    """A server on 127.0.0.1, from the moment it is made until `close`."""

    def __init__(
        self,
        engine: Engine,
        *,
        user: str = "default",
        password: str = "",
        port: int = 0,
        keep: bool = False,
        control: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """keep: remember every request, with its body, in `requests`. control: serve the control interface too.

        tls: speak https with this. A client that shows a certificate that the context accepts may enter without a
        password when it asks to, as with `IDENTIFIED WITH ssl_certificate`.
        """
        self.engine = engine
        self.user = user
        self.password = password
        self.requests: list[Request] = []
        self.faults: deque[Fault] = deque()
        """For the next requests, whatever they are."""
        self.insert_faults: deque[Fault] = deque()
        """For the next inserts with a body."""
        self.met = 0
        """Faults that were met so far."""
        self.keep = keep
        self._controlled = control
        self._guard = threading.Lock()
        self.closing = threading.Event()
        gateway = self

        class Handler(_Handler):
            server_side = gateway

        self._server = _Server(("127.0.0.1", port), Handler)
        if tls is not None:
            # Each handshake in the thread of its connection: one that hangs holds nobody else up.
            wrapped = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
            self._server.socket = wrapped
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def controlled(self) -> bool:
        """Whether there is a control interface."""
        return self._controlled

    @property
    def inserts(self) -> list[Request]:
        """The inserts among the requests kept."""
        return [request for request in self.requests if is_insert(request.sql)]

    def next_fault(self, sql: str) -> Fault | None:
        """The fault for this statement, which is used up."""
        with self._guard:
            faults = self.insert_faults if is_insert(sql) and self.insert_faults else self.faults
            if not faults:
                return None
            fault = faults.popleft()
            if fault.kind is Kind.NONE:
                return None
            self.met += 1
            return fault

    def close(self) -> None:
        """Stop serving. The engine stays open."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def is_insert(sql: str) -> bool:
    """Whether the data of the statement comes in the body."""
    return sql.lstrip()[:6].upper() == "INSERT" and "FORMAT" in sql


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is nothing to report; anything else is a fault of this server."""
        if not isinstance(sys.exception(), (ConnectionError, ssl.SSLError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server_side: Gateway
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self._answer(200, None, b"Ok.\n")
        elif urlsplit(self.path).path == CONTROL and self.server_side.controlled:
            gateway = self.server_side
            state = {"faults": len(gateway.faults) + len(gateway.insert_faults), "met": gateway.met}
            self._answer(200, None, json.dumps({**state, "version": gateway.engine.version}))
        else:
            self.do_POST()

    def do_POST(self) -> None:
        try:
            if urlsplit(self.path).path == CONTROL and self.server_side.controlled:
                self._control()
            else:
                self._statement()
        except ResetError:
            self._reset()
        except ConnectionError:
            self.close_connection = True

    def _control(self) -> None:
        told = json.loads(b"".join(self._body()))
        gateway = self.server_side
        gateway.faults.extend(map(Fault.from_record, told.get("faults", [])))
        gateway.insert_faults.extend(map(Fault.from_record, told.get("insert_faults", [])))
        self._answer(200, None, b"")

    def _statement(self) -> None:
        gateway = self.server_side
        values = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self._body()
        sql = values["query"] if "query" in values else b"".join(body).decode()
        if not self._may_enter(values):
            b"".join(body)
            user = self._credentials(values)[0]
            self._answer(403, 516, f"Code: 516. DB::Exception: {user}: Authentication failed. (AUTHENTICATION_FAILED)")
            return
        fault = gateway.next_fault(sql)
        if fault is not None:
            self._fail_early(fault, body)
            if fault.kind is Kind.REFUSE:
                b"".join(body)
                self._answer(fault.status, fault.code, fault.body)
                return
        try:
            result, summary = self._carry_out(sql, values, body, inside=fault and fault.kind is Kind.RESET_INSIDE)
        except StatementError as error:
            code = _CODE.search(str(error))
            number = int(code[1]) if code else 1000
            self._answer(_STATUS.get(number, 500), number, str(error))
            return
        if fault is not None:
            if fault.kind is Kind.STALL_AFTER:
                self._stall()
            if fault.kind is Kind.RESET_AFTER:
                raise ResetError
            self._answer(fault.status, fault.code, fault.body)
            return
        self._answer(200, None, result, summary)

    def _carry_out(
        self, sql: str, values: dict[str, str], body: Iterator[bytes], *, inside: bool | None
    ) -> tuple[bytes, dict[str, str]]:
        gateway = self.server_side
        settings = {n: v for n, v in values.items() if n not in TRANSPORT and not n.startswith("param_")}
        parameters = {name[6:]: value for name, value in values.items() if name.startswith("param_")}
        form = values.get("default_format", "TabSeparated")
        database = values.get("database")
        if not is_insert(sql):
            self._remember(sql, settings, b"".join(body))
            return gateway.engine.run(sql, settings=settings, parameters=parameters, database=database, form=form)
        with gateway.engine.body() as path:
            with path.open("wb") as file:
                for piece in self._plain(body):
                    file.write(piece)
                    if inside:
                        raise ResetError
            self._remember(sql, settings, path.read_bytes() if gateway.keep else b"")
            return gateway.engine.run(sql, body=path, settings=settings, parameters=parameters, database=database)

    def _remember(self, sql: str, settings: dict[str, str], body: bytes) -> None:
        if self.server_side.keep:
            self.server_side.requests.append(Request(sql, settings, dict(self.headers.items()), body))

    def _credentials(self, values: dict[str, str]) -> tuple[str, str]:
        """User and password, from wherever the interface takes them."""
        given = self.headers.get("Authorization", "")
        if given.startswith("Basic "):
            user, _, password = base64.b64decode(given.removeprefix("Basic ")).decode().partition(":")
            return user, password
        user = self.headers.get("X-ClickHouse-User") or values.get("user", "default")
        return user, self.headers.get("X-ClickHouse-Key") or values.get("password", "")

    def _may_enter(self, values: dict[str, str]) -> bool:
        user, password = self._credentials(values)
        if self.headers.get("X-ClickHouse-SSL-Certificate-Auth") == "on":
            shown = isinstance(self.connection, ssl.SSLSocket) and self.connection.getpeercert()
            return bool(shown) and user == self.server_side.user
        return (user, password) == (self.server_side.user, self.server_side.password)

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            left = int(self.headers.get("Content-Length") or 0)
            while left:
                piece = self.rfile.read(min(left, _PIECE))
                if not piece:
                    raise ConnectionResetError
                left -= len(piece)
                yield piece
            return
        while size := int(self.rfile.readline() or self._hung_up(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _hung_up(self) -> bytes:
        """The client left in the middle of a body: nothing of it may be carried out."""
        raise ConnectionResetError

    def _plain(self, body: Iterator[bytes]) -> Iterator[bytes]:
        """The body without its Content-Encoding."""
        coding = self.headers.get("Content-Encoding", "").lower()
        if not coding:
            yield from body
        elif coding in _DECODERS:
            yield from _DECODERS[coding](body)
        else:
            raise StatementError(f"Code: 48. DB::Exception: Content-Encoding {coding} is not known (NOT_IMPLEMENTED)")

    def _fail_early(self, fault: Fault, body: Iterator[bytes]) -> None:
        """What happens before the statement is carried out. Raises ResetError."""
        if fault.kind is Kind.RESET_BEFORE:
            raise ResetError
        if fault.kind is Kind.STALL_BEFORE:
            b"".join(body)
            self._stall()

    def _stall(self) -> None:
        """Wait until the client hangs up or the server closes. Raises ResetError."""
        self.connection.settimeout(0.1)
        while not self.server_side.closing.is_set():
            try:
                if not self.connection.recv(1, socket.MSG_PEEK):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        raise ResetError

    def _reset(self) -> None:
        """Hang up without a good-bye, so that the client sees a reset and not an end."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The socket closes with the last file around it. The server would shut it down first, which says good-bye.
        self.rfile.close()
        self.connection.close()

    def _answer(self, status: int, code: int | None, body: bytes | str, summary: dict[str, str] | None = None) -> None:
        content = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-ClickHouse-Query-Id", str(uuid.uuid4()))
        self.send_header("X-ClickHouse-Server-Display-Name", "gateway")
        if code is not None:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        if summary is not None:
            self.send_header("X-ClickHouse-Summary", json.dumps(summary))
            self.send_header("X-ClickHouse-Timezone", "UTC")
        self.end_headers()
        self.wfile.write(content)


def _inflated(body: Iterator[bytes], window: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(window)
    for piece in body:
        yield inflater.decompress(piece)
    yield inflater.flush()


def _lz4(body: Iterator[bytes]) -> Iterator[bytes]:
    import lz4.frame

    inflater = lz4.frame.LZ4FrameDecompressor()
    for piece in body:
        yield inflater.decompress(piece)


def _zstd(body: Iterator[bytes]) -> Iterator[bytes]:
    from backports import zstd

    inflater = zstd.ZstdDecompressor()
    for piece in body:
        yield inflater.decompress(piece)


_DECODERS: dict[str, Callable[[Iterator[bytes]], Iterator[bytes]]] = {
    "gzip": lambda body: _inflated(body, 16 + zlib.MAX_WBITS),
    "deflate": lambda body: _inflated(body, zlib.MAX_WBITS),
    "lz4": _lz4,
    "zstd": _zstd,
}
