"""One data file of an export: gzip exactly as AWS writes it, with the checksums that manifests state."""

from __future__ import annotations

import base64
import hashlib
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

HEADER = bytes.fromhex("1f8b08000000000000ff")
"""Deflate, no flags, no time, no extra flags, unknown system: the header of every real file since 2024."""
LEVEL = 6


@dataclass(frozen=True, slots=True)
class Written:
    """A finished data file.

    item_count: lines. json_bytes, gz_bytes: sizes before and after compression.
    md5: base64 of the MD5 of the gzip bytes. etag: as S3 gives it for an upload of one part.
    """

    item_count: int
    json_bytes: int
    gz_bytes: int
    md5: str
    etag: str


def write(path: Path, blocks: Iterable[list[bytes]]) -> Written:
    """Write lines (each with its newline) to `path` as a single gzip member; nothing at all gives the 20-byte file.

    Holds one block at a time. zlib releases the GIL, so several files can be written by threads.
    """
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    digest = hashlib.md5(usedforsecurity=False)
    items = json_bytes = gz_bytes = crc = 0
    with path.open("wb") as file:

        def put(data: bytes) -> None:
            nonlocal gz_bytes
            file.write(data)
            digest.update(data)
            gz_bytes += len(data)

        put(HEADER)
        for block in blocks:
            text = b"".join(block)
            items += len(block)
            json_bytes += len(text)
            crc = zlib.crc32(text, crc)
            put(deflate.compress(text))
        put(deflate.flush())
        put(crc.to_bytes(4, "little") + (json_bytes % 2**32).to_bytes(4, "little"))
    return Written(items, json_bytes, gz_bytes, base64.b64encode(digest.digest()).decode(), _etag(digest.digest()))


def checksum(data: bytes) -> str:
    """The content of a `.md5` file for these bytes: base64 of their MD5, without a newline."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _etag(md5: bytes) -> str:
    """The ETag of a multipart upload of one part: the MD5 of the part's MD5, and the number of parts."""
    return hashlib.md5(md5, usedforsecurity=False).hexdigest() + "-1"
