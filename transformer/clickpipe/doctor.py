"""`clickpipe doctor`: is a live set-up whole? Each finding comes with what to do; nothing is changed."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from transformer.clickpipe.apply import differences, drift
from transformer.clickpipe.body import pipe
from transformer.clickpipe.cleanup import ERROR_SUFFIX, count, existing
from transformer.clickpipe.iam import KINESIS_ACTIONS
from transformer.clickpipe.spec import Design
from transformer.errors import ConflictError
from transformer.schema.expression import quote_identifier
from transformer.schema.landing import Names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from transformer.clickpipe.api import CloudApi
    from transformer.clickpipe.spec import PipeSpec
    from transformer.load.destination import Destination


class Level(Enum):
    """How bad a finding is. Only ERROR makes the command fail."""

    GOOD = "good"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what, how it is, and what to do if it is not good."""

    level: Level
    what: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class AwsClients:
    """boto3 clients of the stream's account and region."""

    kinesis: Any
    dynamodb: Any
    iam: Any


def examine(
    spec: PipeSpec,
    destination: Destination,
    *,
    api: CloudApi | None = None,
    aws: AwsClients | None = None,
    export_time: float | None = None,
    loaded_until: float | None = None,
    now: Callable[[], float] = time.time,
) -> list[Finding]:
    """Everything that can be looked at with what is given.

    export_time, loaded_until: UNIX seconds of the snapshot's export and of the end of its load, where known: the stream
    must have begun before the one, and still hold at the other what came in between.
    """
    found = list(_tables(spec, destination, now()))
    principal = ""
    if api is not None:
        service = api.service()
        principal = str(service.get("iamRole", ""))
        found += _pipe(spec, api, service)
    if aws is not None:
        found += _stream(spec, aws, export_time, loaded_until, now())
        found += _role(spec, aws, principal)
    return found


def _tables(spec: PipeSpec, destination: Destination, now: float) -> Iterator[Finding]:
    made = pipe(spec)
    names = [statement.name for statement in made.statements]
    landing = made.body["destination"]["table"]
    dead, errors = Names.of(spec.table.name).dead, landing + ERROR_SUFFIX
    there = existing(destination, spec.database, [*names, errors])
    missing = [name for name in names if name not in there]
    if missing:
        yield Finding(Level.ERROR, f"missing: {', '.join(missing)}", "Run `clickpipe apply`, which creates them.")
    else:
        yield Finding(Level.GOOD, f"all {len(names)} tables and views are there")
    for line in drift(made, destination, spec.database):
        remedy = (
            "Schema, depth and views must be the same: drop the view while the pipe is stopped, and `clickpipe apply`."
        )
        yield Finding(Level.ERROR, f"drift: {line}", remedy)
    if spec.table.name in there:
        try:
            destination.ensure_table(spec.table)
        except ConflictError as error:
            yield Finding(Level.ERROR, error.message, error.remedy)
        yield _lag(spec, destination, now)
    if dead in there and spec.design is Design.LANDING:
        letters = count(destination, spec.database, dead)
        remedy = f"Column errors of {dead} says why; `clickpipe replay` decodes them with the kernels."
        yield Finding(
            Level.ERROR if letters else Level.GOOD, f"{letters:,} dead letters in {dead}", remedy if letters else ""
        )
    if errors in there:
        failed = count(destination, spec.database, errors)
        remedy = f"Look into {errors} before its seven days are over, and read the stream again from before them."
        yield Finding(Level.ERROR if failed else Level.GOOD, f"{failed:,} rows in {errors}", remedy if failed else "")


def _lag(spec: PipeSpec, destination: Destination, now: float) -> Finding:
    version = quote_identifier(spec.table.version_column)
    name = f"{quote_identifier(spec.database)}.{quote_identifier(spec.table.name)}"
    newest = int(destination.query(f"SELECT max({version}) FROM {name} FORMAT TSV"))  # noqa: S608 - quoted
    if newest == 0:
        return Finding(Level.WARNING, "no change has come from the stream yet", "Change an item, and look again.")
    return Finding(Level.GOOD, f"the newest change is {max(0.0, now - newest / 1e6):,.0f} s old")


