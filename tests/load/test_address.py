"""The grammar of destination URLs."""

from __future__ import annotations

from pathlib import Path

import pytest

from transformer.errors import UsageError
from transformer.load.address import Embedded, Nowhere, Server, parse_address
from transformer.settings import Secret, Settings

SETTINGS = Settings(clickhouse_password=Secret("from-settings"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://h", Server("h", 8123, "default", "default", False, Secret("from-settings"))),
        ("https://u@h/db", Server("h", 8443, "u", "db", True, Secret("from-settings"))),
        ("http://u@h:81/db/", Server("h", 81, "u", "db", False, Secret("from-settings"))),
        ("http://u:p%40@h:81/a%2Fb", Server("h", 81, "u", "a/b", False, Secret("p@"))),
        ("http://u:@h/db", Server("h", 8123, "u", "db", False, Secret(""))),
        ("http://a%40b@[::1]:8123/d", Server("::1", 8123, "a@b", "d", False, Secret("from-settings"))),
        ("null:", Nowhere()),
    ],
)
def test_what_urls_mean(text: str, expected: object) -> None:
    address = parse_address(text, SETTINGS)
    assert address == expected
    assert parse_address(address.url, SETTINGS).url == address.url
    assert "p%40@" not in address.url


def test_embedded_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_address("chdb://", SETTINGS) == Embedded(tmp_path / ".dynamo2ch/chdb")
    assert parse_address("chdb:", SETTINGS) == Embedded(tmp_path / ".dynamo2ch/chdb")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for text in (
        f"chdb://{tmp_path}/real",
        f"chdb://{tmp_path}/real/",
        f"chdb://{tmp_path}/link",
        f"chdb://{tmp_path}/x/../real",
    ):
        assert parse_address(text, SETTINGS) == Embedded(tmp_path / "real")
    odd = parse_address("chdb:///a%20b/c%3Fd?database=x%20y", SETTINGS)
    assert odd == Embedded(Path("/a b/c?d"), "x y")
    assert parse_address(odd.url, SETTINGS) == odd


@pytest.mark.parametrize(
    "text",
    [
        "",
        "users",
        "/tmp/db",
        "chdb://relative/dir",
        "chdb:///",
        "chdb:///a?databse=x",
        "chdb:///a?database=",
        "chdb:///a#b",
        "http://",
        "http:///db",
        "http://u:s3cret@h/a/b",
        "http://u:s3cret@h/db?secure=1",
        "http://u:s3cret@h:port/db",
        "http://u:s3cret/x@h/db",
        "http://u:s3cret#x@h/db",
        "http://u:12?s3cret@h/db",
        "http://[u:s3cret@h/db",
        "clickhouse://u:s3cret@h/db",
        "null:x",
        "null://u:s3cret@h",
    ],
)
def test_what_is_no_destination(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(text, SETTINGS)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_secrets_do_not_show() -> None:
    address = parse_address("http://u:s3cret@h/db", SETTINGS)
    assert "s3cret" not in f"{address} {address!r} {address.url}"
