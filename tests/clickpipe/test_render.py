"""What `clickpipe render` writes: always the same, valid where it goes, and nothing that a name could break out of."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import hcl2
import pytest
from cloud_double import SPEC, Contract

from transformer.clickpipe.body import pipe
from transformer.clickpipe.direct import direct_design
from transformer.clickpipe.iam import PRINCIPAL
from transformer.clickpipe.render import rendered, write
from transformer.clickpipe.snapshot import ExportLocation
from transformer.clickpipe.spec import Design, PipeSpec
from transformer.errors import UsageError
from transformer.schema.file import load_schema
from transformer.schema.table import Column, Table
from transformer.schema.types import parse

SCHEMAS = sorted(Path("schemas").glob("*.yaml"))
EXPORT = ExportLocation.parse("s3://bucket/exports/AWSDynamoDB/01693685827463-2d8752fd/")

# Attributes of the provider's resource (ClickHouse/clickhouse 3.14 and later), by place.
PROVIDER = {
    "": {"name", "service_id", "source", "destination", "field_mappings", "scaling", "settings"},
    "source": {"kinesis"},
    "kinesis": {
        "format", "stream_name", "region", "iterator_type", "authentication", "iam_role", "timestamp",
        "use_enhanced_fan_out",
    },
    "destination": {"database", "table", "managed_table", "columns"},
    "columns": {"name", "type"},
    "field_mappings": {"source_field", "destination_field"},
    "scaling": {"replicas", "replica_cpu_millicores", "replica_memory_gb"},
    "settings": {"streaming_max_insert_wait_ms"},
}  # fmt: skip


def spec(path=Path("schemas/users.yaml"), **options):
    return PipeSpec(load_schema(path), "users-cdc", "eu-west-1", **options)


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.stem)
def test_the_sql_of_every_schema_runs_as_it_is(chdb_destination, unique_name, path):
    one = spec(path, database=f"rendered_{unique_name}", keep_raw_days=7)
    chdb_destination.command(f"CREATE DATABASE {one.database}")
    files = rendered(one, EXPORT)
    try:
        for folder in ("sql/", "snapshot/sql/"):
            for name in sorted(name for name in files if name.startswith(folder)):
                chdb_destination.command(files[name].rstrip().removesuffix(";"))
        sql = f"INSERT INTO {one.database}.{one.table.name}_landing (raw) VALUES ('{{}}')"
        chdb_destination.command(sql)
        dead = f"SELECT errors FROM {one.database}.{one.table.name}_dead FORMAT TSVRaw"
        assert chdb_destination.query(dead).startswith(b"['record'")
        # Each is there already the second time; planning large views again would take long.
        for name in sorted(name for name in files if name.startswith("sql/") and path.stem == "users"):
            chdb_destination.command(files[name].rstrip().removesuffix(";"))
    finally:
        chdb_destination.command(f"DROP DATABASE {one.database}")


def test_the_same_twice_and_no_more_than_what_is_shown(tmp_path):
    one = spec(account="123456789012")
    assert rendered(one, EXPORT) == rendered(one, EXPORT)
    written = write(rendered(one), tmp_path)
    assert [path.read_text() for path in written] == [rendered(one)[str(p.relative_to(tmp_path))] for p in written]
    assert {path.name for path in tmp_path.iterdir()} == {
        "README.md", "access-policy.json", "main.tf", "pipe.json", "sql", "trust-policy.json",
    }  # fmt: skip


@pytest.mark.skipif(not SPEC.is_file(), reason="../shared/data/clickpipes missing: no OpenAPI file here")
@pytest.mark.parametrize("design", Design)
@pytest.mark.parametrize("start", [None, 1_795_392_000])
def test_the_body_is_what_the_api_takes(design, start):
    schema = {"$ref": "#/components/schemas/ClickPipePostRequest"}
    assert Contract().faults(schema, pipe(spec(design=design, start=start)).body) == []


@pytest.mark.parametrize("design", Design)
@pytest.mark.parametrize("start", [None, 1_795_392_000])
def test_terraform_parses_and_names_only_what_the_provider_has(design, start):
    one = spec(design=design, start=start, account="123456789012")
    parsed = hcl2.loads(rendered(one)["main.tf"])
    resources = {next(iter(one)).strip('"'): one for one in parsed["resource"]}
    assert set(resources) == {"aws_iam_role", "aws_iam_role_policy", "clickhouse_clickpipe"}
    [body] = next(iter(resources["clickhouse_clickpipe"].values())).values()
    seen = set()

    def check(place, value):
        seen.add(place)
        for each in value if isinstance(value, list) else [value]:
            attributes = {name for name in each if not name.startswith("__")}
            assert attributes <= PROVIDER[place], place
            for name in attributes & PROVIDER.keys():
                if isinstance(each[name], dict | list):
                    check(name, each[name])

    check("", body)
    assert seen == PROVIDER.keys()
    assert "ACCOUNT_ID" not in rendered(one)["main.tf"]
    assert ('"2026-11-23T00:00"' in rendered(one)["main.tf"]) == (start is not None)


def test_nothing_can_break_out_of_terraform_or_sql():
    table = Table(
        "t",
        ("id",),
        (Column("id", ("id",), parse("String")), Column("${x}", ('a"b${y}%{z}',), parse("Nullable(String)"))),
    )
    one = PipeSpec(table, "s", "eu-west-1", design=Design.DIRECT)
    text = rendered(one)["main.tf"]
    assert "$${x}" in text
    assert "$${y}%%{z}" in text
    assert '"${' not in text
    hcl2.loads(text)


def test_policies_name_the_stream_and_the_service_only():
    files = rendered(spec(account="123456789012"))
    trust, access = json.loads(files["trust-policy.json"]), json.loads(files["access-policy.json"])
    assert [statement["Principal"] for statement in trust["Statement"]] == [{"AWS": PRINCIPAL}]
    stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/users-cdc"
    assert [statement["Resource"] for statement in access["Statement"]] == [stream, f"{stream}/*", "*"]
    assert access["Statement"][2]["Action"] == "kinesis:ListStreams"
    s3 = json.loads(rendered(spec(), EXPORT)["snapshot/access-policy.json"])
    assert s3["Statement"][0]["Resource"] == "arn:aws:s3:::bucket/exports/AWSDynamoDB/01693685827463-2d8752fd/*"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"stream": 'x"'}, "stream"), ({"region": "here"}, "region"), ({"account": "12"}, "account"),
        ({"role": "arn:x"}, "role"), ({"database": "a`b"}, "database"), ({"start": 1_795_392_000_000}, "seconds"),
    ],
)  # fmt: skip
def test_names_that_are_none_are_refused(options, word):
    with pytest.raises(UsageError, match=word):
        replace(spec(), **options)


def test_exports_that_cannot_be_a_pattern_are_refused():
    for url in (
        "s3://bucket/x",
        "s3://bucket/AWSDynamoDB/data",
        "https://bucket/AWSDynamoDB/016-2d/",
        "s3://bucket/{a}/AWSDynamoDB/01-ab",
    ):
        with pytest.raises(UsageError, match="no folder"):
            ExportLocation.parse(url)


def test_long_and_foreign_streams_have_roles_too():
    one = replace(spec(), stream="s" * 128, region="us-gov-west-1", account="123456789012")
    assert len(one.role_name) == 64
    assert one.role_arn.startswith("arn:aws-us-gov:iam::123456789012:role/ClickHouseAccessRole-")
    assert replace(one, region="cn-north-1").stream_arn.startswith("arn:aws-cn:kinesis:cn-north-1:")


def test_the_direct_design_says_what_it_loses_and_refuses_what_it_cannot():
    design = direct_design(load_schema("schemas/users.yaml"))
    assert "_unmapped" in design.losses[0]
    assert ("dynamodb.Keys.id.S", "id") in design.mappings
    assert ("dynamodb.ApproximateCreationDateTime", "_time") in design.mappings
    with pytest.raises(UsageError, match="column tags is Array"):
        direct_design(load_schema("schemas/orders.yaml"))
    readme = rendered(spec(design=Design.DIRECT))["README.md"]
    assert all(loss in readme for loss in design.losses)


def test_rows_of_the_direct_design_have_versions_and_tombstones(chdb_destination, unique_name):
    table = replace(load_schema("schemas/users.yaml"), name=f"direct_{unique_name}")
    design = direct_design(table)
    for statement in design.statements:
        chdb_destination.command(statement.sql)
    rows = ("('a', 1, 'x', 1795392000000, 'INSERT')", "('b', 2, 'y', 1795392000000001, 'MODIFY')")
    for row in (*rows, "('a', NULL, NULL, 1795392000001000, 'REMOVE')"):
        chdb_destination.command(f"INSERT INTO {design.landing} VALUES {row}")
    found = chdb_destination.query(f"SELECT id, version, is_deleted FROM {table.name} ORDER BY version FORMAT TSV")
    lines = (b"a\t1795392000000000\t0", b"b\t1795392000000001\t0", b"a\t1795392000001000\t1")
    assert set(found.splitlines()) <= set(lines)  # a merge may have taken the older one
    assert set(lines[1:]) <= set(found.splitlines())
    for name in (f"{table.name}_direct_view", design.landing, table.name):
        chdb_destination.command(f"DROP TABLE {name} SYNC")
