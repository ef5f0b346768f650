"""The commands of the table's side: dry runs whose every call AWS's model accepts, and policies that allow them."""

from __future__ import annotations

import json
import sys
from typing import Any

import botocore.session
import pytest
from aws.conftest import TABLE
from botocore import xform_name
from botocore.validate import ParamValidator

from transformer.aws import exports, stream
from transformer.aws.api import Api, Call
from transformer.aws.exports import Target
from transformer.aws.iam import COMMANDS, Names, policy
from transformer.cli.aws import moment
from transformer.errors import UsageError

ARN = str(TABLE)
BUCKET = ("--bucket", "s3://my-exports/nightly")
SINCE, UNTIL = "2026-11-23T00:00:00Z", "2026-11-23T01:00:00+00:00"
COMMAND_LINES: dict[str, list[str]] = {
    "stream enable": [ARN, "--stream", "changes", "--create"],
    "stream show": [ARN],
    "export start": [ARN, *BUCKET, "--from", SINCE, "--to", UNTIL, "--enable-pitr", "--kms-key", "k", "--wait"],
    "export wait": [f"{ARN}/export/01795392000622-0a1b2c3d"],
    "export list": [ARN],
    "sync": [ARN, *BUCKET, "--enable-pitr"],
    "repair": [ARN, *BUCKET, "--since", SINCE],
}
NAMES = Names(TABLE, Target.parse("s3://my-exports/nightly", kms_key="k"), TABLE.stream("changes"))


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command in this process; nothing may reach the network."""

    def run(*arguments: str) -> tuple[int, str, str]:
        from transformer.cli.main import main

        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["dynamo2ch", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        captured = capsys.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    return run


@pytest.mark.parametrize("name", COMMAND_LINES)
def test_a_dry_run_tells_calls_that_awss_own_model_accepts_and_the_policy_allows(
    command: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    told: list[Call] = []
    before = Api.call

    def call(api: Api, service: str, operation: str, assume: Any, **parameters: Any) -> Any:
        assert api.dry_run
        told.append(Call(service, operation, parameters))
        return before(api, service, operation, assume, **parameters)

    monkeypatch.setattr(Api, "call", call)
    monkeypatch.setattr(Api, "client", lambda _self, _service: pytest.fail("a dry run makes no client"))
    code, out, err = command(*name.split(), *COMMAND_LINES[name], "--dry-run", "--json")
    assert code == 0, err
    record = json.loads(out)
    assert record["dry_run"] is True
    assert record["calls"] == [each.to_dict() for each in told]
    assert told
    session = botocore.session.Session()
    allowed = {action for statement in policy(name, NAMES)["Statement"] for action in statement["Action"]}
    for each in told:
        model = session.get_service_model(each.service).operation_model(each.operation)
        report = ParamValidator().validate(dict(each.parameters), model.input_shape)
        assert not report.has_errors(), report.generate_report()
        assert f"{each.service}:{each.operation}" in allowed
        assert xform_name(each.operation)


def test_a_dry_run_for_people(command: Any) -> None:
    code, out, _ = command("stream", "show", ARN, "--dry-run")
    assert (code, out.splitlines()[0]) == (0, "would call")
    assert "DescribeKinesisStreamingDestination" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_policy_names_what_it_is_for_and_nothing_else(name: str) -> None:
    document = policy(name, NAMES)
    assert document["Version"] == "2012-10-17"
    for statement in document["Statement"]:
        assert statement["Effect"] == "Allow"
        for action in statement["Action"]:
            assert "*" not in action
        # Only listing streams cannot be narrowed: it has no resource.
        if statement["Action"] != ["kinesis:ListStreams"]:
            for resource in statement["Resource"]:
                assert resource != "*"
                assert any(
                    part in resource for part in ("orders", "my-exports", "changes", "key/k", "aws-service-role")
                )


def test_policies_ask_for_the_names_they_need(command: Any) -> None:
    for name, what in (("sync", "--bucket"), ("stream enable", "--stream"), ("fly", "'export start'")):
        code, _, err = command("iam", name, "--table", ARN)
        assert code == 2
        assert what in err
    code, out, _ = command("iam", "snapshot", "--table", ARN, "--bucket", "s3://b")
    assert code == 0
    assert json.loads(out) == policy("snapshot", Names(TABLE, Target(bucket="b")))


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["export", "start", ARN, *BUCKET, "--to", UNTIL], "--from"),
        (["export", "start", ARN, *BUCKET, "--from", SINCE, "--export-time", SINCE], "full exports"),
        (["export", "start", ARN, *BUCKET, "--from", "yesterday"], "no time with an offset"),
        (["export", "start", ARN, *BUCKET, "--from", "2026-11-23T00:00:00"], "no time with an offset"),
        (["export", "start", ARN, *BUCKET, "--from", "last", "--dry-run"], "does not know the last export"),
        (["export", "start", "orders", *BUCKET], "no ARN of a DynamoDB table"),
        (["sync", ARN, *BUCKET, "--interval", "5"], "at least 60"),
    ],
)
def test_what_is_refused_before_aws_is_asked(command: Any, arguments: list[str], what: str) -> None:
    code, _, err = command(*arguments)
    assert code == 2
    assert what in err


def test_times() -> None:
    assert moment("2026-11-23T01:00:00+01:00").isoformat() == "2026-11-23T00:00:00+00:00"
    with pytest.raises(UsageError):
        moment("12:00Z")


def test_the_library_says_what_the_command_says() -> None:
    api = Api(region=TABLE.region, dry_run=True)
    assert stream.enable(api, TABLE, "changes").status == "ACTIVE"
    assert exports.start(api, TABLE, Target(bucket="b")).status == "IN_PROGRESS"
