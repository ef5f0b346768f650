"""One item, two doors, one row: the landing view makes of records what the kernels make of the same items."""

from __future__ import annotations

import os

import pytest
from decode_strategies import Writer
from landing_cases import drawn
from landing_compare import START, Doors, recombined, record


def check_parity(engine, name, table, pool, number, count=500):
    doors = Doors(engine, table, name)
    try:
        keys = {column.path[0] for column in table.key_columns}
        items = recombined(pool, table, count, number)
        styles = ("compact", "spaced", "ascii", "wild")
        versions = [START + place for place in range(len(items))]
        records = [
            record(
                name,
                [entry for entry in item if entry[0] in keys],
                item,
                version,
                writer=Writer(styles[place % 4], place),
                event="MODIFY" if place % 3 else "INSERT",
            )
            for place, (item, version) in enumerate(zip(items, versions, strict=True))
        ]
        doors.land(records)
        doors.decode([Writer().line(item) for item in items], versions)
        by_view, by_kernel = doors.rows(doors.table), doors.rows(doors.kernel)
        dead = doors.dead()
        assert len(by_view) + len(dead) == len(items)
        reasons = {START + place: errors for place, errors in dead}
        lost = {version: reasons.get(version) for version in by_kernel.keys() - by_view.keys()}
        assert not lost, (lost, by_kernel[next(iter(lost))])
        extra = {version: row for version, row in by_view.items() if version not in by_kernel}
        assert not extra
        for version, row in by_kernel.items():
            assert by_view[version] == row
    finally:
        doors.drop()


@pytest.mark.parametrize("number", range(12))
def test_the_view_decodes_as_the_kernels_do(chdb_destination, number):
    table, pool = drawn(number)
    check_parity(chdb_destination, "parity_of_doors", table, pool, number)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(100, 100 + int(os.environ.get("PARITY_SCHEMAS", "200"))))
def test_the_view_decodes_as_the_kernels_do_for_hundreds_of_schemas(chdb_destination, number):
    table, pool = drawn(number)
    check_parity(chdb_destination, "parity_of_doors", table, pool, number)
