"""The guide's five steps end with a copy that equals the source; doctor and clean-up on what goes wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cloud_double import SPEC

from transformer.clickpipe.apply import differences
from transformer.clickpipe.body import pipe
from transformer.clickpipe.cleanup import ERROR_SUFFIX, clean_up, plan_clean_up
from transformer.clickpipe.doctor import AwsClients, Level, examine
from transformer.clickpipe.spec import PipeSpec
from transformer.errors import ConflictError
from transformer.schema.file import load_schema
from transformer.schema.landing import Names, landing_statements, snapshot_statements


@pytest.mark.skipif(not SPEC.is_file(), reason="../shared/data/clickpipes missing: no OpenAPI file here")
def test_the_five_steps_end_equal(tmp_path, chdb_destination, chdb_url, unique_name, monkeypatch, capsys):
    from clickpipe_guide import guide

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    assert guide(tmp_path, chdb_url, f"guide_{unique_name}")
    said = capsys.readouterr().out.splitlines()
    assert [line[:2] for line in said] == ["1.", "2.", "3.", "4.", "5.", "so"]


@pytest.fixture
def spec(chdb_destination, unique_name):
    table = replace(load_schema("schemas/users.yaml"), name=f"doctored_{unique_name}")
    yield PipeSpec(table, "users-cdc", "eu-west-1", account="123456789012")
    names = (Names.of(table.name), Names.of_snapshot(table.name))
    for one in names:
        for name in (one.decode, one.rows, one.to_dead, one.stage, one.landing, one.landing + ERROR_SUFFIX, one.dead):
            chdb_destination.command(f"DROP TABLE IF EXISTS `{name}` SYNC")
    chdb_destination.command(f"DROP TABLE IF EXISTS `{table.name}` SYNC")


def said(findings, level):
    return [finding.what for finding in findings if finding.level is level]


def create(destination, statements):
    for statement in statements:
        destination.command(statement.sql)


def test_the_doctor_sees_what_is_missing_drifted_dead_and_failed(chdb_destination, spec):
    assert "missing" in said(examine(spec, chdb_destination), Level.ERROR)[0]
    create(chdb_destination, landing_statements(spec.table, database="default"))
    findings = examine(spec, chdb_destination)
    assert said(findings, Level.ERROR) == []
    assert said(findings, Level.WARNING) == ["no change has come from the stream yet"]
    names = Names.of(spec.table.name)
    chdb_destination.command(f"INSERT INTO {names.landing} (raw) VALUES ('broken')")
    errors = names.landing + ERROR_SUFFIX
    chdb_destination.command(f"CREATE TABLE {errors} (x String) ENGINE = Memory")
    chdb_destination.command(f"INSERT INTO {errors} VALUES ('x')")
    chdb_destination.command(f"ALTER TABLE {spec.table.name} MODIFY COLUMN age Nullable(Int32)")
    wrong = said(examine(replace(spec, depth=2), chdb_destination), Level.ERROR)
    assert [
        any(text in line for line in wrong) for text in ("drift", "age", "1 dead letters", f"1 rows in {errors}")
    ] == [True] * 4
    assert all(finding.remedy for finding in examine(spec, chdb_destination) if finding.level is not Level.GOOD)


class Fake:
    """A boto3 client of which each call gives one fixed answer."""

    def __init__(self, **answers):
        for name, answer in answers.items():
            setattr(self, name, lambda answer=answer, **_: answer)


def aws(*, status="ACTIVE", hours=24, created=1000, streams=True, precision="MICROSECOND", actions=("kinesis:*",)):
    summary = {"StreamStatus": status, "RetentionPeriodHours": hours}
    summary["StreamCreationTimestamp"] = datetime.fromtimestamp(created, UTC)
    destination = {"StreamArn": "arn:aws:kinesis:eu-west-1:123456789012:stream/users-cdc", "DestinationStatus": status}
    destination["ApproximateCreationDateTimePrecision"] = precision
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": ["arn:x"]}, "Action": "sts:AssumeRole"}]}
    policy = {"Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}
    return AwsClients(
        Fake(describe_stream_summary={"StreamDescriptionSummary": summary}),
        Fake(describe_kinesis_streaming_destination={"KinesisDataStreamDestinations": [destination] * streams}),
        Fake(
            get_role={"Role": {"AssumeRolePolicyDocument": trust}},
            list_role_policies={"PolicyNames": ["one"]},
            get_role_policy={"PolicyDocument": policy},
        ),
    )


@pytest.mark.parametrize(
    ("clients", "expected"),
    [
        (aws(), []),
        (aws(status="DELETING"), ["stream users-cdc is DELETING", "streaming of table"]),
        (aws(created=3000), ["after the export"]),
        (aws(hours=1), ["keeps 1 h, and export and load took 2.0 h"]),
        (aws(streams=False), ["does not stream to users-cdc"]),
        (aws(precision="MILLISECOND"), ["MILLISECOND precision"]),
        (aws(actions=("kinesis:GetRecords",)), ["no inline permission"]),
    ],
)
def test_the_doctor_sees_what_is_wrong_with_the_stream(chdb_destination, spec, clients, expected):
    create(chdb_destination, landing_statements(spec.table, database="default"))
    chdb_destination.command(f"INSERT INTO {spec.table.name} (id, version, is_deleted) VALUES ('a', 9000000000, 0)")
    findings = examine(
        spec, chdb_destination, aws=clients, export_time=2000, loaded_until=2000 + 7200, now=lambda: 9200.0
    )
    bad = [finding.what for finding in findings if finding.level is not Level.GOOD]
    assert [any(text in line for line in bad) for text in expected] == [True] * len(expected)
    assert len(bad) == len(expected)
    assert "the newest change is 200 s old" in said(findings, Level.GOOD)


def test_differences_of_a_pipe_are_told_one_by_one(spec):
    body = pipe(spec).body
    assert differences(body, body) == []
    assert len(differences(body, {})) == 14


def test_clean_up_drops_what_the_snapshot_needed_once_it_is_loaded(chdb_destination, spec):
    table = spec.table
    assert plan_clean_up(table, chdb_destination, "default").drops == []
    create(chdb_destination, snapshot_statements(table))
    names = Names.of_snapshot(table.name)
    plan = plan_clean_up(table, chdb_destination, "default")
    assert plan.reasons == [f"the destination {table.name} is empty"]
    with pytest.raises(ConflictError, match="still needed"):
        clean_up(plan, chdb_destination, "default")
    item = '{"id":{"S":"a"},"age":{"N":"26"},"x":{"B":"AQ=="}}'
    chdb_destination.command(f"INSERT INTO {names.landing} VALUES ('{item}'), ('{{\"id\":1}}')")
    errors = names.landing + ERROR_SUFFIX
    chdb_destination.command(f"CREATE TABLE {errors} (x String) ENGINE = Memory")
    chdb_destination.command(f"INSERT INTO {errors} VALUES ('x')")
    plan = plan_clean_up(table, chdb_destination, "default")
    assert plan.reasons == [f"{errors} holds 1 items that were not loaded"]
    chdb_destination.command(f"TRUNCATE TABLE {errors}")
    plan = plan_clean_up(table, chdb_destination, "default")
    assert plan.drops == [names.decode, names.rows, names.to_dead, names.stage, names.landing, errors]
    clean_up(plan, chdb_destination, "default")
    assert plan_clean_up(table, chdb_destination, "default").drops == []
    rows = chdb_destination.query(f"SELECT id, age, _unmapped, version FROM {table.name} FORMAT TSV")
    assert rows == b"a\t26\t{'x':'{\"B\":\"AQ==\"}'}\t0\n"
    assert chdb_destination.query(f"SELECT raw FROM {names.dead} FORMAT TSVRaw") == b'{"Item":{"id":1}}\n'
