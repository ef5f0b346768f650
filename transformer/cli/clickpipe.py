"""`dynamo2ch clickpipe`: render, apply, delete, doctor, cleanup."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from transformer.cli import options
from transformer.cli.render import show
from transformer.errors import SchemaError, UsageError

app = typer.Typer(
    help="The stream's door: a Kinesis ClickPipe that decodes as the snapshot does.", no_args_is_help=True
)

SchemaFile = Annotated[Path, typer.Option("--schema", metavar="FILE", help="Schema file (YAML).", show_default=False)]
Stream = Annotated[str, typer.Option("--stream", metavar="NAME", help="Kinesis stream.", show_default=False)]
Region = Annotated[str, typer.Option("--region", metavar="R", help="Region of the stream.", show_default=False)]
DesignOption = Annotated[
    Literal["landing", "direct"],
    typer.Option(
        "--design", help="landing: whole records, decoded by a view. direct: the pipe maps fields; loses things."
    ),
]
Database = Annotated[str, typer.Option("--database", metavar="D", help="Database of the tables.")]
SourceTable = Annotated[
    str, typer.Option("--source-table", metavar="T", help="DynamoDB table. Default: named as in the schema file.")
]
Account = Annotated[str, typer.Option("--account", metavar="ID", help="AWS account of stream and role.")]
Role = Annotated[str, typer.Option("--role", metavar="ARN", help="Role that the pipe assumes. Default: to be made.")]
Depth = Annotated[
    int, typer.Option("--depth", metavar="N", help="Maps and lists inside one another that become JSON text.")
]
KeepRaw = Annotated[
    int, typer.Option("--keep-raw", metavar="DAYS", help="Keep the records in the landing table; 0 keeps none.")
]


def build(
    schema: Path,
    stream: str,
    region: str,
    design: str,
    database: str,
    source_table: str,
    account: str,
    role: str,
    depth: int,
    keep_raw: int,
    start: int | None = None,
) -> Any:
    """The spec that the options of a command describe. Raises UsageError for a schema that the kernels cannot serve."""
    from transformer.clickpipe.spec import Design, PipeSpec
    from transformer.decode.defaults import Defaults
    from transformer.decode.plan import Plan
    from transformer.schema.file import load_proven_schema

    table = load_proven_schema(schema)
    try:
        Plan(table)
        Defaults(table)
    except SchemaError as error:
        raise SchemaError(f"{schema}: {error.message}", remedy=error.remedy) from error
    if keep_raw < 0:
        raise UsageError("--keep-raw takes days", remedy="Write 0 to keep no records.")
    return PipeSpec(
        table, stream, region, Design(design), database, source_table, account, role, depth, keep_raw, start
    )


@app.command()
def render(
    schema: SchemaFile,
    stream: Stream,
    region: Region,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write into.", show_default=False)],
    design: DesignOption = "landing",
    database: Database = "default",
    source_table: SourceTable = "",
    account: Account = "",
    role: Role = "",
    depth: Depth = 6,
    keep_raw: KeepRaw = 0,
    snapshot: Annotated[
        str, typer.Option("--snapshot", metavar="S3URL", help="Also an S3 pipe for the full export in this folder.")
    ] = "",
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure what an insert costs, on the embedded engine.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Write SQL, API body, Terraform, IAM policies and a page of explanation, without any network."""
    from transformer.clickpipe.body import pipe
    from transformer.clickpipe.render import rendered, write
    from transformer.clickpipe.snapshot import ExportLocation

    spec = build(schema, stream, region, design, database, source_table, account, role, depth, keep_raw)
    written = write(rendered(spec, ExportLocation.parse(snapshot) if snapshot else None), out)
    losses = pipe(spec).losses
    record: dict[str, Any] = {"out": str(out), "files": [str(path) for path in written], "losses": losses}
    lines = [*map(str, written), *(f"loses: {loss}" for loss in losses)]
    if measure:
        from transformer.clickpipe.measure import measure as measured

        cost = measured(spec)
        record |= {"sql_bytes": cost.sql_bytes, "insert_seconds": round(cost.seconds, 3)}
        lines.append(f"view: {cost.sql_bytes:,} bytes of SQL, {cost.seconds:.2f} s an insert of one record")
    lines.append(f"next: {shlex.join(['less', str(out / 'README.md')])}")
    show(record, lambda: "\n".join(lines), as_json=as_json)


Organization = Annotated[
    str,
    typer.Option(
        "--organization", metavar="ID", envvar="CLICKHOUSE_CLOUD_ORGANIZATION", help="ClickHouse organization."
    ),
]
Service = Annotated[
    str, typer.Option("--service", metavar="ID", envvar="CLICKHOUSE_CLOUD_SERVICE", help="ClickHouse Cloud service.")
]
ApiUrl = Annotated[
    str,
    typer.Option("--api-url", metavar="URL", envvar="CLICKHOUSE_CLOUD_API_URL", help="Where the Cloud API is."),
]
API_URL = "https://api.clickhouse.cloud"


