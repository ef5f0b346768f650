"""Loads from an S3 store that misbehaves: a right result or a clear error, and the next run makes it whole.

One of each kind runs with every test, the others with `make test-security`.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import s3fs
from job.twin import TwinDecoder, user, users_table, write_export
from moto.server import ThreadedMotoServer
from store.proxy import Bend, Store

from transformer.errors import ExitCode
from transformer.job.request import SnapshotRequest
from transformer.job.result import SnapshotResult
from transformer.job.snapshot import run
from transformer.load.destination import Destination, open_destination
from transformer.source import streams

pytestmark = pytest.mark.timeout(280)

ITEMS = 120  # of each of two files
RANGE = 1000  # bytes: a file has several


@dataclass
class World:
    """An export in a store, and the database it goes to."""

    store: Store
    client: Any
    bucket: str
    url: str
    destination: Destination
    to: str
    data: list[str]

    def load(self, **config: object) -> SnapshotResult:
        options = {
            "key": "access",
            "secret": "secret-value",
            "endpoint_url": self.store.endpoint,
            "client_kwargs": {"region_name": "eu-west-1"},
            "config_kwargs": {"retries": {"max_attempts": 1}, **config},
            "skip_instance_cache": True,
        }
        request = SnapshotRequest(
            export=self.url, schema=users_table(), destination=self.to, workers=1, storage_options=options
        )
        return run(request, decoder=TwinDecoder)

    def holds_everything_once(self) -> None:
        """Every item is there, and no row stands twice, merged or not."""
        counts = self.destination.query("SELECT count(), uniqExact(id), sum(age) FROM users FORMAT CSV")
        ages = sum(number % 100 for number in range(2 * ITEMS))
        assert counts == f"{2 * ITEMS},{2 * ITEMS},{ages}\n".encode()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def world(
    endpoint: str, tmp_path: Path, chdb_url: str, unique_name: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(streams, "RANGE_BYTES", RANGE)
    monkeypatch.setattr(streams, "_PAUSES", (0.0, 0.0))
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)  # its pauses grow to many seconds
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="access", aws_secret_access_key="secret-value",
        region_name="eu-west-1",
    )  # fmt: skip
    bucket = f"exports-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    # Names that do not compress, so that a file is several ranges long.
    named = [user(n, first_name={"S": hashlib.sha256(b"%d" % n).hexdigest()}) for n in range(2 * ITEMS)]
    root = write_export(tmp_path, [named[:ITEMS], named[ITEMS:]])
    data = []
    for path in sorted(root.rglob("*")):
        if path.is_file():
            key = str(path.relative_to(tmp_path))
            client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
            if "/data/" in key:
                data.append(key)
                assert path.stat().st_size > 4 * RANGE
    store = Store(endpoint)
    to = f"{chdb_url}?database=store_{unique_name}"
    destination = open_destination(to)
    yield World(store, client, bucket, f"s3://{bucket}/AWSDynamoDB/{root.name}", destination, to, data)
    destination.query(f"DROP DATABASE store_{unique_name}")
    destination.close()
    store.close()
    client.close()


@pytest.mark.parametrize(
    "bend",
    [Bend.RESET, *(pytest.param(bend, marks=pytest.mark.slow) for bend in (Bend.SHORT, Bend.SLOW_DOWN))],
)
def test_what_passes_is_not_even_noticed(world: World, bend: Bend) -> None:
    world.store.fail(bend, first=2, times=1)
    result = world.load()
    assert world.store.bent == 1
    assert result.error is None
    assert result.rows_inserted == 2 * ITEMS
    world.holds_everything_once()


@pytest.mark.slow
def test_a_stall_that_passes_is_not_even_noticed(world: World) -> None:
    world.store.fail(Bend.STALL, first=2, times=1)
    result = world.load(read_timeout=5)
    assert world.store.bent == 1
    assert result.error is None
    world.holds_everything_once()


@pytest.mark.parametrize(
    ("bend", "code", "says"),
    [
        (Bend.RESET, ExitCode.RETRY, ("reading", "Run the same command again")),
        pytest.param(Bend.SHORT, ExitCode.RETRY, ("reading", "Run the same command again"), marks=pytest.mark.slow),
        pytest.param(Bend.SLOW_DOWN, ExitCode.RETRY, ("SlowDown", "Run the same"), marks=pytest.mark.slow),
        (Bend.EXPIRED, ExitCode.USAGE, ("ExpiredToken", "Check the AWS credentials")),
        pytest.param(Bend.DENIED, ExitCode.USAGE, ("permission denied", "s3:GetObject"), marks=pytest.mark.slow),
        (Bend.FLIP, ExitCode.INPUT, ("damaged", "Copy the file again")),
    ],
    ids=lambda value: value.name if isinstance(value, Bend) else "",
)
def test_what_stays_ends_in_a_clear_error_and_the_next_run_in_a_whole_table(
    world: World, bend: Bend, code: ExitCode, says: tuple[str, ...]
) -> None:
    """From a range of the second file on, when the first was loaded."""
    world.store.fail(bend, first=8)
    result = world.load()
    assert world.store.bent
    assert result.exit_code == code, result.error
    assert result.error is not None
    said = str(result.error)
    assert all(part in said for part in says), said
    assert "secret-value" not in said
    world.store.fail(None)
    again = world.load()
    assert again.error is None, again.error
    assert again.files_skipped == 1
    world.holds_everything_once()


@pytest.mark.slow
def test_a_store_that_stalls_for_good_is_given_up(world: World) -> None:
    world.store.fail(Bend.STALL, first=2)
    result = world.load(read_timeout=2)
    assert result.exit_code == ExitCode.RETRY
    world.store.fail(None)
    assert world.load().error is None
    world.holds_everything_once()


def _overwrite(world: World, body: Callable[[bytes], bytes]) -> Callable[[], None]:
    def now() -> None:
        for key in world.data:
            old = world.client.get_object(Bucket=world.bucket, Key=key)["Body"].read()
            world.client.put_object(Bucket=world.bucket, Key=key, Body=body(old))

    return now


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(lambda old: old[:-1], id="less", marks=pytest.mark.slow),
        pytest.param(lambda old: old + b"\0", id="more", marks=pytest.mark.slow),
        pytest.param(lambda old: bytes(len(old)), id="other"),
    ],
)
def test_an_object_that_changes_while_it_is_read_is_not_mixed(world: World, body: Callable[[bytes], bytes]) -> None:
    kept = {key: world.client.get_object(Bucket=world.bucket, Key=key)["Body"].read() for key in world.data}
    world.store.before = _overwrite(world, body)
    world.store.fail(None, first=5)
    result = world.load()
    assert result.exit_code == ExitCode.INPUT, result.error
    assert "overwritten" in str(result.error)
    for key, content in kept.items():
        world.client.put_object(Bucket=world.bucket, Key=key, Body=content)
    assert world.load().error is None
    world.holds_everything_once()
