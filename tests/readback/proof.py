"""Two-way comparison of an export's lines with a table's rows, key by key, in pieces that fit into memory."""

from __future__ import annotations

import bisect
import contextlib
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from readback.plain import Item, item, lines

EXACT = (
    "output_format_json_quote_64bit_integers = 1, output_format_json_quote_decimals = 1, "
    "output_format_json_quote_64bit_floats = 1, output_format_json_named_tuples_as_objects = 1"
)
"""Numbers that a reader of JSON might round come as strings."""


@dataclass(frozen=True)
class Check:
    """How one column is compared: `read` of what `sql` selects must be `expected` of the item.

    sql: an expression over the table that JSON holds exactly: bytes as hex, moments as ticks, maps as two arrays.
    """

    sql: str
    expected: Callable[[Item], object]
    read: Callable[[Any], object] = lambda value: value


@dataclass(frozen=True)
class Command:
    """The command in processes of its own, and the database that it fills.

    folder: where both keep files. server: the URL of the database; by default it is an embedded one in the folder.
    """

    folder: Path
    server: str | None = None

    @property
    def url(self) -> str:
        return self.server or f"chdb://{self.folder / 'chdb'}"

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run it to its end, whatever that is."""
        return subprocess.run(self._line(arguments), cwd=self.folder, capture_output=True, text=True, check=False)

    def record(self, *arguments: str | Path) -> dict[str, Any]:
        """What it says with --json. It must succeed."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        record: dict[str, Any] = json.loads(done.stdout)
        return record

    def synth(self, name: str, shape: str, *, items: int, files: int) -> Path:
        """A new export of made-up items in the folder `name`."""
        self.record(
            *("synth", self.folder / name, "--shape", shape),
            *("--items", str(items), "--files", str(files), "--seed", "1"),
        )
        return self.folder / name

    def load(self, export: Path, schema: Path, *more: str, to: str | None = None) -> dict[str, Any]:
        """Load an export whole, without one reject, into the database here or `to`. Returns the command's report."""
        record = self.record("snapshot", export, "--schema", schema, "--to", to or self.url, *more)
        assert record["status"] == "complete"
        assert record["items_rejected"] == 0
        assert record["rows_inserted"] == record["items_read"] == record["items_in_manifest"]
        return record

    def query(self, sql: str) -> Generator[list[Any]]:
        """Rows that `sql` selects, one by one as they arrive."""
        statement = f"{sql} FORMAT JSONCompactEachRow SETTINGS {EXACT}"
        line = self._line(("query", statement, "--to", self.url))
        # stderr stays where it is: a failing query should be seen, and a full pipe would block it.
        with subprocess.Popen(line, cwd=self.folder, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            try:
                for row in process.stdout:
                    yield json.loads(row.decode("utf-8"))
            except GeneratorExit:
                process.kill()  # nobody reads the rest
                raise
        assert process.returncode == 0

    def execute(self, sql: str) -> None:
        """Run a statement that gives no rows."""
        done = self.run("query", sql, "--to", self.url)
        assert done.returncode == 0, done.stderr

    def drop(self) -> None:
        """Remove the folder with all that lies in it."""
        shutil.rmtree(self.folder)

    @staticmethod
    def _line(arguments: Sequence[str | Path]) -> list[str]:
        return [sys.executable, "-m", "transformer.cli", *map(str, arguments)]


def prove(
    command: Command, export: Path, table: str, checks: Mapping[str, Check], *, key: Sequence[str], pieces: int = 1
) -> int:
    """Fail unless `table` holds exactly the items of `export`, equal in every column. Returns how many there are.

    checks: one for each column of the table, no fewer. key: names of the key columns; the values of their checks sort
    as ClickHouse sorts the columns. With several `pieces` the first of them must be a String that JSON holds as it is:
    lines and rows are then compared range by range of that column, so that memory holds one range at a time.
    """
    described = [name for (name,) in command.query(f"SELECT name FROM system.columns WHERE table = '{table}'")]
    assert sorted(described) == sorted(checks)
    first = checks[key[0]]
    bounds = _bounds(export, first, pieces)
    select = ", ".join(check.sql for check in checks.values())
    count = 0
    with tempfile.TemporaryDirectory(dir=command.folder) as folder:
        for number, path in enumerate(_split(export, first, bounds, Path(folder))):
            condition = _condition(key[0], bounds, number)
            rows = command.query(f"SELECT {select} FROM {table} WHERE {condition} ORDER BY {', '.join(key)}")
            with contextlib.closing(rows):
                count += _compare(_sorted_lines(path, checks, key), rows, checks, key)
            path.unlink()
    (totals,) = command.query(f"SELECT (SELECT count() FROM {table}), (SELECT count() FROM {table} FINAL)")
    assert totals == [str(count), str(count)]
    return count


def _bounds(export: Path, first: Check, pieces: int) -> list[str]:
    """Values of the first key column that cut it into ranges of about the same number of items."""
    if pieces == 1:
        return []
    some = sorted(str(first.expected(item(line))) for _, line in itertools.islice(lines(export), 0, None, 23))
    return [some[len(some) * piece // pieces] for piece in range(1, pieces)]


def _split(export: Path, first: Check, bounds: list[str], folder: Path) -> list[Path]:
    """Files with the lines of each range, each with its place before it."""
    paths = [folder / str(number) for number in range(len(bounds) + 1)]
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for place, line in lines(export):
            piece = bisect.bisect_right(bounds, str(first.expected(item(line)))) if bounds else 0
            files[piece].write(b"%b\t%b\n" % (place.encode(), line))
    return paths


def _condition(column: str, bounds: list[str], number: int) -> str:
    below = [f"{column} < '{bounds[number]}'"] if number < len(bounds) else []
    above = [f"{column} >= '{bounds[number - 1]}'"] if number else []
    return " AND ".join(above + below) or "1"


def _sorted_lines(path: Path, checks: Mapping[str, Check], key: Sequence[str]) -> list[tuple[tuple[Any, ...], bytes]]:
    """Lines of a piece with their keys, in the order of the keys."""
    found = []
    with path.open("rb") as file:
        for line in file:
            read = item(line.partition(b"\t")[2])
            found.append((tuple(checks[name].expected(read) for name in key), line))
    return sorted(found)


def _compare(
    placed: list[tuple[tuple[Any, ...], bytes]],
    rows: Iterable[list[Any]],
    checks: Mapping[str, Check],
    key: Sequence[str],
) -> int:
    """Fail at the first item without a row, row without an item, or value that differs. Returns the number of rows."""
    at_key = [list(checks).index(name) for name in key]
    key_checks = [checks[name] for name in key]
    count = 0
    for wanted, row in itertools.zip_longest(placed, rows):
        assert wanted is not None, f"no item for the row {row}"
        place, _, line = wanted[1].partition(b"\t")
        assert row is not None, f"no row for {place.decode()}: {line[:2000]!r}"
        found = tuple(check.read(row[at]) for check, at in zip(key_checks, at_key, strict=True))
        assert found == wanted[0], f"next item {wanted[0]!r} at {place.decode()}, next row {found!r}"
        read = item(line)
        for (name, check), value in zip(checks.items(), row, strict=True):
            expected, stored = check.expected(read), check.read(value)
            if (type(expected), expected) != (type(stored), stored):
                raise AssertionError(
                    f"{place.decode()}: column {name} should be {expected!r} and is {stored!r}: {line[:5000]!r}"
                )
        count += 1
    return count