def _pipe(spec: PipeSpec, api: CloudApi, service: dict[str, Any]) -> Iterator[Finding]:
    state = str(service.get("state"))
    if state != "running":
        yield Finding(Level.ERROR, f"the service is {state}", "A pipe stops an hour after its service: wake it.")
    found = [one for one in api.pipes() if one.get("name") == spec.name]
    if len(found) != 1:
        remedy = "Run `clickpipe apply`." if not found else "Delete those that are not yours."
        yield Finding(Level.ERROR, f"{len(found)} pipes are called {spec.name}", remedy)
        return
    there = str(found[0].get("state"))
    good = there == "Running"
    yield Finding(
        Level.GOOD if good else Level.ERROR,
        f"pipe {spec.name} is {there}",
        "" if good else "system.clickpipes_log says why; `clickpipe apply --restart` makes it anew.",
    )
    for line in differences(pipe(spec).body, found[0]):
        yield Finding(Level.ERROR, f"pipe {spec.name}: {line}", "Delete the pipe and run `clickpipe apply`.")


def _stream(
    spec: PipeSpec, aws: AwsClients, export_time: float | None, loaded_until: float | None, now: float
) -> Iterator[Finding]:
    summary = aws.kinesis.describe_stream_summary(StreamName=spec.stream)["StreamDescriptionSummary"]
    status = summary["StreamStatus"]
    yield Finding(
        Level.GOOD if status in ("ACTIVE", "UPDATING") else Level.ERROR,
        f"stream {spec.stream} is {status}",
        "" if status in ("ACTIVE", "UPDATING") else "Wait for it, or create it again.",
    )
    hours = summary["RetentionPeriodHours"]
    created = summary["StreamCreationTimestamp"].timestamp()
    if export_time is not None:
        late = created > export_time
        remedy = "Changes in between are lost: export again, now that the stream is there."
        yield Finding(
            Level.ERROR if late else Level.GOOD,
            f"the stream was made {'after' if late else 'before'} the export",
            remedy if late else "",
        )
        took = ((loaded_until if loaded_until is not None else now) - export_time) / 3600
        short = took >= hours
        yield Finding(
            Level.ERROR if short else Level.GOOD,
            f"the stream keeps {hours} h, and export and load took {took:.1f} h",
            "Raise its retention (to 168 h) and load again." if short else "",
        )
    destinations = aws.dynamodb.describe_kinesis_streaming_destination(TableName=spec.records_of)
    mine = [
        one
        for one in destinations.get("KinesisDataStreamDestinations", [])
        if str(one.get("StreamArn", "")).endswith(f":stream/{spec.stream}")
    ]
    if not mine:
        yield Finding(Level.ERROR, f"table {spec.records_of} does not stream to {spec.stream}", "Enable it.")
        return
    active = mine[0].get("DestinationStatus")
    yield Finding(
        Level.GOOD if active in ("ACTIVE", "UPDATING") else Level.ERROR,
        f"streaming of table {spec.records_of} is {active}",
        "" if active in ("ACTIVE", "UPDATING") else "Enable it; changes since it ended need a new export.",
    )
    precision = mine[0].get("ApproximateCreationDateTimePrecision", "MILLISECOND")
    exact = precision == "MICROSECOND"
    remedy = "Two changes of one item in one millisecond may end in either order: set it to MICROSECOND."
    yield Finding(Level.GOOD if exact else Level.WARNING, f"times have {precision} precision", "" if exact else remedy)


def _role(spec: PipeSpec, aws: AwsClients, principal: str) -> Iterator[Finding]:
    name = spec.role_arn.rpartition("/")[2]
    trust = aws.iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    trust = json.loads(trust) if isinstance(trust, str) else trust
    trusted = {
        one
        for statement in trust.get("Statement", [])
        if statement.get("Effect") == "Allow"
        for one in _listed((statement.get("Principal") or {}).get("AWS"))
    }
    if principal:
        known = principal in trusted
        yield Finding(
            Level.GOOD if known else Level.ERROR,
            f"role {name} {'trusts' if known else 'does not trust'} the service",
            "" if known else f"Put {principal} into its trust policy.",
        )
    allowed: set[str] = set()
    for policy in aws.iam.list_role_policies(RoleName=name)["PolicyNames"]:
        document = aws.iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        document = json.loads(document) if isinstance(document, str) else document
        for statement in document.get("Statement", []):
            if statement.get("Effect") == "Allow":
                allowed.update(_listed(statement.get("Action")))
    lacking = [action for action in KINESIS_ACTIONS if not allowed & {action, "kinesis:*", "*"}]
    if lacking:
        remedy = "Compare with access-policy.json of `clickpipe render`; policies attached by ARN are not looked into."
        yield Finding(Level.WARNING, f"role {name} has no inline permission for {', '.join(lacking)}", remedy)
    else:
        yield Finding(Level.GOOD, f"role {name} may read the stream")


def _listed(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [] if value is None else [str(value)]
