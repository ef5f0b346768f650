"""The guide "CDC from DynamoDB to ClickHouse", its five steps in order, with nobody's account.

AWS is moto (Stubber for the calls that it lacks), the Cloud API a double, ClickHouse the embedded engine. Changes
arrive before, between and after; in the end the table and its copy are compared item by item.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
from botocore.stub import Stubber
from cloud_double import KEY, ORGANIZATION, SECRET, SERVICE, SPEC, CloudDouble
from landing_compare import land
from moto import mock_aws

from transformer.clickpipe.api import CloudApi
from transformer.clickpipe.apply import Waiting, apply, delete
from transformer.clickpipe.cleanup import clean_up, plan_clean_up
from transformer.clickpipe.doctor import AwsClients, Level, examine
from transformer.clickpipe.iam import kinesis_policy, trust_policy
from transformer.clickpipe.spec import PipeSpec
from transformer.decode.reference import Reference
from transformer.job.request import SnapshotRequest
from transformer.job.snapshot import run
from transformer.load.destination import open_destination
from transformer.schema.file import load_schema
from transformer.schema.landing import Names, snapshot_statements
from transformer.settings import Secret
from transformer.synth.history import history, make_history
from transformer.synth.increments import write_full
from transformer.synth.kinesis import records

REGION, ACCOUNT, STREAM = "eu-west-1", "123456789012", "users-cdc"
SALLY = {"age": {"N": "26"}, "first_name": {"S": "sally"}, "id": {"S": "0A556908-F72B-4BE6-9048-9E60715358D4"}}
START = datetime(2026, 11, 23, 12, tzinfo=UTC)


def say(text):
    print(text, flush=True)


def past_and_future(table):
    """What happens to the source table: the guide's item, and sixty writes to a dozen others."""
    made = make_history(shape="users", keys=12, writes=60, seed=7, table=table, start=START, seconds=600)
    key = {"id": SALLY["id"]}
    older = {**SALLY, "age": {"N": "27"}}
    steps = [(made.start - 1, key, SALLY), (made.end + 1, key, older)]
    return history(table, ("id",), [*steps, *((c.micros, c.key, c.new) for c in made.changes)])


class Pipe:
    """What a running pipe does: it reads the stream and inserts what its body says."""

    def __init__(self, kinesis, destination, body):
        shard = kinesis.list_shards(StreamName=STREAM)["Shards"][0]["ShardId"]
        begin = kinesis.get_shard_iterator(
            StreamName=STREAM, ShardId=shard, ShardIteratorType=body["source"]["kinesis"]["iteratorType"]
        )
        self.kinesis, self.destination, self.iterator = kinesis, destination, begin["ShardIterator"]
        self.landing = body["destination"]["table"]
        assert body["fieldMappings"][0] == {"sourceField": "_raw_message", "destinationField": "raw"}

    def flow(self):
        """Everything that is in the stream and was not read yet."""
        count = 0
        while True:
            answer = self.kinesis.get_records(ShardIterator=self.iterator, Limit=1000)
            self.iterator = answer["NextShardIterator"]
            if not answer["Records"]:
                return count
            land(self.destination, self.landing, [record["Data"] for record in answer["Records"]])
            count += len(answer["Records"])


def write(kinesis, dynamodb, changes, table, seed):
    """The application writes to the table; DynamoDB puts records into the stream."""
    for change in changes:
        if change.new is None:
            dynamodb.delete_item(TableName=table, Key=change.key)
        else:
            dynamodb.put_item(TableName=table, Item=change.new)
    for data in records(changes, table=table, seed=seed, duplicates=0.2):
        kinesis.put_record(StreamName=STREAM, Data=data, PartitionKey="any")


