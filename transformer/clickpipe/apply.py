"""`clickpipe apply` and `delete`: tables and views first, then the pipe; safe to run again."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from transformer.clickpipe.api import IdleServiceError, UnknownOutcomeError
from transformer.clickpipe.body import pipe
from transformer.clickpipe.spec import NO_ACCOUNT, Design
from transformer.errors import ConflictError, RetryError, UsageError
from transformer.schema.expression import quote_identifier, quote_string

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformer.clickpipe.api import CloudApi
    from transformer.clickpipe.body import Pipe
    from transformer.clickpipe.spec import PipeSpec
    from transformer.load.destination import Destination

GOOD_STATES = ("Running", "Completed")
BAD_STATES = ("Failed", "InternalError")

MARGIN = 3600
"""Seconds before the newest version from which a pipe that is made anew reads. Records read twice do no harm, and those
of other shards may be late."""


@dataclass(slots=True)
class Applied:
    """What was done, step by step, in sentences; and the pipe as it is now."""

    steps: list[str] = field(default_factory=list)
    pipe_id: str = ""
    state: str = ""


@dataclass(slots=True)
class Waiting:
    """How to wait: for at most `seconds`, looking every `every` seconds."""

    seconds: float = 600.0
    every: float = 5.0
    sleep: Callable[[float], None] = time.sleep

    def moments(self) -> range:
        """As many numbers as there are looks."""
        return range(max(1, int(self.seconds / self.every)))


def apply(
    spec: PipeSpec,
    api: CloudApi,
    destination: Destination,
    *,
    wake: bool = False,
    discover: bool = False,
    restart: bool = False,
    waiting: Waiting | None = None,
) -> Applied:
    """Make sure that tables, views and pipe are as the spec says.

    A pipe is found again by its name. What differs is told and left alone.
    wake: wake an idle service. discover: compare the mapping with the fields of the live stream first.
    restart: delete a pipe that does not run, and make it anew, reading from MARGIN before the newest version on.
    Raises ConflictError for differences, several pipes of the name, and a pipe that fails; RetryError when it does not
    run in time; UsageError when an account is missing.
    """
    waiting = waiting or Waiting()
    done = Applied()
    if NO_ACCOUNT in spec.role_arn:
        raise UsageError("the pipe needs a role", remedy="Give --account, or --role with the ARN of the role.")
    made = pipe(spec)
    check_database(spec, destination)
    _awake(api, done, waiting, wake=wake)
    found = _find(api, spec.name)
    _create_tables(made, destination, spec, done)
    if found is not None and restart and found["state"] not in (*GOOD_STATES, "Provisioning", "Degraded"):
        spec = replace(spec, start=_restart_time(spec, destination))
        made = pipe(spec)
        since = f"UNIX second {spec.start}" if spec.start is not None else "the oldest record"
        _remove(api, found["id"], waiting)
        done.steps.append(f"pipe {spec.name} was {found['state']}: deleted, to be read again from {since}")
        found = None
    if found is None:
        if discover:
            _check_fields(spec, made, api.discover(made.body["source"]), done)
        found = _create(api, made, spec.name)
        done.steps.append(f"pipe {spec.name} created")
    else:
        wrong = differences(made.body, found)
        if wrong:
            raise ConflictError(
                f"pipe {spec.name} is there, and differs:" + "".join(f"\n  - {line}" for line in wrong),
                remedy="Change the options to match, or run `clickpipe delete` and then this command again.",
            )
        done.steps.append(f"pipe {spec.name} was there already, and as it should be")
    done.pipe_id = str(found["id"])
    done.state = _wait_until_running(api, found, waiting)
    done.steps.append(f"pipe {spec.name} is {done.state}")
    return done


def check_database(spec: PipeSpec, destination: Destination) -> None:
    """Raise UsageError when the connection is to another database than the statements name."""
    current = destination.query("SELECT currentDatabase() FORMAT TSVRaw").decode().strip()
    if current != spec.database:
        raise UsageError(
            f"{destination.url} is database {current}, the pipe is for {spec.database}",
            remedy="Give the database in --to and --database alike.",
        )


def delete(name: str, api: CloudApi, *, waiting: Waiting | None = None) -> Applied:
    """Delete the pipe of a name, if there is one. Tables and views stay, and so does every row."""
    waiting = waiting or Waiting()
    done = Applied()
    found = _find(api, name)
    if found is None:
        done.steps.append(f"there is no pipe {name}")
        return done
    _remove(api, str(found["id"]), waiting)
    done.steps.append(f"pipe {name} deleted; tables and views are still there")
    return done


def differences(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What a pipe has otherwise than its body says: one sentence each. Scaling and settings may be tuned by hand.

    A start is told once, when a pipe is made, and is no difference later.
    """
    source, there = wanted["source"]["kinesis"], (found.get("source") or {}).get("kinesis") or {}
    target, place = wanted["destination"], found.get("destination") or {}
    pairs = [
        (f"source {key}", there.get(key), source[key])
        for key in ("format", "streamName", "region", "authentication", "iamRole")
    ]
    pairs += [(f"destination {key}", place.get(key), target[key]) for key in ("database", "table", "managedTable")]
    columns = {column["name"]: column["type"] for column in place.get("columns") or []}
    pairs += [(f"column {one['name']}", columns.get(one["name"]), one["type"]) for one in target["columns"]]
    mapped = {one["destinationField"]: one["sourceField"] for one in found.get("fieldMappings") or []}
    pairs += [
        (f"the source of column {one['destinationField']}", mapped.get(one["destinationField"]), one["sourceField"])
        for one in wanted["fieldMappings"]
    ]
    return [f"{what} is {has!r}, not {should!r}" for what, has, should in pairs if has != should]


