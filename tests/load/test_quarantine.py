"""Rejects reach their file whole, in order, in private; or no file is there."""

from __future__ import annotations

import base64
import gzip
import json
import os
import stat
import threading
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

from transformer.errors import InternalError, RejectCode, RetryError, UsageError, Verdict
from transformer.load.quarantine import Quarantine

VERDICT = Verdict(RejectCode.OUT_OF_RANGE, 17, path="orders[2].qty", column="orders")


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def test_a_record_has_all_there_is_to_say(tmp_path: Path) -> None:
    with Quarantine(str(tmp_path / "q")).file("data/abc.json.gz") as file:
        file.write(3, VERDICT, b'{"Item":{"x":{"S":"\xc3\xa9\xe2\x80\xa8"}}}')
        file.write(4, Verdict(RejectCode.INVALID_UTF8, 1), b'"\xff')
        file.write(9, Verdict(RejectCode.JSON_TRUNCATED, 0), b"")
        assert file.count == 3
    (path,) = (tmp_path / "q").iterdir()
    assert path.name == "data%2Fabc.json.gz.rejects.jsonl.gz"
    assert file.url == str(path)
    assert read(path) == [
        {
            "file": "data/abc.json.gz",
            "line": 3,
            "offset": 17,
            "code": "OUT_OF_RANGE",
            "path": "orders[2].qty",
            "column": "orders",
            "reason": "the value is outside the range of the column (column orders)",
            "raw": '{"Item":{"x":{"S":"é\u2028"}}}',
        },
        {
            "file": "data/abc.json.gz",
            "line": 4,
            "offset": 1,
            "code": "INVALID_UTF8",
            "path": "",
            "column": "",
            "reason": "the bytes are not valid UTF-8",
            "raw_base64": base64.b64encode(b'"\xff').decode(),
        },
        {
            "file": "data/abc.json.gz",
            "line": 9,
            "offset": 0,
            "code": "JSON_TRUNCATED",
            "path": "",
            "column": "",
            "reason": "the line ends before the JSON text does",
            "raw": None,
        },
    ]


