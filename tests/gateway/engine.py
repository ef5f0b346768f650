"""The embedded engine as a server uses it: several connections, each with the settings of one statement."""

from __future__ import annotations

import contextlib
import inspect
import os
import queue
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import chdb

CONNECTIONS = 4
"""Statements that run at one time."""


class StatementError(RuntimeError):
    """ClickHouse's answer to a statement that failed."""


class Engine:
    """A database in a folder, owned by this process. Threads share it."""

    def __init__(self, folder: str, scratch: Path) -> None:
        """folder: as `chdb.connect` takes it. scratch: where the bodies of inserts wait to be read."""
        self.folder = folder
        self._scratch = scratch
        self._idle: queue.LifoQueue[Any] = queue.LifoQueue()
        self._every = [chdb.connect(folder) for _ in range(CONNECTIONS)]
        for connection in self._every:
            self._idle.put(connection)
        self._takes_parameters = "params" in inspect.signature(self._every[0].query).parameters
        self.version = bytes(self._every[0].query("SELECT version()", "TabSeparatedRaw").bytes()).decode().strip()

    def run(
        self,
        sql: str,
        *,
        body: Path | None = None,
        settings: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
        database: str | None = None,
        form: str = "TabSeparated",
    ) -> tuple[bytes, dict[str, str]]:
        """The result of one statement, and its summary as the header X-ClickHouse-Summary gives it.

        body: the data of an INSERT. settings, parameters: for this statement. form: of the result, unless it says.
        Raises StatementError with ClickHouse's message.
        """
        if body is not None:
            into, _, inner = sql.rpartition("FORMAT")
            sql = f"{into} FROM INFILE {_quote(str(body))} FORMAT {inner}"
        with self._connection() as connection, _errors():
            connection.query(f"USE {_identifier(database or 'default')}")
            named = dict(parameters or {})
            assigned = dict(settings or {})
            if not self._takes_parameters:
                assigned |= {f"param_{name}": value for name, value in named.items()}
            set_so_far = []
            try:
                for name, value in assigned.items():
                    connection.query(f"SET {name} = {_quote(value)}")
                    set_so_far.append(name)
                more = {"params": named} if named and self._takes_parameters else {}
                result = connection.query(sql, form, **more)
                data = bytes(result.bytes()) if result is not None else b""
            finally:
                for name in set_so_far:
                    if not name.startswith("param_"):
                        connection.query(f"SET {name} = DEFAULT")
        figures = {"read_rows": "rows_read", "read_bytes": "bytes_read", "written_rows": "rows_written"}
        return data, {
            name: str(getattr(result, method)()) for name, method in figures.items() if hasattr(result, method)
        }

    @contextlib.contextmanager
    def body(self) -> Iterator[Path]:
        """The path of a file for the body of one insert, gone afterwards."""
        descriptor, name = tempfile.mkstemp(suffix=".raw", dir=self._scratch)
        os.close(descriptor)
        try:
            yield Path(name)
        finally:
            Path(name).unlink()

    @contextlib.contextmanager
    def _connection(self) -> Iterator[Any]:
        connection = self._idle.get()
        try:
            yield connection
        finally:
            self._idle.put(connection)

    def close(self) -> None:
        """Give the database up; no statement may be running."""
        for connection in self._every:
            connection.close()


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:  # older engines: the message of an exception with a binary value in it
        raise StatementError(bytes(error.object).decode(errors="replace")) from error
    except RuntimeError as error:
        raise StatementError(str(error)) from error


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _identifier(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"
