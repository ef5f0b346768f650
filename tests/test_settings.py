"""Settings from the environment, and secrets that do not show."""

from __future__ import annotations

from pathlib import Path

import pytest

from transformer.errors import UsageError
from transformer.settings import Secret, Settings


def test_nothing_set() -> None:
    assert Settings.from_environment({}) == Settings()


def test_everything_set(tmp_path: Path) -> None:
    environ = {
        "CLICKHOUSE_PASSWORD": "s3cret ",
        "DYNAMO2CH_CONNECT_TIMEOUT": "3",
        "DYNAMO2CH_READ_TIMEOUT": "600",
        "DYNAMO2CH_LOG_LEVEL": "DEBUG",
        "DYNAMO2CH_LOG_FORMAT": "json",
    }
    settings = Settings.from_environment(environ)
    assert settings == Settings(Secret("s3cret "), 3, 600, "debug", "json")
    assert "s3cret" not in f"{settings} {settings!r}"


@pytest.mark.parametrize(("content", "expected"), [(b"s3cret\n", "s3cret"), (b"s3 \r\n", "s3 "), (b"a\n\n", "a\n")])
def test_a_password_from_a_file(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "password").write_bytes(content)
    settings = Settings.from_environment({"CLICKHOUSE_PASSWORD_FILE": str(tmp_path / "password")})
    assert settings.clickhouse_password == Secret(expected)


def test_a_password_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff")
    for name in ("missing", "binary"):
        with pytest.raises(UsageError, match="CLICKHOUSE_PASSWORD_FILE"):
            Settings.from_environment({"CLICKHOUSE_PASSWORD_FILE": str(tmp_path / name)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DYNAMO2CH_CONNECT_TIMEOUT", "soon"),
        ("DYNAMO2CH_READ_TIMEOUT", "0"),
        ("DYNAMO2CH_READ_TIMEOUT", "-1"),
        ("DYNAMO2CH_READ_TIMEOUT", "inf"),
        ("DYNAMO2CH_LOG_LEVEL", "loud"),
        ("DYNAMO2CH_LOG_FORMAT", "xml"),
    ],
)
def test_what_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=name):
        Settings.from_environment({name: value})


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret("s3cret")
    assert secret.reveal() == "s3cret"
    for shown in (str(secret), repr(secret), f"{secret}", f"{[secret]}", f"{secret!s:>20}"):
        assert "s3cret" not in shown
    assert secret != "s3cret"
    assert secret == Secret("s3cret")
    assert len({secret, Secret("s3cret"), Secret("other")}) == 2
