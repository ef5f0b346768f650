"""The embedded engine as these tests use it: statements and rows, without the load room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import clickhouse_connect
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_connect.driver.client import Client


@pytest.fixture(scope="session")
def engine(chdb_url: str) -> Iterator[Client]:
    """A client of this process's embedded database."""
    client = clickhouse_connect.get_client(interface="chdb", path=chdb_url.removeprefix("chdb://"))
    yield client
    client.close()
