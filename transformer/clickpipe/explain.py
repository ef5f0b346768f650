"""The page that goes with what is rendered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transformer.clickpipe.spec import Design
from transformer.schema.landing import Names

if TYPE_CHECKING:
    from transformer.clickpipe.body import Pipe
    from transformer.clickpipe.spec import PipeSpec


def explain(spec: PipeSpec, made: Pipe, files: list[str]) -> str:
    """README.md of a rendered folder."""
    sql = [name for name in files if name.startswith("sql/")]
    names = Names.of(spec.table.name)
    steps = (
        "Enable the stream on the table, before the snapshot's export begins, with MICROSECOND precision.",
        f"Run the statements: {', '.join(f'`{name}`' for name in sql)}. The last one lets records through.",
        "Make the role: `trust-policy.json` (put the service's principal in), `access-policy.json`; or `main.tf`.",
        "Create the pipe: `dynamo2ch clickpipe apply`, or `main.tf`, or POST `pipe.json`.",
        "Load the snapshot. Its rows have version 0, so whatever the stream brings wins, in any order.",
    )
    parts = [
        f"# Stream {spec.stream} into {spec.database}.{spec.table.name}\n",
        f"Records of the DynamoDB table `{spec.records_of}`, design `{spec.design.value}`.\n",
        "## In this order\n",
        "".join(f"{number}. {step}\n" for number, step in enumerate(steps, start=1)),
        "## What happens to a record\n",
    ]
    if spec.design is Design.LANDING:
        kept = f"keeps it for {spec.keep_raw_days} days" if spec.keep_raw_days else "keeps nothing"
        parts.append(
            f"The pipe writes it, as it is, to `{names.landing}`, which {kept}. The view `{names.decode}` decodes it "
            f"by the rules that the snapshot is loaded by. What is exact goes on to `{spec.table.name}`; a REMOVE "
            f"becomes a tombstone; everything else is kept whole in `{names.dead}`, with the reasons. JSON text is "
            f"written for up to {spec.depth} maps and lists inside one another.\n"
        )
        if spec.table.drop:
            parts.append(
                "What the schema drops is in no table of these. The pipe's own error table keeps records that it "
                "cannot insert, whole, for seven days: restrict who may read it.\n"
            )
        size = len(made.statements[-1].sql)
        parts.append(
            f"The decoding view is {size:,} bytes of SQL. Every insert plans it anew: `clickpipe render --measure` "
            "shows the seconds.\n"
        )
        if size > 262_144:
            parts.append("It needs `max_query_size` above its own size when it is created.\n")
    else:
        parts.append("The pipe flattens it and maps fields to columns; a view adds version and tombstones.\n")
        parts.append("## What this design loses\n")
        parts.append("".join(f"- {loss}\n" for loss in made.losses))
    parts.append("## Reading\n")
    parts.append(f"```sql\nSELECT * FROM {spec.database}.`{spec.table.name}` FINAL\n```\n")
    return "\n".join(parts)
