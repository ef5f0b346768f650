"""Arguments and options that commands share, so that one meaning has one name, one default and one help text."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from transformer.errors import UsageError

if TYPE_CHECKING:
    from transformer.job import shards

Export = Annotated[
    str,
    typer.Argument(
        metavar="EXPORT",
        help="Export folder, its manifest-summary.json, or a folder of *.json.gz; any fsspec URL.",
        show_default=False,
    ),
]
SchemaArgument = Annotated[Path, typer.Argument(metavar="FILE", help="Schema file (YAML).", show_default=False)]
Schema = Annotated[
    Path | None,
    typer.Option("--schema", metavar="FILE", help="Schema file (YAML). Default: schemas/<table>.yaml."),
]
To = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="DEST",
        help="chdb:///absolute/folder, http(s)://user@host:port/database, parquet:/folder, or null:. Default: the "
        "embedded engine in .dynamo2ch/chdb.",
    ),
]
Table = Annotated[
    str | None, typer.Option("--table", metavar="T", help="Destination table. Default: as in the schema file.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
StorageOption = Annotated[
    list[str] | None,
    typer.Option(
        "--storage-option",
        metavar="K=V",
        help="Option for the storage of the export, such as endpoint_url=http://host:9000, anon=true or "
        "client_kwargs.region_name=eu-west-1. May be repeated. Keep secrets in the environment.",
    ),
]


Workers = Annotated[
    int | None, typer.Option("--workers", metavar="N", help="Threads that read and decode. Default: one a core.")
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="Memory for data in flight, such as 512MiB, on top of the program's own. Default: 256MiB a worker.",
    ),
]
MaxRejects = Annotated[
    int,
    typer.Option("--max-rejects", metavar="N", help="Rejected items that still count as success. Never stops a load."),
]
Rejects = Annotated[
    str | None,
    typer.Option("--rejects", metavar="URL", help="Folder for rejected items. Default: .dynamo2ch/rejects/<export>."),
]
Restart = Annotated[
    bool, typer.Option("--restart", help="Give up what earlier runs of this export have loaded; load all of it again.")
]
Shard = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Load only part I of N, for several machines at once. Default in an AWS Batch array job: its own part.",
    ),
]
Ledger = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        metavar="URL",
        help="Keep the ledger in this folder. Default: in two tables beside the destination table.",
    ),
]

CaCert = Annotated[
    str | None,
    typer.Option("--ca-cert", metavar="FILE", help="Authority (PEM) of an https destination, if not a public one."),
]
ClientCert = Annotated[
    str | None,
    typer.Option("--client-cert", metavar="FILE", help="Certificate (PEM) to show to an https destination."),
]
ClientKey = Annotated[
    str | None,
    typer.Option("--client-key", metavar="FILE", help="Key (PEM) of --client-cert, if it stands in another file."),
]
AskPassword = Annotated[
    bool, typer.Option("--ask-password", help="Ask for the destination's password, instead of CLICKHOUSE_PASSWORD.")
]


def warn_of_passwords(arguments: list[str]) -> None:
    """Say on stderr when a URL holds a password: the list of processes shows it to every user of this machine."""
    if any(re.search(r"://[^/@]*:[^/@]+@", argument) for argument in arguments):
        typer.echo(
            "warning: a URL of the command line holds a password, and other users of this machine can see it there; "
            "use CLICKHOUSE_PASSWORD, CLICKHOUSE_PASSWORD_FILE or --ask-password",
            err=True,
        )


def give_to_settings(
    ca_cert: str | None, client_cert: str | None, client_key: str | None, *, ask_password: bool
) -> None:
    """Let `Settings.from_environment` know what the options before the command say about a server.

    Raises UsageError when a password is to be asked for where nobody can answer.
    """
    from transformer import settings

    files = {"DYNAMO2CH_CA_CERT": ca_cert, "DYNAMO2CH_CLIENT_CERT": client_cert, "DYNAMO2CH_CLIENT_KEY": client_key}
    for name, file in files.items():
        if file is not None:
            settings.give(name, file)
    if ask_password:
        settings.give("CLICKHOUSE_PASSWORD", _asked())


def _asked() -> str:
    import getpass
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)  # it would show what is typed
            return getpass.getpass("ClickHouse password: ")
    except (getpass.GetPassWarning, EOFError, OSError):
        raise UsageError(
            "--ask-password needs a terminal", remedy="Elsewhere set CLICKHOUSE_PASSWORD or CLICKHOUSE_PASSWORD_FILE."
        ) from None


def shard(given: str | None) -> shards.Shard | None:
    """The part that `--shard` names, else the part of this child of an AWS Batch array job, else None."""
    from transformer.job.shards import Shard as Part

    return Part.from_environment(os.environ) if given is None else Part.parse(given)


def storage_options(given: list[str] | None) -> dict[str, object]:
    """The `--storage-option`s as fsspec takes them.

    Dots in a name nest. A value that is JSON (true, 10, null, {...}) is taken as such, any other as text.
    Raises UsageError for one without `=` or without a name, and for names that contradict each other.
    """
    import json

    options: dict[str, object] = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        steps = name.split(".")
        if not equals or not all(steps):
            # It is not repeated: without a name, all of it may be the secret.
            raise UsageError(
                "a --storage-option is not of the form name=value",
                remedy="Write it as in --storage-option endpoint_url=http://host:9000.",
            )
        parsed: object
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = value
        inner = options
        for step in steps[:-1]:
            below = inner.setdefault(step, {})
            if not isinstance(below, dict):
                raise UsageError(f"--storage-option {name}: {step} has a value already")
            inner = below
        if steps[-1] in inner:
            raise UsageError(f"--storage-option {name} is given twice")
        inner[steps[-1]] = parsed
    return options
