"""Dead letters, decoded by the kernels: the rows that the item would have given, with the version of the record."""

from __future__ import annotations

from dataclasses import replace

import pytest
from decode_strategies import Writer
from landing_cases import WIDE, nested
from landing_compare import START, Doors, record

from transformer.errors import ExitCode
from transformer.job.dead_letters import replay_dead_letters

WRITER = Writer()
KEY = [("id", ("S", "k"))]


@pytest.fixture
def doors(chdb_destination, unique_name):
    made = Doors(chdb_destination, WIDE, f"letters_{unique_name}", depth=1)
    # The destination as it is, because a replay holds it against the schema.
    made.run(f"DROP TABLE `{made.table.name}` SYNC")
    made.run(made.statements[0].sql)
    yield made
    made.drop()


def test_letters_become_rows_and_what_cannot_stays(doors):
    deep = [*KEY, ("x", nested(4)), ("b", ("L", [("M", [("c", ("B", b"\xff\x00")), ("d", ("BS", [b"a", b""]))])]))]
    other = [("id", ("S", "wide"))]
    twice = [*KEY, ("y", nested(3)), ("y", nested(3))]
    last = [("id", ("S", "last")), ("m", ("M", [("v", nested(3))]))]
    name = doors.table.name
    doors.land([
        record(name, KEY, deep, START, writer=Writer("wild", 3)),
        record(name, other, [*other, ("n", ("N", "1e30"))], START + 1, writer=WRITER),
        record(name, KEY, twice, START + 2, writer=WRITER),
        b"broken",
        record(name, last[:1], last, START + 3000, writer=WRITER, unit=1000),
    ])  # fmt: skip
    assert len(doors.dead()) == 5
    result = replay_dead_letters(doors.table, doors.engine)
    assert (result.letters, result.rows, result.remaining) == (5, 2, 3)
    assert result.exit_code == ExitCode.INPUT
    assert [number for number, _ in doors.dead()] == [1, 2, 3]
    doors.decode([WRITER.line(deep), WRITER.line(last)], [START, START + 3000])
    assert doors.rows(doors.table) == doors.rows(doors.kernel)
    # The schema is mended: a wider number.
    columns = tuple(
        replace(c, type=type(c.type)(replace(c.type.inner, bits=128))) if c.name == "n" else c for c in WIDE.columns
    )
    doors.run(f"ALTER TABLE `{name}` MODIFY COLUMN n Nullable(Int128)")
    again = replay_dead_letters(replace(doors.table, columns=columns), doors.engine)
    assert (again.letters, again.rows, again.remaining) == (3, 1, 2)
    found = doors.engine.query(f"SELECT id, n, version FROM `{name}` WHERE id = 'wide' FORMAT TSV")
    assert found == f"wide\t{10**30}\t{START + 1}\n".encode()


def test_without_letters_there_is_nothing_to_do(doors):
    result = replay_dead_letters(doors.table, doors.engine)
    assert (result.letters, result.exit_code) == (0, ExitCode.DONE)


def test_a_deleted_item_that_was_a_letter_is_a_tombstone(doors):
    text = record(doors.table.name, [("id", ("S", "a"))], None, START, writer=WRITER)
    doors.run(
        f"INSERT INTO `{doors.names.dead}` (at, errors, raw) VALUES (now64(3), ['by hand'], '{text.decode()}')"
    )  # fmt: skip
    assert replay_dead_letters(doors.table, doors.engine).rows == 1
    found = doors.engine.query(f"SELECT id, version, is_deleted FROM `{doors.table.name}` FORMAT TSV")
    assert found == f"a\t{START}\t1\n".encode()