@mock_aws
def guide(folder, destination_url, name="users"):
    """The five steps. Returns whether the copy equals the source."""
    kinesis, dynamodb, iam = (boto3.client(service, region_name=REGION) for service in ("kinesis", "dynamodb", "iam"))
    table = replace(load_schema(Path(__file__).parents[1] / "schemas" / "users.yaml"), name=name)
    story = past_and_future(name)
    exported = datetime.fromtimestamp(story.changes[25].micros // 1_000_000, UTC) + timedelta(seconds=1)
    at = round(exported.timestamp()) * 1_000_000
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    # What was written before anybody thought of ClickHouse is in no stream.
    enabled = story.changes[10].micros
    for change in story.between(0, enabled):
        if change.new is None:
            dynamodb.delete_item(TableName=name, Key=change.key)
        else:
            dynamodb.put_item(TableName=name, Item=change.new)

    kinesis.create_stream(StreamName=STREAM, ShardCount=1)
    streaming = boto3.client("dynamodb", region_name=REGION)
    arn = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{STREAM}"
    enable = {
        "TableName": name,
        "StreamArn": arn,
        "EnableKinesisStreamingConfiguration": {"ApproximateCreationDateTimePrecision": "MICROSECOND"},
    }
    with Stubber(streaming) as stub:
        stub.add_response("enable_kinesis_streaming_destination", {"DestinationStatus": "ENABLING"}, enable)
        streaming.enable_kinesis_streaming_destination(**enable)
    say(f"1. stream {STREAM} enabled on table {name}, with MICROSECOND precision, before the export")

    write(kinesis, dynamodb, story.between(enabled, at), name, 1)
    export = write_full(folder / "bucket", story, at=exported, files=3)
    say(f"2. full export of {export.item_count} items, as of {exported.isoformat()}: {export.path.name}")

    cloud = CloudDouble()
    api = CloudApi(ORGANIZATION, SERVICE, KEY, Secret(SECRET), transport=cloud, sleep=lambda _: None)
    spec = PipeSpec(table, STREAM, REGION, account=ACCOUNT)
    role = spec.role_arn.rpartition("/")[2]
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust_policy(api.service()["iamRole"])))
    policy = json.dumps(kinesis_policy(spec.stream_arn))
    iam.put_role_policy(RoleName=role, PolicyName="stream", PolicyDocument=policy)
    destination = open_destination(destination_url)
    try:
        done = apply(spec, api, destination, waiting=Waiting(60, 1, lambda _: None))
        pipe = Pipe(kinesis, destination, cloud.pipes[done.pipe_id])
        half = (story.end + at) // 2
        write(kinesis, dynamodb, story.between(at, half), name, 2)
        early = pipe.flow()
        result = run(SnapshotRequest(
            export=str(export.path), schema=table, destination=destination_url, rejects=str(folder / "rejects"),
        ))  # fmt: skip
        assert result.exit_code == 0, result.error
        say(f"3. {early} records were there first; snapshot loaded: {result.rows_inserted} rows, version 0")

        write(kinesis, dynamodb, story.between(half, story.end), name, 3)
        late = pipe.flow()
        say(f"4. pipe {spec.name} is {done.state}: {late} more records after the load, some deletes, some duplicates")

        with Stubber(streaming) as stub:
            state = {"StreamArn": arn, "DestinationStatus": "ACTIVE"}
            state["ApproximateCreationDateTimePrecision"] = "MICROSECOND"
            stub.add_response("describe_kinesis_streaming_destination", {"KinesisDataStreamDestinations": [state]})
            findings = examine(spec, destination, api=api, aws=AwsClients(kinesis, streaming, iam))
        bad = [finding for finding in findings if finding.level is Level.ERROR]
        assert not bad, bad
        for statement in snapshot_statements(table):  # as if the snapshot had been loaded by an S3 pipe
            destination.command(statement.sql)
        plan = plan_clean_up(table, destination, "default", api)
        clean_up(plan, destination, "default")
        say(f"5. {len(findings)} findings of the doctor, none bad; cleaned up: {', '.join(plan.drops)}")

        source = {item["id"]["S"]: item for item in dynamodb.scan(TableName=name)["Items"]}
        twin = Reference(table, version=0)
        wanted = sorted(
            (row["id"], row["age"], row["first_name"])
            for row in (twin.judge(json.dumps({"Item": item}).encode()) for item in source.values())
        )
        sql = f"SELECT id, age, first_name FROM `{name}` FINAL FORMAT JSONCompactEachRow"
        rows = [json.loads(line) for line in destination.query(sql).splitlines()]
        found = sorted((key.encode(), age, None if first is None else first.encode()) for key, age, first in rows)
        delete(spec.name, api, waiting=Waiting(60, 1, lambda _: None))
        names = Names.of(name)
        for one in (names.decode, names.rows, names.to_dead, names.stage, names.landing, names.dead):
            destination.command(f"DROP TABLE `{one}` SYNC")
        say(f"source {len(wanted)} items, copy {len(found)} rows: {'equal' if wanted == found else 'DIFFERENT'}")
        return wanted == found
    finally:
        destination.close()
        api.close()


def main():
    if not SPEC.is_file():
        sys.exit(f"{SPEC} is missing: without the official OpenAPI file the Cloud API cannot be played")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ[name] = "testing"
    with tempfile.TemporaryDirectory(prefix="dynamo2ch-guide-") as folder:
        good = guide(Path(folder), f"chdb://{folder}/chdb")
    sys.exit(0 if good else 4)


if __name__ == "__main__":
    main()
