"""An independent reading of an export on disk: json, gzip, hashlib and nothing of the project."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

SUMMARY_KEYS = [
    "version", "exportArn", "startTime", "endTime", "tableArn", "tableId", "exportTime", "s3Bucket", "s3Prefix",
    "s3SseAlgorithm", "s3SseKmsKeyId", "manifestFilesS3Key", "billedSizeBytes", "itemCount", "outputFormat",
]  # fmt: skip
FILE_KEYS = ["itemCount", "md5Checksum", "etag", "dataFileS3Key"]
HEADER = bytes.fromhex("1f8b08000000000000ff")
EMPTY_FILE = bytes.fromhex("1f8b08000000000000ff03000000000000000000")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def check_export(folder: Path, bucket: Path) -> tuple[dict[str, Any], list[list[bytes]]]:
    """Assert that `folder` is a full export in AWS's exact layout, its keys relative to `bucket`.

    Returns its summary and, per file of the manifest, the lines without their newlines.
    """
    export_id = folder.name
    assert re.fullmatch(r"0\d{13}-[0-9a-f]{8}", export_id)
    assert folder.parent.name == "AWSDynamoDB"
    manifests = {f"manifest-{part}.{suffix}" for part in ("files", "summary") for suffix in ("json", "md5")}
    assert {path.name for path in folder.iterdir()} == {"_started", "data", *manifests}
    assert (folder / "_started").read_bytes() == b""
    for name in ("manifest-files", "manifest-summary"):
        content = (folder / f"{name}.json").read_bytes()
        assert (folder / f"{name}.md5").read_bytes() == base64.b64encode(hashlib.md5(content).digest())

    text = (folder / "manifest-summary.json").read_text()
    summary = json.loads(text)
    assert list(summary) == SUMMARY_KEYS
    assert text == json.dumps(summary, separators=(",", ":"), ensure_ascii=False)
    assert summary["version"] == "2020-06-30"
    assert summary["outputFormat"] == "DYNAMODB_JSON"
    assert summary["exportArn"] == f"{summary['tableArn']}/export/{export_id}"
    for name in ("startTime", "endTime", "exportTime"):
        assert TIME.fullmatch(summary[name])
    assert summary["startTime"] <= summary["endTime"]
    root = folder.relative_to(bucket).as_posix()
    assert summary["manifestFilesS3Key"] == f"{root}/manifest-files.json"

    manifest = (folder / "manifest-files.json").read_text()
    assert manifest.endswith("\n")
    files = []
    names = set()
    for row in manifest[:-1].split("\n"):
        entry = json.loads(row)
        assert list(entry) == FILE_KEYS
        assert row == json.dumps(entry, separators=(",", ":"), ensure_ascii=False)
        match = re.fullmatch(re.escape(root) + r"/data/([a-z2-7]{26}\.json\.gz)", entry["dataFileS3Key"])
        assert match
        names.add(match[1])
        content = (bucket / entry["dataFileS3Key"]).read_bytes()
        md5 = hashlib.md5(content).digest()
        assert entry["md5Checksum"] == base64.b64encode(md5).decode()
        assert entry["etag"] == hashlib.md5(md5).hexdigest() + "-1"
        files.append(check_data_file(content, entry["itemCount"]))
    assert names == {path.name for path in (folder / "data").iterdir()}
    assert summary["itemCount"] == sum(map(len, files))
    return summary, files


def check_data_file(content: bytes, item_count: int) -> list[bytes]:
    """Assert the gzip framing and the line framing; returns the lines without newlines."""
    assert content.startswith(HEADER)
    text = gzip.decompress(content)
    assert struct.unpack("<I", content[-4:])[0] == len(text) % 2**32  # a single member ends with the whole length
    if not item_count:
        assert content == EMPTY_FILE
        return []
    assert text.endswith(b"\n")
    assert b"\r" not in text
    lines = text[:-1].split(b"\n")
    assert len(lines) == item_count
    return lines


def item_of(line: bytes) -> dict[str, Any]:
    """The item of a line, after asserting the envelope and that no name stands twice in a map."""
    envelope = json.loads(line, object_pairs_hook=_distinct)
    assert list(envelope) == ["Item"]
    item: dict[str, Any] = envelope["Item"]
    return item


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    assert len(set(names)) == len(names), f"a name stands twice: {names}"
    return dict(pairs)


TAGS = {"S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"}
PLAIN = re.compile(r"0|-?(?:[1-9]\d*|0(?=\.))(?:\.\d*[1-9])?")


def check_value(value: Any, *, plain: bool = True, depth: int = 0) -> int:
    """Assert that a typed value is one that DynamoDB can hold, and returns its size in DynamoDB's bytes.

    plain: numbers must be in plain notation. depth: containers around the value.
    """
    [(tag, inner)] = value.items()
    assert tag in TAGS
    if tag in ("M", "L"):
        assert depth < 32
        pairs = inner.items() if tag == "M" else [("", element) for element in inner]
        sizes = [len(name.encode()) + 1 + check_value(part, plain=plain, depth=depth + 1) for name, part in pairs]
        assert tag == "L" or all(inner)
        return 3 + sum(sizes)
    if tag == "NULL":
        assert inner is True
        return 1
    if tag == "BOOL":
        assert isinstance(inner, bool)
        return 1
    if tag in ("SS", "NS", "BS"):
        assert isinstance(inner, list)
        scalars = [_scalar(tag[0], element, plain) for element in inner]
        assert scalars
        assert len({scalar for scalar, _ in scalars}) == len(scalars)
        return sum(size for _, size in scalars)
    return _scalar(tag, inner, plain)[1]


def _scalar(tag: str, text: str, plain: bool) -> tuple[object, int]:
    """The value of an S, N or B, and its size."""
    assert isinstance(text, str)
    if tag == "S":
        return text, len(text.encode())
    if tag == "B":
        content = base64.b64decode(text, validate=True)
        assert base64.b64encode(content).decode() == text
        return content, len(content)
    assert PLAIN.fullmatch(text) or not plain, text
    number = Decimal(text)
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    assert len(digits) <= 38
    assert number == 0 or Decimal("1e-130") <= number.copy_abs() < Decimal("1e126")
    return number, len(digits) // 2 + 2 + (number < 0)
