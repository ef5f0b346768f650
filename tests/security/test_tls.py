"""Who the other side is: certificates of servers and clients, and passwords that nobody sees."""

from __future__ import annotations

import logging
import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from gateway import Gateway
from security.certificates import Authority
from security.secrets import PASSWORD

from transformer import settings as process_settings
from transformer.errors import UsageError
from transformer.load.address import Server, parse_address
from transformer.load.destination import Destination, open_destination
from transformer.load.tls import tls_options
from transformer.settings import Secret, Settings

Serve = Callable[..., Gateway]


def opened(gateway: Gateway, scheme: str = "https", **settings: object) -> Destination:
    given = {"clickhouse_password": Secret(PASSWORD), "connect_timeout": 30, "read_timeout": 60, **settings}
    return open_destination(f"{scheme}://loader@127.0.0.1:{gateway.port}/default", Settings(**given))


def answers(destination: Destination) -> bool:
    try:
        return destination.query("SELECT 1 FORMAT CSV") == b"1\n"
    finally:
        destination.close()


def test_a_server_of_a_known_authority_is_trusted(serve: Serve, authority: Authority) -> None:
    assert answers(opened(serve(tls=authority.issue("server")), ca_cert=str(authority.file)))


def test_a_server_of_an_unknown_authority_gets_nothing(serve: Serve, authority: Authority, stranger: Authority) -> None:
    gateway = serve(tls=stranger.issue("impostor"))
    for known in ("", str(authority.file)):
        with pytest.raises(UsageError, match=r"not trusted(.|\n)*--ca-cert"):
            opened(gateway, ca_cert=known)
    assert not gateway.requests


def test_a_server_under_another_name_gets_nothing(serve: Serve, authority: Authority) -> None:
    gateway = serve(tls=authority.issue("elsewhere", address="192.0.2.1"))
    with pytest.raises(UsageError, match="not trusted"):
        opened(gateway, ca_cert=str(authority.file))
    assert not gateway.requests


def test_a_client_certificate_stands_for_the_password(serve: Serve, authority: Authority) -> None:
    cert, key = authority.issue("client")
    gateway = serve(tls=authority.issue("server"), clients=authority)
    files = {"ca_cert": str(authority.file), "client_cert": str(cert), "client_key": str(key)}
    assert answers(opened(gateway, clickhouse_password=None, **files))
    assert all("Authorization" not in request.headers for request in gateway.requests)


def test_a_client_certificate_and_a_password_are_both_shown(serve: Serve, authority: Authority) -> None:
    cert, key = authority.issue("client")
    both = cert.with_name("both.pem")
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    gateway = serve(tls=authority.issue("server"), clients=authority)
    assert answers(opened(gateway, ca_cert=str(authority.file), client_cert=str(both)))
    assert all("Authorization" in request.headers for request in gateway.requests)


def test_files_that_cannot_be_used_are_named_before_anything_is_sent(authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.issue("client")
    _, other = authority.issue("other")
    _, locked = authority.issue("locked", passphrase=b"secret")
    (tmp_path / "no.pem").write_text("nothing")
    https = parse_address("https://loader@127.0.0.1:1/default", Settings())
    http = parse_address("http://loader@127.0.0.1:1/default", Settings())
    assert isinstance(https, Server)
    assert isinstance(http, Server)
    for address, given, says in [
        (https, {"ca_cert": str(tmp_path / "absent")}, "--ca-cert .*absent cannot be read: No such file"),
        (https, {"ca_cert": str(tmp_path / "no.pem")}, "holds no certificate"),
        (https, {"client_key": str(key)}, "needs --client-cert"),
        (https, {"client_cert": str(cert)}, "cannot be used together"),
        (https, {"client_cert": str(cert), "client_key": str(other)}, "cannot be used together"),
        (https, {"client_cert": str(cert), "client_key": str(locked)}, "without a passphrase"),
        (https, {"client_cert": str(cert), "client_key": str(tmp_path)}, "--client-key .* cannot be read"),
        (http, {"ca_cert": str(authority.file)}, "Write https://"),
    ]:
        with pytest.raises(UsageError, match=says):
            tls_options(address, Settings(**given))


def test_a_password_that_crosses_the_network_in_the_clear_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(clickhouse_password=Secret(PASSWORD))
    with caplog.at_level(logging.WARNING):
        for host, warned in [("127.0.0.1", 0), ("localhost", 0), ("[::1]", 0), ("db.example", 1)]:
            caplog.clear()
            address = parse_address(f"http://loader@{host}/default", settings)
            assert isinstance(address, Server)
            assert tls_options(address, settings) == {}
            assert caplog.text.count("unencrypted") == warned
            assert "pl4nted" not in caplog.text


def test_options_before_the_command_reach_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformer.cli.options import give_to_settings

    monkeypatch.setattr(process_settings, "_given", {})
    monkeypatch.setenv("DYNAMO2CH_CA_CERT", "/from/environment")
    give_to_settings(None, "/cert", None, ask_password=False)
    settings = Settings.from_environment()
    assert (settings.ca_cert, settings.client_cert, settings.client_key) == ("/from/environment", "/cert", "")
    give_to_settings("/given", None, "/key", ask_password=False)
    settings = Settings.from_environment()
    assert (settings.ca_cert, settings.client_cert, settings.client_key) == ("/given", "/cert", "/key")
    assert "DYNAMO2CH_CLIENT_CERT" not in os.environ


def test_nobody_to_ask_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import getpass
    import warnings

    from transformer.cli.options import give_to_settings

    def no_terminal(_prompt: str) -> str:
        warnings.warn("can not control echo", getpass.GetPassWarning, stacklevel=1)
        return "shown on the screen"

    monkeypatch.setattr(process_settings, "_given", {})
    monkeypatch.setattr(getpass, "getpass", no_terminal)
    with pytest.raises(UsageError, match=r"needs a terminal\n.*CLICKHOUSE_PASSWORD_FILE"):
        give_to_settings(None, None, None, ask_password=True)


def test_a_password_that_is_typed_opens_the_door_and_is_not_shown(serve: Serve) -> None:
    gateway = serve()
    command = [sys.executable, "-m", "transformer.cli", "--ask-password", "query", "SELECT 'in' || 'side' FORMAT CSV"]
    command += ["--to", f"http://loader@127.0.0.1:{gateway.port}/default"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLICKHOUSE_")}
    terminal, keyboard = pty.openpty()
    seen = b""
    # In a session without a terminal of its own, the prompt turns to standard input.
    with subprocess.Popen(
        command, stdin=keyboard, stdout=keyboard, stderr=keyboard, env=environment, start_new_session=True
    ) as child:
        os.close(keyboard)
        try:
            while b"password: " not in seen:
                seen += _read(terminal)
            os.write(terminal, PASSWORD.encode() + b"\n")
            while b"inside" not in seen:
                seen += _read(terminal)
        finally:
            os.close(terminal)
            child.kill()
    assert "pl4nted" not in seen.decode()


def _read(terminal: int) -> bytes:
    ready, _, _ = select.select([terminal], [], [], 120)
    assert ready, "the command says nothing"
    data = os.read(terminal, 4096)
    assert data, "the command ended"
    return data
