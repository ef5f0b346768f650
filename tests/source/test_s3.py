"""Exports in S3: two servers that differ from each other, and everything that goes wrong on the way there."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from pathlib import Path

import fsspec
import numpy as np
import pytest
import s3fs

from transformer.errors import RetryError, SourceError, UsageError
from transformer.source import streams
from transformer.source.blocks import open_blocks
from transformer.source.export import DataFile, Export, find_export


@pytest.fixture(params=["moto", "rclone"])
def s3(request):
    """Each of the two servers."""
    return request.getfixturevalue(f"{request.param}_s3")


@pytest.fixture(autouse=True)
def aws_environment(monkeypatch, tmp_path):
    """An environment without any AWS settings but these."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)


@pytest.fixture
def fresh():
    """No client of an earlier test, which would keep the environment of that test."""
    s3fs.S3FileSystem.clear_instance_cache()


def read(file: DataFile, options: dict[str, object], block_bytes: int = 1 << 16) -> bytes:
    with open_blocks(file, block_bytes=block_bytes, slack=64, storage_options=options) as reader:
        return b"".join(block.buffer[: block.size].tobytes() for block in reader)


def meddle(monkeypatch, before):
    """Call `before` with the first byte of each range that is asked for, in the place of the request."""
    ask = streams._RangeStream._request

    async def meddled(self, begin, end):
        before(begin)
        return await ask(self, begin, end)

    monkeypatch.setattr(streams._RangeStream, "_request", meddled)


def lines_of(export: Export, options: dict[str, object]) -> list[bytes]:
    return b"".join(read(file, options) for file in export.files).splitlines()


@pytest.mark.parametrize("prefix", [None, "nightly/orders"])
@pytest.mark.parametrize("given", ["folder", "slash", "summary", "AWSDynamoDB", "bucket"])
def test_every_way_to_name_it(s3, tiny, prefix, given):
    export = tiny(prefix=prefix)
    bucket = s3.bucket(export.objects())
    folder = f"s3://{bucket}/{export.folder}"
    url = {
        "folder": folder,
        "slash": f"{folder}/",
        "summary": f"{folder}/manifest-summary.json",
        "AWSDynamoDB": folder.rpartition("/")[0],
        "bucket": f"s3://{bucket}",
    }[given]
    found = find_export(url, s3.options)
    assert found.url == folder
    assert found.warnings == ()
    assert found.files[0].url == f"{folder}/data/{min(export.data)}"
    assert [file.size for file in found.files] == [
        len(content) for key, content in sorted(export.objects().items()) if "/data/" in key
    ]
    assert len(lines_of(found, s3.options)) == 3


def test_a_file_of_many_ranges(s3, monkeypatch):
    monkeypatch.setattr(streams, "RANGE_BYTES", 10_007)
    rng = np.random.default_rng(1)
    text = b"".join(rng.bytes(300).hex().encode() + b"\n" for _ in range(1000))
    stored = gzip.compress(text)
    assert len(stored) > 20 * 10_007
    bucket = s3.bucket({"x.json.gz": stored, "exact.json": text[: 10_007 * 3], "none.json": b""})
    found = find_export(f"s3://{bucket}", s3.options)
    assert [read(file, s3.options) for file in found.files] == [text[: 10_007 * 3], b"", text]


def test_at_most_a_few_ranges_are_held(s3, monkeypatch):
    monkeypatch.setattr(streams, "RANGE_BYTES", 1000)
    asked = []
    meddle(monkeypatch, lambda begin: asked.append(begin))
    bucket = s3.bucket({"x.json": b"12345678\n" * 5000})
    file = find_export(f"s3://{bucket}", s3.options).files[0]
    with open_blocks(file, block_bytes=900, slack=64, storage_options=s3.options) as reader:
        first = next(reader)
        assert first.size == 900
    assert len(asked) <= 1 + streams.RANGES_AHEAD
    assert sorted(asked) == [0, 1000, 2000][: len(asked)]  # they run at the same time, in whatever order


@pytest.mark.parametrize("changed", [b"y\n" * 5000, b"y\n" * 4000])
def test_a_bare_object_that_is_overwritten_while_it_is_read(s3, monkeypatch, changed):
    monkeypatch.setattr(streams, "RANGE_BYTES", 1000)
    bucket = s3.bucket({"x.json": b"x\n" * 5000})
    file = find_export(f"s3://{bucket}", s3.options).files[0]
    client = s3.client
    with open_blocks(file, block_bytes=900, slack=64, storage_options=s3.options) as reader:
        next(reader)
        client.put_object(Bucket=bucket, Key="x.json", Body=changed)
        with pytest.raises(SourceError, match="overwritten while it was read"):
            list(reader)