@given(raws=st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=5))
def test_every_line_comes_back(tmp_path_factory: pytest.TempPathFactory, raws: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("q")
    with Quarantine(str(folder)).file("f") as file:
        for number, raw in enumerate(raws, 1):
            file.write(number, VERDICT, raw)
    found = read(Path(file.url))
    assert [r["raw"].encode() if "raw" in r else base64.b64decode(r["raw_base64"]) for r in found] == raws


def test_nothing_is_there_without_rejects(tmp_path: Path) -> None:
    with Quarantine(str(tmp_path / "q")).file("f"):
        pass
    assert not (tmp_path / "q").exists()


def test_files_are_private_and_appear_when_closed(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        file = Quarantine(f"file://{tmp_path}/q").file("f")
        file.write(1, VERDICT, b"x")
    finally:
        os.umask(before)
    (unfinished,) = (tmp_path / "q").iterdir()
    assert unfinished.name.endswith(".part")
    assert stat.S_IMODE(unfinished.stat().st_mode) == 0o600
    file.close()
    file.close()
    (finished,) = (tmp_path / "q").iterdir()
    assert str(finished) == file.url
    assert stat.S_IMODE(finished.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "q").stat().st_mode) == 0o700
    with pytest.raises(InternalError):
        file.write(2, VERDICT, b"x")


def test_discarding_leaves_nothing(tmp_path: Path) -> None:
    file = Quarantine(str(tmp_path / "q")).file("f")
    file.write(1, VERDICT, b"x")
    file.discard()
    file.discard()
    file.close()
    assert list((tmp_path / "q").iterdir()) == []


def test_what_was_rejected_before_an_error_stays_known(tmp_path: Path) -> None:
    file = Quarantine(str(tmp_path / "q")).file("f")

    def load() -> None:
        with file:
            file.write(1, VERDICT, b"x")
            raise KeyError

    with pytest.raises(KeyError):
        load()
    assert len(read(Path(file.url))) == 1


def test_names_lead_nowhere_else(tmp_path: Path) -> None:
    quarantine = Quarantine(str(tmp_path / "q"))
    for name in ("../../etc/x", "/abs", "..", ".", "a\\b\0c", "a b"):
        with quarantine.file(name) as file:
            file.write(1, VERDICT, b"x")
        assert Path(file.url).parent == tmp_path / "q"
    assert len(list((tmp_path / "q").iterdir())) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["q"]


def test_threads_do_not_mix(tmp_path: Path) -> None:
    quarantine = Quarantine(str(tmp_path / "q"))

    def work(name: str) -> None:
        with quarantine.file(name) as file:
            for line in range(500):
                file.write(line, VERDICT, name.encode() * 20)

    threads = [threading.Thread(target=work, args=(f"f{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for path in (tmp_path / "q").iterdir():
        records = read(path)
        assert [record["line"] for record in records] == list(range(500))
        assert len({record["raw"] for record in records}) == 1


def test_a_store_has_the_whole_object_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        options = {
            "key": "k",
            "secret": "s",
            "endpoint_url": f"http://{host}:{port}",
            "client_kwargs": {"region_name": "eu-west-1"},
            "skip_instance_cache": True,
        }
        s3 = fsspec.filesystem("s3", **options)
        s3.mkdir("bucket")
        quarantine = Quarantine("s3://bucket/rejects", options)
        # Random bytes do not compress: this one goes up in several parts, the other in one request.
        large = os.urandom(12 << 20)
        for name, raw in (("large", large), ("small", b"x")):
            file, thrown_away = quarantine.file(name), quarantine.file(f"{name}-thrown-away")
            for one in (file, thrown_away):
                one.write(1, Verdict(RejectCode.INVALID_UTF8, 0), raw)
            assert not s3.exists(file.url)
            thrown_away.discard()
            file.close()
            s3.invalidate_cache()
            (record,) = map(json.loads, gzip.decompress(s3.cat(file.url)).splitlines())
            assert record.get("raw") == "x" or base64.b64decode(record["raw_base64"]) == large
        assert [path.rsplit("/", 1)[1] for path in s3.ls("bucket/rejects")] == [
            "large.rejects.jsonl.gz",
            "small.rejects.jsonl.gz",
        ]
        assert not s3.call_s3("list_multipart_uploads", Bucket="bucket").get("Uploads")
    finally:
        server.stop()


def test_any_store_will_do() -> None:
    quarantine = Quarantine("memory://bucket/rejects")
    file = quarantine.file("data/a.json.gz")
    file.write(1, VERDICT, b"x")
    memory = fsspec.filesystem("memory")
    file.close()
    assert file.url == "memory:///bucket/rejects/data%2Fa.json.gz.rejects.jsonl.gz"
    assert json.loads(gzip.decompress(memory.cat(file.url)))["raw"] == "x"
    memory.rm("/bucket", recursive=True)


def test_equal_rejects_make_equal_files(tmp_path: Path) -> None:
    written = []
    for folder in ("one", "two"):
        with Quarantine(str(tmp_path / folder)).file("f") as file:
            file.write(1, VERDICT, b"x")
        written.append(Path(file.url).read_bytes())
    assert written[0] == written[1]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    file = Quarantine(str(tmp_path / "file/q")).file("data/a.json.gz")
    with pytest.raises(UsageError, match=r"data/a\.json\.gz cannot be written to .*\n.*--rejects"):
        file.write(1, VERDICT, b"x")
    with pytest.raises(UsageError, match="cannot be written"):
        Quarantine("nosuchstore://x")


def test_a_full_disk_is_a_reason_to_try_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Quarantine(str(tmp_path / "q")).file("f")
    file.write(1, VERDICT, b"x")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RetryError, match="No space left on device"):
        file.close()
    assert list((tmp_path / "q").iterdir()) == []
