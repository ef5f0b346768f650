"""Servers: the gateway over the engine of this environment, over older ones, and a real server where one is named."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway.process import GatewayProcess
from readback.proof import Command

ROOT = Path(__file__).parents[2]
OLDER = {"24.8": "3.1.2", "25.8": "3.7.2"}
"""Release of ClickHouse → release of chdb that holds it."""


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    """The gateway over the engine of this environment."""
    with GatewayProcess(tmp_path / "served") as process:
        yield process


@pytest.fixture(params=["24.8", "25.8", "now", "real"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of each server, with an empty database."""
    release: str = request.param
    if release == "real":
        yield from _real()
        return
    environment = {}
    if release in OLDER:
        python = ROOT / ".venv" / "servers" / OLDER[release] / "bin" / "python"
        if not python.is_file():
            pytest.skip(f"no environment with ClickHouse {release}: `make test-servers` makes it")
        environment["python"] = str(python)
    with GatewayProcess(tmp_path / "served", **environment) as process:
        assert release == "now" or process.version.startswith(release)
        yield process.url


def _real() -> Iterator[str]:
    """A new database on the server that CLICKHOUSE_URL names; the password comes from CLICKHOUSE_PASSWORD."""
    from transformer.load.destination import open_destination

    url = os.environ.get("CLICKHOUSE_URL")
    if not url:
        pytest.skip("CLICKHOUSE_URL is not set: no real server to load into")
    base = url.rstrip("/")
    name = f"dynamo2ch_test_{secrets.token_hex(4)}"
    destination = open_destination(f"{base}/default")
    destination.query(f"CREATE DATABASE {name}")
    try:
        yield f"{base}/{name}"
    finally:
        destination.query(f"DROP DATABASE {name}")
        destination.close()


@pytest.fixture
def command(server: str, tmp_path: Path) -> Iterator[Command]:
    """The command, loading into `server`."""
    command = Command(tmp_path / "client", server)
    command.folder.mkdir()
    yield command
    command.drop()
