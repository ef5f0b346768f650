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
    from transformer.schema.file import load_schema

    table = load_schema(schema)
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
