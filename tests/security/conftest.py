"""An authority, one that nobody trusts, and servers behind their certificates."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gateway import Engine, Gateway
from security.certificates import Authority
from security.secrets import PASSWORD


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that servers and clients have their certificates from."""
    return Authority.make(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody trusts."""
    return Authority.make(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory, chdb_url: str, chdb_destination: object) -> Iterator[Engine]:
    """The engine of this process, for servers that come and go."""
    engine = Engine(chdb_url.removeprefix("chdb://"), tmp_path_factory.mktemp("bodies"))
    yield engine
    engine.close()


@pytest.fixture
def serve(engine: Engine, authority: Authority) -> Iterator[Callable[..., Gateway]]:
    """Start servers; `tls` names files of certificate and key, `clients` an authority that clients must have one of."""
    started: list[Gateway] = []

    def start(
        tls: tuple[Path, Path] | None = None, clients: Authority | None = None, password: str = PASSWORD
    ) -> Gateway:
        context = None
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            if clients is not None:
                context.load_verify_locations(clients.file)
                context.verify_mode = ssl.CERT_REQUIRED
        started.append(Gateway(engine, user="loader", password=password, keep=True, tls=context))
        return started[-1]

    yield start
    for gateway in started:
        gateway.close()