def test_a_server_that_ignores_ranges(moto_s3, monkeypatch):
    monkeypatch.setattr(streams, "RANGE_BYTES", 1000)
    bucket = moto_s3.bucket({"x.json": b"x\n" * 5000})
    file = find_export(f"s3://{bucket}", moto_s3.options).files[0]

    ask = s3fs.S3FileSystem._call_s3

    async def whole(self, method, *args, Range=None, **parameters):
        return await ask(self, method, *args, **parameters)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", whole)
    with pytest.raises(SourceError, match="a range of 1,000 bytes came back with 10,000"):
        read(file, moto_s3.options)


def test_several_exports_are_listed(s3, tiny):
    newer = tiny(export_id="01795392900000-1b2c3d4e", prefix="a").objects()
    bucket = s3.bucket(tiny(prefix="b").objects() | newer)
    with pytest.raises(UsageError, match="holds 2 exports") as caught:
        find_export(f"s3://{bucket}", s3.options)
    urls = [line.split()[-1] for line in caught.value.message.splitlines()[1:]]
    assert urls == [
        f"s3://{bucket}/a/AWSDynamoDB/01795392900000-1b2c3d4e",
        f"s3://{bucket}/b/AWSDynamoDB/01795392000622-0a1b2c3d",
    ]


def test_a_missing_data_file(s3, tiny):
    export = tiny()
    objects = export.objects()
    del objects[f"{export.folder}/data/{min(export.data)}"]
    bucket = s3.bucket(objects)
    with pytest.raises(SourceError, match="lacks 1 of the 3 files"):
        find_export(f"s3://{bucket}/{export.folder}", s3.options)


def test_a_listing_is_not_remembered(s3, tiny):
    export = tiny()
    bucket = s3.bucket(export.objects())
    url = f"s3://{bucket}/{export.folder}"
    find_export(url, s3.options)
    client = s3.client
    client.delete_object(Bucket=bucket, Key=f"{export.folder}/data/{min(export.data)}")
    with pytest.raises(SourceError, match="lacks 1"):
        find_export(url, s3.options)


def test_a_data_file_that_goes_missing_later(s3, tiny):
    export = tiny()
    bucket = s3.bucket(export.objects())
    found = find_export(f"s3://{bucket}", s3.options)
    client = s3.client
    client.delete_object(Bucket=bucket, Key=f"{export.folder}/data/{min(export.data)}")
    with pytest.raises(SourceError, match="not found"):
        lines_of(found, s3.options)


def test_nothing_there(s3):
    bucket = s3.bucket({"other/x.txt": b""})
    for url in (f"s3://{bucket}/nothing", "s3://no-such-bucket-anywhere/x"):
        with pytest.raises(SourceError, match="does not exist"):
            find_export(url, s3.options)
    with pytest.raises(SourceError, match="no export and no data files"):
        find_export(f"s3://{bucket}", s3.options)
    with pytest.raises(UsageError, match="is a file"):
        find_export(f"s3://{bucket}/other/x.txt", s3.options)


def test_empty_manifests(s3, tiny):
    """S3 refuses a range of an empty object; that must not look like a broken storage."""
    for name, message in (("manifest-files.md5", "does not match"), ("manifest-summary.json", "no valid JSON")):
        export = tiny()
        bucket = s3.bucket(export.objects() | {f"{export.folder}/{name}": b""})
        with pytest.raises(SourceError, match=message):
            find_export(f"s3://{bucket}/{export.folder}", s3.options)


def test_folder_marker_objects(moto_s3, tiny):
    export = tiny()
    markers = {f"{export.folder}/": b"", f"{export.folder}/data/": b"", "AWSDynamoDB/": b"", "empty/": b""}
    bucket = moto_s3.bucket(export.objects() | markers)
    found = find_export(f"s3://{bucket}", moto_s3.options)
    assert found.warnings == ()
    assert len(lines_of(found, moto_s3.options)) == 3
    with pytest.raises(SourceError):
        find_export(f"s3://{bucket}/empty", moto_s3.options)


def test_real_exports_through_rclone(rclone_s3, real_exports):
    export = real_exports / "purpom"
    objects = {str(path.relative_to(export)): path.read_bytes() for path in export.rglob("*") if path.is_file()}
    found = find_export(f"s3://{rclone_s3.bucket(objects)}", rclone_s3.options)
    assert len(lines_of(found, rclone_s3.options)) == found.item_count == 3


