"""Names that try to be SQL: of attributes, columns, tables and Enum members, and paths that try to leave the export."""

from __future__ import annotations

import gzip
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from job.twin import TwinDecoder, write_export

from transformer.errors import SchemaError
from transformer.job.request import SnapshotRequest
from transformer.job.snapshot import run
from transformer.load.destination import Destination
from transformer.schema.expression import quote_identifier
from transformer.schema.file import load_schema

HOSTILE = (
    "a`) ENGINE = Memory; DROP TABLE canary; --",
    "a\\`) ENGINE = Memory; DROP TABLE canary; --",
    "a' OR 1 = 1; DROP TABLE canary; --",
    'a" /* ',
    "*/ -- #",
    "{name:String}",
    "%(name)s %s %",
    "${HOME} $(id) $1",
    "a\nDROP TABLE canary",
    "\\",
    "`",
    "''",
    "FORMAT Null",
    "SETTINGS x = 1",
    "null; --",
    "😀 é \u202e \u2028",
)

IN_NO_TABLE = "./\\*?{}\n"
"""What the name of a table may not hold: the engine makes a path of it, and looks for macros and patterns in that."""


@pytest.fixture
def canary(chdb_destination: Destination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A table that every attempt tries to drop, and that stays."""
    monkeypatch.chdir(tmp_path)
    chdb_destination.query("CREATE TABLE canary (x UInt8) ENGINE = MergeTree ORDER BY x")
    yield
    assert chdb_destination.query("SELECT count() FROM system.tables WHERE name = 'canary' FORMAT TSV") == b"1\n"
    chdb_destination.query("DROP TABLE canary")


def tables(destination: Destination) -> set[str]:
    listed = destination.query("SELECT name FROM system.tables WHERE database = 'default' FORMAT JSONEachRow")
    return {json.loads(line)["name"] for line in listed.splitlines()}


@pytest.mark.usefixtures("canary")
def test_names_are_names(chdb_destination: Destination, chdb_url: str, tmp_path: Path) -> None:
    """Each is attribute, column, map key, value, Enum member and table at once, and comes back as it went in."""
    for number, name in enumerate(HOSTILE):
        table = f"{name} {number}"
        schema = {
            "table": table,
            "key": [name],
            "columns": [
                {"name": name, "path": [name], "type": "String"},
                {"name": f"{name}!", "path": ["m", name], "type": "Map(String, String)"},
                {"name": "kind", "path": [f"{name}?"], "type": f"Enum8({_literal(name)} = 1)"},
            ],
            "unmapped": {"column": "_unmapped", "policy": "keep"},
        }
        file = tmp_path / f"{number}.yaml"
        file.write_text(json.dumps(schema))
        if any(refused in name for refused in IN_NO_TABLE):
            with pytest.raises(SchemaError, match="table name"):
                load_schema(file)
            table = f"plain {number}"
            file.write_text(json.dumps({**schema, "table": table}))
        item = {
            name: {"S": name},
            "m": {"M": {name: {"M": {name: {"S": name}}}}},
            f"{name}?": {"S": name},
            f"{name}#": {"S": name},
        }
        line = json.dumps({"Item": item}).encode() + b"\n"
        export = write_export(tmp_path / str(number), [[line]], table="t")
        before = tables(chdb_destination)
        result = run(SnapshotRequest(export=str(export), schema=file, destination=chdb_url), decoder=TwinDecoder)
        assert result.error is None, (name, result.error)
        assert result.rows_inserted == 1
        assert tables(chdb_destination) - before <= {table, "_dynamo2ch_jobs", "_dynamo2ch_files"}
        row = json.loads(chdb_destination.query(f"SELECT * FROM {quote_identifier(table)} FINAL FORMAT JSONEachRow"))
        assert (row[name], row[f"{name}!"], row["kind"]) == (name, {name: name}, name)
        assert json.loads(row["_unmapped"][f"{name}#"]) == {"S": name}
        chdb_destination.query(f"DROP TABLE {quote_identifier(table)}")


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


@pytest.mark.usefixtures("canary")
def test_sql_of_a_schema_file_is_one_expression_or_refused(tmp_path: Path) -> None:
    """A schema file is written by its owner, and copied from others: what is an expression cannot end the statement."""
    for member, text in [
        ("type", "String) ENGINE = Memory; DROP TABLE canary"),
        ("codec", "ZSTD(1)) , x UInt8 DEFAULT (SELECT 1"),
        ("codec", "NONE); DROP TABLE canary; --"),
    ]:
        column = {"name": "v", "type": "Nullable(String)", member: text}
        schema = {"table": "t", "key": ["id"], "columns": [{"name": "id", "type": "String"}, column]}
        file = tmp_path / "schema.yaml"
        file.write_text(json.dumps(schema))
        with pytest.raises(SchemaError):
            load_schema(file)
    for member, text in [("partition_by", "id) ORDER BY tuple(); DROP TABLE canary; --"), ("engine", "Memory; --")]:
        schema = {"table": "t", "key": ["id"], "columns": [{"name": "id", "type": "String"}], member: text}
        file.write_text(json.dumps(schema))
        with pytest.raises(SchemaError):
            load_schema(file)


@pytest.mark.parametrize(
    "key",
    [
        "AWSDynamoDB/{id}/data/../../../../outside.json.gz",
        "/etc/passwd",
        "../outside.json.gz",
        "AWSDynamoDB/{id}/data/%2e%2e%2foutside.json.gz",
        "s3://other-bucket/AWSDynamoDB/{id}/data/x.json.gz",
        "AWSDynamoDB/{id}/data/x.json.gz::file:///etc/passwd",
        "AWSDynamoDB/another-export/data/x.json.gz",
    ],
)
def test_a_manifest_leads_nowhere_else(tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    export = write_export(tmp_path, [[b'{"Item":{"id":{"S":"inside"}}}\n']])
    (tmp_path / "outside.json.gz").write_bytes(gzip.compress(b'{"Item":{"id":{"S":"outside"}}}\n'))
    listed = export / "manifest-files.json"
    entry = json.loads(listed.read_text())
    entry["dataFileS3Key"] = key.format(id=export.name)
    listed.write_text(json.dumps(entry) + "\n")
    for checksum in export.glob("manifest-files.md5"):
        checksum.unlink()
    file = tmp_path / "schema.yaml"
    file.write_text("table: t\nkey: [id]\ncolumns: [{name: id, type: String}]\n")
    result = run(SnapshotRequest(export=str(export), schema=file, destination="null:"), decoder=TwinDecoder)
    assert result.error is not None
    assert result.error.exit_code == 3
    assert result.rows_inserted == 0


def test_what_is_rejected_is_kept_for_its_owner_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    export = write_export(tmp_path, [[b'{"Item":{"id":{"BOOL":true},"private":{"S":"x"}}}\n']])
    file = tmp_path / "schema.yaml"
    file.write_text("table: t\nkey: [id]\ncolumns: [{name: id, type: String}]\n")
    result = run(SnapshotRequest(export=str(export), schema=file, destination="null:"), decoder=TwinDecoder)
    assert result.rejects_by_code == {"WRONG_TAG": 1}
    (kept,) = Path(".dynamo2ch").rglob("*.rejects.jsonl.gz")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert all(stat.S_IMODE(folder.stat().st_mode) & 0o077 == 0 for folder in kept.parents if folder.name == result.job)
