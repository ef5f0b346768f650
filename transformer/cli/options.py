"""Arguments and options that commands share, so that one meaning has one name, one default and one help text."""

from __future__ import annotations

import os
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
            raise UsageError(
                f"--storage-option {name!r} is not of the form name=value",
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