@pytest.mark.usefixtures("fresh")
class TestSettings:
    def test_all_from_the_environment(self, moto_s3, tiny, monkeypatch):
        bucket = moto_s3.bucket(tiny().objects())
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", moto_s3.endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", moto_s3.key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", moto_s3.secret)
        found = find_export(f"s3://{bucket}")
        assert len(lines_of(found, {})) == 3

    def test_a_profile(self, rclone_s3, tiny, monkeypatch, tmp_path):
        bucket = rclone_s3.bucket(tiny().objects())
        (tmp_path / "aws-config").write_text(
            f"[profile batch]\nregion = eu-west-1\nendpoint_url = {rclone_s3.endpoint}\n"
            f"aws_access_key_id = {rclone_s3.key}\naws_secret_access_key = {rclone_s3.secret}\n"
        )
        assert find_export(f"s3://{bucket}", {"profile": "batch"}).item_count == 3
        s3fs.S3FileSystem.clear_instance_cache()
        monkeypatch.setenv("AWS_PROFILE", "batch")
        assert find_export(f"s3://{bucket}").item_count == 3

    def test_a_role_that_a_profile_assumes(self, moto_s3, tiny, tmp_path):
        bucket = moto_s3.bucket(tiny().objects())
        (tmp_path / "aws-config").write_text(
            f"[profile base]\nregion = eu-west-1\naws_access_key_id = {moto_s3.key}\n"
            f"aws_secret_access_key = {moto_s3.secret}\n"
            "[profile loader]\nregion = eu-west-1\nsource_profile = base\nservices = local\n"
            f"role_arn = arn:aws:iam::123456789012:role/loader\nendpoint_url = {moto_s3.endpoint}\n"
            f"[services local]\nsts =\n  endpoint_url = {moto_s3.endpoint}\n"
        )
        assert find_export(f"s3://{bucket}", {"profile": "loader"}).item_count == 3

    def test_anonymous(self, moto_s3, tiny):
        bucket = moto_s3.bucket(tiny().objects(), acl="public-read")
        options = {"anon": True, "endpoint_url": moto_s3.endpoint}
        found = find_export(f"s3://{bucket}", options)
        assert len(lines_of(found, options)) == 3