def cloud_api(organization: str, service: str, url: str) -> Any:
    """The Cloud API with the key of the environment. Raises UsageError without one."""
    from transformer.clickpipe.api import CloudApi
    from transformer.settings import Settings

    settings = Settings.from_environment()
    return CloudApi(organization, service, settings.cloud_key_id, settings.cloud_key_secret, url=url)


@app.command()
def apply(
    schema: SchemaFile,
    stream: Stream,
    region: Region,
    organization: Organization,
    service: Service,
    to: options.To = None,
    design: DesignOption = "landing",
    database: Database = "default",
    source_table: SourceTable = "",
    account: Account = "",
    role: Role = "",
    depth: Depth = 6,
    keep_raw: KeepRaw = 0,
    start: Annotated[
        int | None,
        typer.Option("--start", metavar="SECONDS", help="Read from this UNIX second on. Default: all there is."),
    ] = None,
    wake: Annotated[bool, typer.Option("--wake", help="Wake the service if it is idle.")] = False,
    discover: Annotated[
        bool, typer.Option("--discover", help="Compare the mapping with the fields of the live stream first.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Make a pipe that does not run anew, from an hour before the newest row.")
    ] = False,
    wait: Annotated[int, typer.Option("--wait", metavar="SECONDS", help="How long to wait until it runs.")] = 600,
    api_url: ApiUrl = API_URL,
    as_json: options.Json = False,
) -> None:
    """Create tables, views and the pipe, or see that they are as they should be. May be run again."""
    import contextlib

    from transformer.clickpipe.apply import Waiting
    from transformer.clickpipe.apply import apply as run
    from transformer.load.destination import DEFAULT_DESTINATION, open_destination

    spec = build(schema, stream, region, design, database, source_table, account, role, depth, keep_raw, start)
    with (
        contextlib.closing(cloud_api(organization, service, api_url)) as api,
        contextlib.closing(open_destination(to or DEFAULT_DESTINATION)) as destination,
    ):
        done = run(spec, api, destination, wake=wake, discover=discover, restart=restart, waiting=Waiting(float(wait)))
    record = {"pipe": done.pipe_id, "name": spec.name, "state": done.state, "steps": done.steps}
    show(record, lambda: "\n".join(done.steps), as_json=as_json)


@app.command()
def delete(
    schema: SchemaFile,
    organization: Organization,
    service: Service,
    api_url: ApiUrl = API_URL,
    as_json: options.Json = False,
) -> None:
    """Delete the pipe of a schema. Tables, views and rows stay."""
    import contextlib

    from transformer.clickpipe.apply import delete as run
    from transformer.clickpipe.spec import PipeSpec
    from transformer.schema.file import load_schema

    name = PipeSpec(load_schema(schema), "any", "eu-west-1").name
    with contextlib.closing(cloud_api(organization, service, api_url)) as api:
        done = run(name, api)
    show({"name": name, "steps": done.steps}, lambda: "\n".join(done.steps), as_json=as_json)


@app.command()
def doctor(
    schema: Annotated[
        list[Path] | None, typer.Option("--schema", metavar="FILE", help="Schema file. May be repeated.")
    ] = None,
    all_: Annotated[
        Path | None, typer.Option("--all", metavar="DIR", help="Every schema file in a folder that names a stream.")
    ] = None,
    stream: Annotated[
        str, typer.Option("--stream", metavar="NAME", help="Kinesis stream. Default: `stream` of the schema file.")
    ] = "",
    region: Annotated[str, typer.Option("--region", metavar="R", envvar="AWS_REGION", help="Its region.")] = "",
    to: options.To = None,
    organization: Annotated[
        str,
        typer.Option("--organization", metavar="ID", envvar="CLICKHOUSE_CLOUD_ORGANIZATION", help="Look at the pipe."),
    ] = "",
    service: Annotated[
        str,
        typer.Option("--service", metavar="ID", envvar="CLICKHOUSE_CLOUD_SERVICE", help="ClickHouse Cloud service."),
    ] = "",
    aws: Annotated[bool, typer.Option("--aws", help="Look at stream, table and role as well (needs boto3).")] = False,
    design: DesignOption = "landing",
    database: Database = "default",
    source_table: SourceTable = "",
    account: Account = "",
    role: Role = "",
    depth: Depth = 6,
    keep_raw: KeepRaw = 0,
    export_time: Annotated[
        str, typer.Option("--export-time", metavar="T", help="Of the snapshot, as in its manifest (ISO 8601).")
    ] = "",
    api_url: ApiUrl = API_URL,
    as_json: options.Json = False,
) -> None:
    """Look at a live set-up from end to end. Changes nothing; ends with 4 when something is wrong."""
    import contextlib
    from datetime import UTC, datetime

    from transformer.clickpipe.doctor import Level, examine
    from transformer.errors import ExitCode
    from transformer.load.destination import DEFAULT_DESTINATION, open_destination

    exported = None
    if export_time:
        try:
            moment = datetime.fromisoformat(export_time)
        except ValueError as error:
            raise UsageError(
                f"{export_time!r} is no time", remedy="Write it like 2026-11-23T00:00:00Z, as the manifest has it."
            ) from error
        exported = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    specs = [
        build(file, name, region, design, database, source_table, account, role, depth, keep_raw)
        for file, name in _with_streams(schema or [], all_, stream)
    ]
    records = []
    with contextlib.ExitStack() as stack:
        destination = stack.enter_context(contextlib.closing(open_destination(to or DEFAULT_DESTINATION)))
        api = None
        if organization or service:
            api = stack.enter_context(contextlib.closing(cloud_api(organization, service, api_url)))
        for spec in specs:
            clients = _aws_clients(region) if aws else None
            for finding in examine(spec, destination, api=api, aws=clients, export_time=exported):
                record = {"table": spec.table.name, "level": finding.level.value, "what": finding.what}
                records.append({**record, "remedy": finding.remedy})
    wrong = any(record["level"] == Level.ERROR.value for record in records)

    def text() -> str:
        lines = []
        for record in records:
            lines.append(f"{record['level']:7} {record['table']}: {record['what']}")
            if record["remedy"]:
                lines.append(f"        {record['remedy']}")
        return "\n".join(lines)

    show({"findings": records, "good": not wrong}, text, as_json=as_json)
    if wrong:
        raise typer.Exit(ExitCode.MISMATCH)


