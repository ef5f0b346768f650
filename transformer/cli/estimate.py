"""The command `estimate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from transformer.cli import options
from transformer.cli.render import show

if TYPE_CHECKING:
    from transformer.job.estimate import Estimate


def estimate(
    export: options.Export,
    machines: Annotated[
        int, typer.Option("--machines", metavar="N", help="Machines that share the files (--shard).")
    ] = 1,
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", help="Workers of each machine, one core for each.")
    ] = 2,
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="SIZE", help="As for `snapshot`. Default: 256MiB a worker.")
    ] = None,
    server_cores: Annotated[
        int, typer.Option("--server-cores", metavar="N", help="Cores of ClickHouse that are free for the load.")
    ] = 4,
    retention_hours: Annotated[
        float, typer.Option("--retention-hours", metavar="H", help="How long the table's stream keeps changes.")
    ] = 24.0,
    nat: Annotated[
        bool, typer.Option("--nat", help="Reads from S3 go through a NAT gateway, which is paid for.")
    ] = False,
    gz_bytes: Annotated[
        str | None,
        typer.Option("--gz-bytes", metavar="SIZE", help="Size of all data files, where the storage lists none."),
    ] = None,
    rate: Annotated[
        list[str] | None,
        typer.Option("--rate", metavar="NAME=X", help="Another speed, such as gzip_ratio=14. May be repeated."),
    ] = None,
    price: Annotated[
        list[str] | None,
        typer.Option("--price", metavar="NAME=X", help="Another price, such as core_hour=0.03. May be repeated."),
    ] = None,
    as_json: options.Json = False,
    storage_option: options.StorageOption = None,
) -> None:
    """Say what a load will take, from the manifests alone: time, memory, requests, cost, bottleneck."""
    from transformer.job.budget import parse_size
    from transformer.job.estimate import Plan
    from transformer.job.estimate import estimate as compute
    from transformer.job.rates import Prices, Rates, changed
    from transformer.source.export import find_export

    plan = Plan(
        machines=machines,
        workers=workers,
        server_cores=server_cores,
        retention_hours=retention_hours,
        nat=nat,
        memory=None if memory is None else parse_size(memory),
        gz_bytes=None if gz_bytes is None else parse_size(gz_bytes),
        rates=changed(Rates(), rate or [], "--rate"),
        prices=changed(Prices(), price or [], "--price"),
    )
    result = compute(find_export(export, options.storage_options(storage_option)), plan)
    show(result.to_dict(), lambda: describe(result), as_json=as_json)


def describe(result: Estimate) -> str:
    """An estimate for people."""
    costs = ", ".join(f"{name} {value:,.2f}" for name, value in result.costs.items() if value >= 0.005)
    limits = ", ".join(f"{name} {duration(seconds)}" for name, seconds in result.limits.items())
    items = "unknown" if result.items is None else f"{result.items:,}"
    lines = [
        (
            f"estimate for {result.export}: {result.machines:,} x {result.workers} workers, "
            f"{result.server_cores} cores of ClickHouse"
        ),
        f"  files     {result.files:,} ({result.empty:,} empty), {items} items",
        f"  size      {decimal_size(result.gz_bytes)} stored, about {decimal_size(result.json_bytes)} of JSON",
        f"  skew      largest file {decimal_size(result.largest)}, {result.skew:.1f} times the mean",
        f"  inserts   {result.chunks:,}",
        f"  time      {duration(result.makespan)}, merges done after {duration(result.settled)} at the earliest",
        f"  workers   busy {result.busy:.0%} of the time",
        f"  at least  {limits}",
        f"  limit     {result.bottleneck}",
        f"  memory    {decimal_size(result.memory)} on each machine",
        f"  network   {decimal_size(round(result.network_bytes_s))}/s in all",
        (
            f"  CPU       client {duration(result.client_cpu)}, inserts {duration(result.insert_cpu)}, "
            f"merges {duration(result.merge_cpu)} (core time)"
        ),
        f"  requests  {result.gets:,} GET, {result.lists:,} LIST",
        f"  cost      {result.total_cost:,.2f} USD{f' ({costs})' if costs else ''}",
        f"  stream    {result.retention_share:.1%} of the {result.retention_hours:g} hours that it keeps",
    ]
    return "\n".join([*lines, *(f"  advice    {text}" for text in result.advice)])


def duration(seconds: float) -> str:
    """`seconds` for people."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:,.1f} h"


def decimal_size(size: int) -> str:
    """`size` bytes for people, by 1000, as prices and networks count."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"


def register(app: typer.Typer) -> None:
    """Add the command to the tool."""
    app.command()(estimate)