@pytest.mark.usefixtures("fresh")
class TestTrouble:
    def test_a_wrong_secret(self, rclone_s3, tiny):
        bucket = rclone_s3.bucket(tiny().objects())
        options = rclone_s3.options | {"secret": "a-wrong-secret-value"}
        with pytest.raises(UsageError, match="SignatureDoesNotMatch") as caught:
            find_export(f"s3://{bucket}", options)
        assert "a-wrong-secret-value" not in str(caught.value)
        assert "credentials" in caught.value.remedy

    def test_a_wrong_key(self, rclone_s3):
        with pytest.raises(UsageError, match="InvalidAccessKeyId") as caught:
            find_export("s3://bucket", rclone_s3.options | {"key": "nobody-knows-this-key"})
        assert "nobody-knows-this-key" not in str(caught.value)

    def test_no_credentials(self, moto_s3):
        with pytest.raises(UsageError, match="credentials") as caught:
            find_export("s3://bucket/x", {"endpoint_url": moto_s3.endpoint})
        assert caught.value.exit_code == 2

    def test_a_profile_that_does_not_exist(self, moto_s3):
        with pytest.raises(UsageError, match="nobody"):
            find_export("s3://bucket/x", {"profile": "nobody", "endpoint_url": moto_s3.endpoint})

    def test_access_denied(self, moto_s3, tiny):
        bucket = moto_s3.bucket(tiny().objects())
        with pytest.raises(UsageError, match="permission denied") as caught:
            find_export(f"s3://{bucket}", {"anon": True, "endpoint_url": moto_s3.endpoint})
        assert "s3:GetObject" in caught.value.remedy

    def test_objects_may_be_read_but_not_listed(self, moto_s3, tiny, monkeypatch):
        export = tiny(checksums=None)
        bucket = moto_s3.bucket(export.objects())
        ask = s3fs.S3FileSystem._call_s3

        async def as_s3_answers(self, method, *args, **arguments):
            """moto lets everybody list; S3 does not say whether something is there to who may not."""
            try:
                if method != "list_objects_v2":
                    return await ask(self, method, *args, **arguments)
            except FileNotFoundError:
                pass
            raise PermissionError("Access Denied")

        monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", as_s3_answers)
        monkeypatch.setattr(
            s3fs.S3FileSystem, "_lsdir", lambda self, *args, **options: as_s3_answers(self, "list_objects_v2")
        )
        options = moto_s3.options
        found = find_export(f"s3://{bucket}/{export.folder}", options)
        assert "found out only when they are read" in found.warnings[2]
        assert "is missing" in found.warnings[0]
        assert [file.size for file in found.files] == [None] * 3
        assert len(lines_of(found, options)) == 3

    def test_nobody_listens(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
            options = {"key": "k", "secret": "the-secret-value", "endpoint_url": endpoint}
            with pytest.raises(RetryError, match="cannot be reached") as caught:
                find_export("s3://bucket/x", options)
        assert caught.value.exit_code == 75
        assert "the-secret-value" not in str(caught.value)

    def test_an_endpoint_that_is_no_url(self):
        with pytest.raises(UsageError):
            find_export("s3://bucket/x", {"key": "k", "secret": "s", "endpoint_url": "no url"})

    def test_a_bucket_name_that_cannot_be(self, moto_s3):
        with pytest.raises(UsageError):
            find_export("s3://No_Bucket!/x", moto_s3.options)

    def test_the_connection_breaks_in_the_middle_of_a_file(self, moto_s3, monkeypatch):
        monkeypatch.setattr(streams, "RANGE_BYTES", 1000)
        bucket = moto_s3.bucket({"x.json": b"x\n" * 5000})
        file = find_export(f"s3://{bucket}", moto_s3.options).files[0]
        monkeypatch.setattr(streams, "_PAUSES", (0.0, 0.0))
        asked = []

        def broken(begin):
            asked.append(begin)
            if begin == 4000:
                raise ConnectionResetError(104, "Connection reset by peer")

        meddle(monkeypatch, broken)
        with pytest.raises(RetryError, match="Connection reset"):
            read(file, moto_s3.options)
        assert asked.count(4000) == 3

    @pytest.mark.parametrize("broken", ["reset", "short"])
    def test_a_range_that_breaks_off_is_asked_for_again(self, s3, monkeypatch, broken):
        monkeypatch.setattr(streams, "RANGE_BYTES", 1000)
        monkeypatch.setattr(streams, "_PAUSES", (0.0, 0.0))
        text = b"".join(b"%06d\n" % number for number in range(1500))
        bucket = s3.bucket({"x.json": text})
        file = find_export(f"s3://{bucket}", s3.options).files[0]
        asked = []
        ask = streams._RangeStream._request

        async def once_broken(self, begin, end):
            asked.append(begin)
            if asked.count(begin) > 1:
                return await ask(self, begin, end)
            if broken == "reset":
                raise ConnectionResetError(104, "Connection reset by peer")
            raise RetryError("a range of 1,000 bytes came back with 999")

        monkeypatch.setattr(streams._RangeStream, "_request", once_broken)
        assert read(file, s3.options) == text
        assert sorted(asked) == sorted([*range(0, len(text), 1000)] * 2)

    def test_a_body_that_ends_early(self, moto_s3, monkeypatch):
        monkeypatch.setattr(streams, "RANGE_BYTES", 1000)
        monkeypatch.setattr(streams, "_PAUSES", (0.0,))
        bucket = moto_s3.bucket({"x.json": b"x\n" * 5000})
        file = find_export(f"s3://{bucket}", moto_s3.options).files[0]
        ask = s3fs.S3FileSystem._call_s3

        async def shorter(self, method, *args, **parameters):
            if "Range" in parameters:
                begin, _, end = parameters["Range"].removeprefix("bytes=").partition("-")
                parameters["Range"] = f"bytes={begin}-{int(end) - 1}"
            return await ask(self, method, *args, **parameters)

        monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", shorter)
        with pytest.raises(RetryError, match="a range of 1,000 bytes came back with 999"):
            read(file, moto_s3.options)

    def test_closing_cancels_what_is_in_flight(self, moto_s3, monkeypatch):
        monkeypatch.setattr(streams, "RANGE_BYTES", 1000)
        bucket = moto_s3.bucket({"x.json": b"x\n" * 5000})
        file = find_export(f"s3://{bucket}", moto_s3.options).files[0]
        ask = streams._RangeStream._request
        ended = []

        async def endless(self, begin, end):
            if begin == 0:
                return await ask(self, begin, end)
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(begin)

        monkeypatch.setattr(streams._RangeStream, "_request", endless)
        with open_blocks(file, block_bytes=900, slack=64, storage_options=moto_s3.options) as reader:
            next(reader)
        fsspec.asyn.sync(fsspec.asyn.get_loop(), asyncio.sleep, 0)  # one turn of the loop, so that cancelling is done
        assert sorted(ended) == [1000, 2000][: len(ended)]
        assert ended


def test_manifests_in_the_tests_are_as_in_real_exports(tiny, real_exports):
    """The builder of these tests writes the members that AWS writes, in the same order."""
    real = next(Path(real_exports / "scylla-migrator").rglob("manifest-summary.json"))
    mine = tiny().objects()
    summary = next(content for key, content in mine.items() if key.endswith("manifest-summary.json"))
    assert list(json.loads(summary)) == list(json.loads(real.read_bytes()))