def _with_streams(files: list[Path], folder: Path | None, stream: str) -> list[tuple[Path, str]]:
    """Schema files, each with its stream. Raises UsageError when there is none, or a stream is missing."""
    from transformer.schema.file import load_schema_file

    chosen = [(file, stream or load_schema_file(file).stream) for file in files]
    for file, name in chosen:
        if not name:
            raise UsageError(
                f"{file} names no stream", remedy="Give --stream, or write `stream:` into the schema file."
            )
    if folder is not None:
        found = [(file, load_schema_file(file).stream) for file in sorted(folder.glob("*.yaml"))]
        chosen += [(file, name) for file, name in found if name]
    if not chosen:
        raise UsageError(
            "there is nothing to look at", remedy="Give --schema FILE, or --all DIR with `stream:` in files."
        )
    return chosen


def _aws_clients(region: str) -> Any:
    try:
        import boto3
    except ImportError as error:
        raise UsageError("--aws needs the package boto3", remedy="Install it with pip install boto3.") from error
    from transformer.clickpipe.doctor import AwsClients

    return AwsClients(*(boto3.client(name, region_name=region) for name in ("kinesis", "dynamodb", "iam")))


@app.command()
def cleanup(
    schema: SchemaFile,
    to: options.To = None,
    database: Database = "default",
    organization: Annotated[
        str,
        typer.Option("--organization", metavar="ID", envvar="CLICKHOUSE_CLOUD_ORGANIZATION", help="Look at the pipe."),
    ] = "",
    service: Annotated[
        str,
        typer.Option("--service", metavar="ID", envvar="CLICKHOUSE_CLOUD_SERVICE", help="ClickHouse Cloud service."),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Drop them; without it they are only shown.")] = False,
    api_url: ApiUrl = API_URL,
    as_json: options.Json = False,
) -> None:
    """Drop what only the snapshot needed: its table, error table and views; never the destination."""
    import contextlib

    from transformer.clickpipe.cleanup import clean_up, plan_clean_up
    from transformer.load.destination import DEFAULT_DESTINATION, open_destination
    from transformer.schema.file import load_schema

    table = load_schema(schema)
    with contextlib.ExitStack() as stack:
        destination = stack.enter_context(contextlib.closing(open_destination(to or DEFAULT_DESTINATION)))
        api = None
        if organization or service:
            api = stack.enter_context(contextlib.closing(cloud_api(organization, service, api_url)))
        plan = plan_clean_up(table, destination, database, api)
        if yes:
            clean_up(plan, destination, database)
    what = "dropped" if yes else "would be dropped; --yes drops it"
    lines = [f"{name}: {what}" for name in plan.drops] or ["there is nothing of the snapshot's to drop"]
    lines += [f"not yet: {reason}" for reason in plan.reasons]
    record = {"drops": plan.drops, "reasons": plan.reasons, "dropped": yes}
    show(record, lambda: "\n".join(lines), as_json=as_json)


@app.command()
def replay(
    schema: SchemaFile, to: options.To = None, source_table: SourceTable = "", as_json: options.Json = False
) -> None:
    """Decode dead letters with the kernels, after the schema was mended or where the view was not deep enough."""
    import contextlib

    from transformer.job.dead_letters import replay_dead_letters
    from transformer.load.destination import DEFAULT_DESTINATION, open_destination
    from transformer.schema.file import load_schema

    with contextlib.closing(open_destination(to or DEFAULT_DESTINATION)) as destination:
        done = replay_dead_letters(load_schema(schema), destination, source_table=source_table)
    show(
        done.to_dict(),
        lambda: f"{done.table}: {done.letters:,} dead letters, {done.rows:,} became rows, {done.remaining:,} remain",
        as_json=as_json,
    )
    if done.exit_code:
        raise typer.Exit(done.exit_code)
