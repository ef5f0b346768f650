"""The walk through docs/incremental.md, as it stands there, with the table itself in a double of DynamoDB beside it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from transformer.cli.synth_history import story

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```(sh|text)\n(.*?)```", re.DOTALL)
# All commands in one process, because each start costs seconds: reads argument lists, prints what each one said.
DRIVER = """
import contextlib, io, json, sys
from transformer.cli.main import main
results = []
for arguments in json.load(sys.stdin):
    sys.argv = ["dynamo2ch", *arguments]
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    code = 0
    with contextlib.redirect_stdout(out):
        try:
            main()
        except SystemExit as left:
            code = int(left.code or 0)
    out.flush()
    results.append([code, out.buffer.getvalue().decode()])
json.dump(results, sys.stdout)
"""


def commands_and_outputs() -> list[tuple[list[list[str]], list[str]]]:
    """The shell blocks of the page as argument lists, each with the lines that the page shows after it."""
    page = (ROOT / "docs" / "incremental.md").read_text()
    steps: list[tuple[list[list[str]], list[str]]] = []
    for kind, text in BLOCK.findall(page):
        if kind == "sh":
            lines = [shlex.split(line) for line in text.splitlines()]
            assert all(line[0] == "dynamo2ch" for line in lines)
            steps.append(([line[1:] for line in lines], []))
        else:
            steps[-1][1].extend(text.splitlines())
    return steps


def source_items(arguments: list[str]) -> dict[str, dict[str, Any]]:
    """The history of the page's `synth`, written into a table of DynamoDB, and what that holds at the end."""
    options = dict(zip(arguments[2::2], arguments[3::2], strict=True))
    past = story(
        shape=options["--shape"],
        items=int(options["--items"]),
        seed=int(options["--seed"]),
        changes=int(options["--changes"]),
    )
    client = boto3.client("dynamodb", region_name="eu-west-1")
    client.create_table(
        TableName="users",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for change in past.changes:
        if change.new is None:
            client.delete_item(TableName="users", Key=change.key)
        else:
            client.put_item(TableName="users", Item=change.new)
    items: list[dict[str, Any]] = client.scan(TableName="users")["Items"]
    return {item["id"]["S"]: item for item in items}


@mock_aws
@pytest.mark.timeout(240)
def test_the_walk_through_ends_with_a_table_that_equals_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    steps = commands_and_outputs()
    assert len(steps) == 5
    source = source_items(steps[0][0][0])
    shutil.copytree(ROOT / "schemas", tmp_path / "schemas")
    rows = ["query", "SELECT id, age, first_name, _unmapped FROM users FINAL FORMAT JSONEachRow"]
    every = [arguments for commands, _ in steps for arguments in commands]
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=json.dumps([*every, rows]),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert [code for code, _ in results] == [0] * len(results), done.stderr
    at = 0
    for commands, shown in steps:
        said = "".join(out for _, out in results[at : at + len(commands)]).splitlines()
        at += len(commands)
        for line in shown:
            assert line in said
    got = {}
    for line in results[-1][1].splitlines():
        row = json.loads(line)
        item: dict[str, Any] = {"id": {"S": row["id"]}}
        if row["age"] is not None:
            item["age"] = {"N": str(row["age"])}
        if row["first_name"] is not None:
            item["first_name"] = {"S": row["first_name"]}
        assert not row["_unmapped"]
        got[row["id"]] = item
    without_null = {
        name: {attribute: value for attribute, value in item.items() if "NULL" not in value}
        for name, item in source.items()
    }
    assert got == without_null
