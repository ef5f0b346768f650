"""A ClickHouse HTTP server for tests, on loopback: the embedded engine behind the part of the protocol that is used.

It answers real statements, takes real inserts, remembers every request, checks user and password, and fails on cue.
"""

from __future__ import annotations

import base64
import re
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

# What the HTTP interface takes for itself; everything else in the URL is a setting.
TRANSPORT = {
    *("query", "database", "query_id", "session_id", "wait_end_of_query", "client_protocol_version", "compress"),
    *(
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "enable_http_compression",
        "default_format",
    ),
}
_CODE = re.compile(r"Code: (\d+)")


@dataclass
class Request:
    """One request as it came in."""

    sql: str
    settings: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Fault:
    """An answer that replaces the real one: `code` as ClickHouse gives it, None for a proxy's; status 0 hangs up."""

    status: int
    code: int | None = None
    body: str = ""
    after: bool = False  # whether the statement is carried out before


@dataclass
class ClickHouseDouble:
    """The server. `connection` is a chdb connection; one statement runs at a time."""

    connection: Any
    scratch: Path
    user: str = "default"
    password: str = ""
    requests: list[Request] = field(default_factory=list)
    faults: deque[Fault] = field(default_factory=deque)
    insert_faults: deque[Fault] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        double = self

        class Handler(_Handler):
            server_side = double

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def inserts(self) -> list[Request]:
        return [request for request in self.requests if request.sql.upper().startswith("INSERT")]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def run(self, request: Request, parameters: dict[str, str], database: str | None) -> bytes:
        """Carry out a statement. Raises RuntimeError with ClickHouse's message."""
        with self._lock:
            if database:
                self.connection.query(f"USE `{database}`")
            if not request.sql.upper().startswith("INSERT"):
                return bytes(self.connection.query(request.sql, "TabSeparated", params=parameters).bytes())
            file = self.scratch / "insert.raw"
            file.write_bytes(request.body)
            settings = ", ".join(f"{name} = '{value}'" for name, value in request.settings.items())
            into, _, form = request.sql.rpartition("FORMAT")
            self.connection.query(f"{into} FROM INFILE '{file}' SETTINGS {settings} FORMAT {form}")
            return b""


class _Handler(BaseHTTPRequestHandler):
    server_side: ClickHouseDouble
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_POST(self) -> None:
        double = self.server_side
        values = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = b"".join(self._body())
        sql = values["query"] if "query" in values else body.decode()
        settings = {n: v for n, v in values.items() if n not in TRANSPORT and not n.startswith("param_")}
        request = Request(sql, settings, dict(self.headers.items()), body)
        double.requests.append(request)
        given = base64.b64decode(self.headers.get("Authorization", "Basic ").removeprefix("Basic ")).decode()
        if given != f"{double.user}:{double.password}":
            self._answer(
                403, 516, f"Code: 516. DB::Exception: {double.user}: Authentication failed. (AUTHENTICATION_FAILED)"
            )
            return
        faults = double.insert_faults if sql.upper().startswith("INSERT") and double.insert_faults else double.faults
        fault = faults.popleft() if faults else None
        if fault is not None and not fault.after:
            self._fail(fault)
            return
        parameters = {name[6:]: value for name, value in values.items() if name.startswith("param_")}
        try:
            result = double.run(request, parameters, values.get("database"))
        except RuntimeError as error:
            code = _CODE.search(str(error))
            self._answer(500, int(code[1]) if code else 1000, str(error))
            return
        if fault is not None:
            self._fail(fault)
            return
        self._answer(200, None, result)

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _fail(self, fault: Fault) -> None:
        if fault.status == 0:
            self.close_connection = True
            self.connection.shutdown(2)
            return
        self._answer(fault.status, fault.code, fault.body)

    def _answer(self, status: int, code: int | None, body: bytes | str) -> None:
        content = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if code is not None:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        elif status == 200:
            self.send_header("X-ClickHouse-Summary", '{"written_rows":"0"}')
            self.send_header("X-ClickHouse-Timezone", "UTC")
        self.end_headers()
        self.wfile.write(content)
