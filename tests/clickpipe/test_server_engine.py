"""The server engine: the same rows as the kernels, every item accounted for, nothing let through that does not fit."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import pytest
from decode_strategies import Writer
from landing_cases import drawn
from landing_compare import Doors, recombined

from transformer.errors import ExitCode, MismatchError, UsageError
from transformer.job.request import SnapshotRequest
from transformer.job.server_engine import load_on_server
from transformer.job.snapshot import run
from transformer.schema.ddl import create_table
from transformer.schema.file import load_schema
from transformer.schema.landing import Names, server_statements
from transformer.synth.export import write_export


@pytest.mark.parametrize("number", range(20, 23))
def test_the_server_decodes_exports_as_the_kernels_do(chdb_destination, tmp_path, number):
    table, pool = drawn(number)
    name = "parity_of_engines"
    table = replace(table, name=name)
    doors = Doors(chdb_destination, table, name)
    names = Names.of_snapshot(name)
    try:
        styles = ("compact", "spaced", "ascii", "wild")
        items = recombined(pool, table, 300, number)
        lines = [Writer(styles[place % 4], place).line(item) for place, item in enumerate(items)]
        lines += [b"", b" \t", b"{", b'{"Item":{}}', b'{"item":{}}', b"[]"]
        path = tmp_path / "lines.json.gz"
        path.write_bytes(gzip.compress(b"\n".join(lines) + b"\n"))
        statements, insert = server_statements(doors.table, f"file('{path}', 'LineAsString', 'line String', 'gzip')")
        for statement in statements:
            chdb_destination.command(statement.sql)
        chdb_destination.command(insert)
        whole = [line for line in lines if line.strip()]
        doors.decode(whole, [0] * len(whole))
        found, wanted = (
            sorted(chdb_destination.query(f"SELECT * FROM `{one}` FORMAT TSV").splitlines())
            for one in (name, doors.kernel.name)
        )
        assert found == wanted
        assert len(found) + len(doors.dead_letters()) == len(lines) - 2
        # Of a line that cannot be read, nothing is kept if something must be dropped.
        damaged = {"{", '{"item":{}}', "[]"}
        assert damaged & set(doors.dead_letters()) == (set() if table.drop else damaged)
    finally:
        for one in (names.rows, names.to_dead, names.stage):
            chdb_destination.command(f"DROP TABLE IF EXISTS `{one}`")
        doors.drop()


def loaded(export, table, url, **options):
    return load_on_server(SnapshotRequest(export=str(export.path), schema=table, destination=url, **options))


@pytest.fixture
def table(chdb_destination, unique_name):
    table = replace(load_schema("schemas/users.yaml"), name=f"by_server_{unique_name}")
    yield table
    names = Names.of_snapshot(table.name)
    for one in (names.rows, names.to_dead, names.stage, names.dead, table.name, f"{table.name}_client"):
        chdb_destination.command(f"DROP TABLE IF EXISTS `{one}` SYNC")


def test_both_engines_load_the_same(chdb_destination, chdb_url, tmp_path, table):
    export = write_export(tmp_path, shape="users", items=300, files=3, seed=4)
    result = loaded(export, table, chdb_url)
    assert result.exit_code == ExitCode.DONE
    assert (result.items_read, result.rows_inserted, result.keys_in_table, result.files_loaded) == (300, 300, 300, 3)
    client = replace(table, name=f"{table.name}_client")
    run(SnapshotRequest(
        export=str(export.path), schema=client, destination=chdb_url, rejects=str(tmp_path / "rejects"),
        ledger=str(tmp_path / "ledger"),
    )).raise_for_status()  # fmt: skip
    both = [chdb_destination.query(f"SELECT * FROM {one.name} ORDER BY id FORMAT TSV") for one in (table, client)]
    assert both[0] == both[1]
    # A second time loads the same rows again, which change nothing.
    assert loaded(export, table, chdb_url).keys_in_table == 300


def test_what_does_not_fit_is_a_dead_letter_and_counts(chdb_destination, chdb_url, tmp_path, table):
    export = write_export(tmp_path, shape="users", items=200, files=1, seed=4)
    narrow = replace(
        table, columns=tuple(replace(c, type=_int8()) if c.name == "age" else c for c in table.columns)
    )  # fmt: skip
    chdb_destination.command(create_table(narrow))
    result = loaded(export, narrow, chdb_url, max_rejects=0)
    assert result.items_read == 200
    assert result.rows_inserted + result.items_rejected == 200
    assert result.keys_in_table == result.rows_inserted
    assert result.exit_code == (ExitCode.INPUT if result.items_rejected else ExitCode.DONE)


def _int8():
    from transformer.schema.types import parse

    return parse("Int8")


def test_a_file_with_another_number_of_items_is_refused(chdb_url, tmp_path, table):
    export = write_export(tmp_path, shape="users", items=50, files=1, seed=4)
    [path] = (export.path / "data").iterdir()
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + json.dumps({"Item": {}}).encode() + b"\n"))
    with pytest.raises(MismatchError, match="51 items, and 50"):
        loaded(export, table, chdb_url)


def test_a_server_cannot_read_local_files(tmp_path, table):
    export = write_export(tmp_path, shape="users", items=5, files=1, seed=4)
    with pytest.raises(UsageError, match="cannot read"):
        loaded(export, table, "http://localhost:1/default")
