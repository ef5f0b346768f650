"""Small files that become large: they end in a clear error, or load, and never take more memory than was granted.

The process under test is the command as it is shipped. Its peak is held against what the data would need if it were
kept. (A child's peak begins with that of its parent, so the bombs are made piece by piece here too.)
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import itertools
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from job.twin import write_export, write_manifest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

MIB = 1 << 20
EXPANDED = 3 << 30
MOST = 1400 * MIB
"""Program, libraries and one line of 64 MiB with what it is decoded into; less than half of what the bombs hold."""
SCHEMA = "table: t\nkey: [id]\ncolumns:\n  - {name: id, type: String}\n  - {name: v, type: Nullable(String)}\n"


@dataclass(frozen=True)
class Ended:
    """How the command ended. peak: bytes."""

    code: int
    record: dict[str, object]
    said: str
    peak: int


def _squeezed(parts: Iterator[bytes]) -> bytes:
    pump = zlib.compressobj(9, wbits=31)
    return b"".join([*(pump.compress(part) for part in parts), pump.flush()])


def load(tmp_path: Path, data: bytes, items: int) -> Ended:
    """Load an export of one data file that holds these bytes, with 128 MiB for data in flight."""
    export = write_export(tmp_path, [[b'{"Item":{"id":{"S":"x"}}}\n']])
    (file,) = (export / "data").iterdir()
    file.write_bytes(data)
    _describe(export, data, items)
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    command = [sys.executable, "-m", "transformer.cli", "snapshot", str(export), "--schema", "schema.yaml", "--json"]
    output, errors = tmp_path / "output", tmp_path / "errors"
    with output.open("wb") as out, errors.open("wb") as err:
        child = subprocess.Popen(
            [*command, "--to", "null:", "--memory", "128MiB", "--workers", "1"], cwd=tmp_path, stdout=out, stderr=err
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    text = output.read_text()
    return Ended(child.returncode, json.loads(text) if text else {}, errors.read_text(), usage.ru_maxrss * 1024)


def _describe(export: Path, data: bytes, items: int) -> None:
    """Let the manifests tell the truth about the file."""
    listed = json.loads((export / "manifest-files.json").read_text())
    listed |= {"itemCount": items, "md5Checksum": base64.b64encode(hashlib.md5(data).digest()).decode()}
    write_manifest(export, "manifest-files", json.dumps(listed) + "\n")
    summary = json.loads((export / "manifest-summary.json").read_text())
    write_manifest(export, "manifest-summary", json.dumps({**summary, "itemCount": items}))


def test_an_endless_line_ends(tmp_path: Path) -> None:
    start = b'{"Item":{"id":{"S":"a"},"v":{"S":"'
    data = _squeezed(itertools.chain([start], itertools.repeat(b"x" * MIB, EXPANDED // MIB)))
    assert len(data) < 16 * MIB
    ended = load(tmp_path, data, 1)
    assert ended.code == 3, ended.said
    assert "longer than" in ended.said
    assert "Traceback" not in ended.said
    assert ended.peak < MOST


def test_a_file_that_is_large_only_when_unpacked_loads(tmp_path: Path) -> None:
    lines = b'{"Item":{"id":{"S":"a"},"v":{"S":"%b"}}}\n' % (b"x" * 4000) * 256
    times = EXPANDED // len(lines)
    data = _squeezed(itertools.repeat(lines, times))
    ended = load(tmp_path, data, 256 * times)
    assert ended.code == 0, ended.said
    assert ended.record["rows_inserted"] == 256 * times
    assert ended.peak < MOST


def test_brackets_without_end_are_one_reject(tmp_path: Path) -> None:
    start = b'{"Item":{"id":{"S":"a"},"v":'
    data = _squeezed(iter([start, b'{"L":[' * MIB, b"\n"]))
    ended = load(tmp_path, data, 1)
    assert ended.code == 3, ended.said
    assert ended.record["items_rejected"] == 1
    assert ended.peak < MOST


def test_members_without_content_are_read_through(tmp_path: Path) -> None:
    line = gzip.compress(b'{"Item":{"id":{"S":"a"}}}\n', mtime=0)
    data = gzip.compress(b"", mtime=0) * 300_000 + line
    ended = load(tmp_path, data, 1)
    assert ended.code == 0, ended.said
    assert ended.record["rows_inserted"] == 1
    assert ended.peak < MOST