def _find(api: CloudApi, name: str) -> dict[str, Any] | None:
    found = [one for one in api.pipes() if one.get("name") == name]
    if len(found) > 1:
        ids = ", ".join(str(one.get("id")) for one in found)
        raise ConflictError(f"{len(found)} pipes are called {name}: {ids}", remedy="Delete those that are not yours.")
    return found[0] if found else None


def _awake(api: CloudApi, done: Applied, waiting: Waiting, *, wake: bool) -> None:
    """See that the service runs. One that somebody stopped is never started."""
    state = str(api.service().get("state", ""))
    if state in ("stopped", "stopping"):
        raise ConflictError(f"the service is {state}", remedy="Start it in the console first.")
    if state != "idle":
        return
    if not wake:
        raise IdleServiceError("the service sleeps", remedy="Run the same command with --wake.")
    api.wake()
    for _ in waiting.moments():
        if api.service().get("state") == "running":
            done.steps.append("the service was idle, and has been woken")
            return
        waiting.sleep(waiting.every)
    raise RetryError("the service does not wake up", remedy="Run the same command again later.")


def _create_tables(made: Pipe, destination: Destination, spec: PipeSpec, done: Applied) -> None:
    """Run the statements, unless something of the same name is there that was made from another schema."""
    drifted = drift(made, destination, spec.database)
    if drifted:
        raise ConflictError(
            "what is there was made from another schema or depth:" + "".join(f"\n  - {line}" for line in drifted),
            remedy="Stop the pipe, drop the views that are named, and run this command again; rows stay.",
        )
    for statement in made.statements:
        destination.command(statement.sql)
    destination.ensure_table(spec.table)
    done.steps.append(f"tables and views are there: {', '.join(s.name for s in made.statements)}")


def drift(made: Pipe, destination: Destination, database: str) -> list[str]:
    """Tables and views that are there under our names and were not made by exactly these statements."""
    marks = {statement.name: statement.mark for statement in made.statements if statement.mark}
    names = ", ".join(map(quote_string, marks))
    sql = (
        "SELECT hex(name), hex(comment) FROM system.tables "  # noqa: S608 - quoted
        f"WHERE database = {quote_string(database)} AND name IN ({names}) ORDER BY name FORMAT TSV"
    )
    found = []
    for line in destination.query(sql).decode().splitlines():
        name, comment = (bytes.fromhex(part).decode("utf-8", "replace") for part in line.split("\t"))
        if comment != marks[name]:
            found.append(f"{name} says {comment!r}, not {marks[name]!r}")
    return found


def _restart_time(spec: PipeSpec, destination: Destination) -> int | None:
    """Where a pipe that is made anew begins: MARGIN before the newest change; None if there was none yet."""
    version = quote_identifier(spec.table.version_column)
    name = f"{quote_identifier(spec.database)}.{quote_identifier(spec.table.name)}"
    newest = int(destination.query(f"SELECT max({version}) FROM {name} FORMAT TSV").decode().strip() or 0)  # noqa: S608
    return newest // 1_000_000 - MARGIN if newest > 0 else None


def _check_fields(spec: PipeSpec, made: Pipe, fields: list[str], done: Applied) -> None:
    """Compare the mapping with what the live stream shows. Virtual fields (_raw_message) are in no message."""
    if not fields:
        done.steps.append("the stream shows no fields yet: nothing to compare the mapping with")
        return
    wanted = (
        [one["sourceField"] for one in made.body["fieldMappings"]]
        if spec.design is Design.DIRECT
        else ["dynamodb", "eventName", "tableName"]
    )
    missing = [name for name in wanted if not any(field == name or field.startswith(f"{name}.") for field in fields)]
    if missing:
        raise ConflictError(
            f"the stream shows no field {', '.join(missing)}",
            remedy="Use --design landing; or check that the stream carries records of this table.",
        )
    done.steps.append(f"the stream shows every field that is needed ({len(fields)} in all)")


def _create(api: CloudApi, made: Pipe, name: str) -> dict[str, Any]:
    """Create the pipe; if the answer is lost, look whether it is there before doing it again."""
    try:
        return api.create(made.body)
    except UnknownOutcomeError:
        found = _find(api, name)
        if found is not None:
            return found
        return api.create(made.body)


def _remove(api: CloudApi, pipe_id: str, waiting: Waiting) -> None:
    api.delete(pipe_id)
    for _ in waiting.moments():
        if api.pipe(pipe_id) is None:
            return
        waiting.sleep(waiting.every)
    raise RetryError(f"pipe {pipe_id} is still there after it was deleted", remedy="Run the same command again.")


def _wait_until_running(api: CloudApi, found: dict[str, Any], waiting: Waiting) -> str:
    state = str(found.get("state", "Unknown"))
    for _ in waiting.moments():
        if state in GOOD_STATES:
            return state
        if state in BAD_STATES:
            raise ConflictError(
                f"pipe {found['name']} is {state}",
                remedy="Look at system.clickpipes_log and at the role's policies; then `apply --restart`.",
            )
        if state == "Stopped":
            raise ConflictError(
                f"pipe {found['name']} was stopped by somebody",
                remedy="Start it in the console, or make it anew with `apply --restart`.",
            )
        waiting.sleep(waiting.every)
        now = api.pipe(str(found["id"]))
        if now is None:
            raise ConflictError(f"pipe {found['name']} was deleted while it was waited for", remedy="Run this again.")
        state = str(now.get("state", "Unknown"))
    raise RetryError(
        f"pipe {found['name']} is still {state} after {waiting.seconds:.0f} s", remedy="Run the same command again."
    )
