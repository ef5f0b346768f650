"""A store that speaks enough of S3 for s3fs, and as slow as S3 is: a round trip first, then so much a second.

`python -m bench.store FOLDER` prints the port it took. Buckets are the folders in FOLDER. It lives in a process of its
own, so that its work is not counted as the reader's; on few cores it still competes with the reader for them.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Self
from xml.sax.saxutils import escape

from aiohttp import web

from bench.inputs import ROOT

LATENCY = 0.03
"""Seconds from a request to the first byte of its answer."""
RATE = 90e6
"""Bytes a second for each request: what one connection to S3 gives."""

_PIECE = 512 << 10


class Store:
    """The running store; `endpoint` is its URL. latency, rate: as the constants above, which are the defaults."""

    def __init__(self, folder: Path, *, latency: float = LATENCY, rate: float = RATE) -> None:
        command = [sys.executable, "-m", "bench.store", str(folder), "--latency", str(latency), "--rate", str(rate)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        port = self._process.stdout.readline().strip()
        if not port:
            raise RuntimeError(f"the store ended with exit code {self._process.wait()}")
        self.endpoint = f"http://127.0.0.1:{port}"

    @property
    def options(self) -> dict[str, object]:
        """Storage options for it; it believes any signature."""
        return {
            "key": "key",
            "secret": "secret",
            "endpoint_url": self.endpoint,
            "client_kwargs": {"region_name": "eu-west-1"},
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()


class _Handler:
    def __init__(self, folder: Path, latency: float, rate: float) -> None:
        self._folder = folder
        self._latency = latency
        self._rate = rate

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Any request of S3's interface that reading needs."""
        await asyncio.sleep(self._latency)
        bucket, _, key = request.path.lstrip("/").partition("/")
        if "list-type" in request.query:
            return self._listing(bucket, request.query.get("prefix", ""), request.query.get("delimiter", ""))
        path = self._folder / bucket / key
        if not key or not path.is_file():
            return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>", content_type="text/xml")
        size = path.stat().st_size
        headers = {"ETag": f'"{hashlib.md5(str(path).encode(), usedforsecurity=False).hexdigest()}"'}
        if request.method == "HEAD":
            return web.Response(headers=headers | {"Content-Length": str(size)})
        asked = request.http_range
        begin, end = asked.start or 0, min(size, asked.stop or size)
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
        response = web.StreamResponse(status=206 if "Range" in request.headers else 200, headers=headers)
        response.content_length = end - begin
        await response.prepare(request)
        clock = asyncio.get_running_loop().time
        start = clock()
        with path.open("rb") as file:
            file.seek(begin)
            sent = 0
            while sent < end - begin:
                piece = file.read(min(_PIECE, end - begin - sent))
                await response.write(piece)
                sent += len(piece)
                await asyncio.sleep(max(0.0, start + sent / self._rate - clock()))
        await response.write_eof()
        return response

    def _listing(self, bucket: str, prefix: str, delimiter: str) -> web.Response:
        """Every key of the bucket below `prefix`, folders in the place of their keys where `delimiter` asks for it."""
        root = self._folder / bucket
        keys = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
        files, folders = [], set()
        for key in keys:
            if not key.startswith(prefix):
                continue
            inner, slash, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            if slash:
                folders.add(f"{prefix}{inner}/")
            else:
                size = (root / key).stat().st_size
                files.append(f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size></Contents>")
        shared = [f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>" for folder in sorted(folders)]
        inside = "".join(["<IsTruncated>false</IsTruncated>", *files, *shared])
        return web.Response(text=f"<ListBucketResult>{inside}</ListBucketResult>", content_type="text/xml")


async def _serve(handler: _Handler) -> None:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(prog="python -m bench.store")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency", type=float, default=LATENCY)
    parser.add_argument("--rate", type=float, default=RATE)
    given = parser.parse_args()
    asyncio.run(_serve(_Handler(given.folder, given.latency, given.rate)))


if __name__ == "__main__":
    main()
