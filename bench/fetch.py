"""How much of the speed of a local file is left when it comes from S3?

A store on the loopback interface answers like one that is 30 ms away and gives each connection 90 MB/s. What is timed,
by the clock, is a data file from there to record batches, against the same file on disk: the ranges in flight must hide
the distance.
"""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.inputs import Input
from bench.stages import BLOCK_BYTES, Chunker
from transformer.decode.decoder import SLACK, Decoder
from transformer.source.blocks import open_blocks
from transformer.source.export import DataFile

LATENCY = 0.030
BYTES_PER_SECOND = 90_000_000
_PIECE = 128 << 10
_RANGE = re.compile(r"bytes=([0-9]+)-([0-9]+)")


class _Store(ThreadingHTTPServer):
    """Objects by key, with the distance of a store in the same region."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, objects: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects = objects

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that hangs up is no trouble here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Store

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        time.sleep(LATENCY)
        data = self.server.objects.get(self.path.lstrip("/").partition("?")[0])
        if data is None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        status, begin, end = 200, 0, len(data)
        if found := _RANGE.fullmatch(self.headers.get("Range", "")):
            status, begin, end = 206, int(found[1]), min(int(found[2]) + 1, len(data))
        self.send_response(status)
        self.send_header("Content-Length", str(end - begin))
        self.send_header("ETag", f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"')
        self.send_header("Last-Modified", "Tue, 01 Dec 2026 00:00:00 GMT")
        self.send_header("Accept-Ranges", "bytes")
        if status == 206:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(data)}")
        self.end_headers()
        due = time.perf_counter()
        for at in range(begin, end if body else begin, _PIECE):
            piece = data[at : min(at + _PIECE, end)]
            self.wfile.write(piece)
            due += len(piece) / BYTES_PER_SECOND
            time.sleep(max(0.0, due - time.perf_counter()))

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name it has in the base class
        """Nobody reads it."""


class Store:
    """A worker's object: the store, in a process of its own."""

    def open(self, source: dict[str, Any]) -> str:
        """Serve the data files of an input; returns the address."""
        objects = {f"bucket/{path.name}": path.read_bytes() for path in Input(**source).paths}
        self._server = _Store(objects)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"


class Reader:
    """A worker's object: one reader of one input, near and far."""

    def load(self, source: dict[str, Any], address: str) -> None:
        """Take this input in hand."""
        taken = Input(**source)
        self._table = taken.table
        self._decoder = Decoder(self._table, version=0)
        self._near = [self._file(str(path), path) for path in taken.paths]
        self._far = [self._file(f"s3://bucket/{path.name}", path) for path in taken.paths]
        self._options = {"anon": True, "endpoint_url": address, "client_kwargs": {"region_name": "us-east-1"}}

    @staticmethod
    def _file(url: str, path: Path) -> DataFile:
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).digest()
        return DataFile(url, path.name, None, base64.b64encode(digest).decode(), None)

    def near(self) -> int:
        """From disk to record batches; returns the rows."""
        return self._read(self._near, {})

    def far(self) -> int:
        """From the store to record batches; returns the rows."""
        return self._read(self._far, self._options)

    def _read(self, files: list[DataFile], options: dict[str, Any]) -> int:
        chunker = Chunker(self._table, self._decoder)
        for file in files:
            with open_blocks(file, block_bytes=BLOCK_BYTES, slack=SLACK, storage_options=options) as reader:
                for block in reader:
                    for _ in chunker.block(block):
                        pass
                    reader.recycle(block)
        return chunker.rows
