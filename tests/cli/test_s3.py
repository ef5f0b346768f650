"""The command with an export, and a quarantine, in S3 (moto's server)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from cli.conftest import Outcome
from job.twin import bad_user, user, write_export
from moto.server import ThreadedMotoServer

pytestmark = pytest.mark.timeout(280)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (
        ("ACCESS_KEY_ID", "key"),
        ("SECRET_ACCESS_KEY", "planted-secret"),
        ("DEFAULT_REGION", "eu-west-1"),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    yield f"http://{host}:{port}"
    server.stop()


def test_an_export_in_s3_loads_and_its_rejects_go_there(
    command: Callable[..., Outcome], endpoint: str, tmp_path: Path
) -> None:
    root = write_export(tmp_path, [[user(n) for n in range(5)], [user(5), bad_user(6)]])
    client: Any = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket="exports", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for path in root.rglob("*"):
        if path.is_file():
            client.put_object(Bucket="exports", Key=f"nightly/{path.relative_to(tmp_path)}", Body=path.read_bytes())
    url = f"s3://exports/nightly/AWSDynamoDB/{root.name}"
    options = ("--storage-option", f"endpoint_url={endpoint}", "--to", "null:", "--json")
    done = command("snapshot", url, *options, "--rejects", "s3://exports/rejects")
    assert done.code == 3, done.err
    record = json.loads(done.out)
    assert (record["status"], record["rows_inserted"], record["items_rejected"]) == ("complete_with_rejects", 6, 1)
    assert record["rejects"] == f"s3://exports/rejects/{root.name}/{record['job']}"
    (kept,) = client.list_objects_v2(Bucket="exports", Prefix="rejects/")["Contents"]
    body = gzip.decompress(client.get_object(Bucket="exports", Key=kept["Key"])["Body"].read())
    assert json.loads(body)["raw"].encode() + b"\n" == bad_user(6)
    assert "planted-secret" not in done.out + done.err


def test_a_bucket_that_does_not_exist_exits_with_3(command: Callable[..., Outcome], endpoint: str) -> None:
    done = command("snapshot", "s3://nowhere/x", "--storage-option", f"endpoint_url={endpoint}", "--to", "null:")
    assert done.code == 3
    assert "nowhere" in done.err
    assert "Traceback" not in done.err
