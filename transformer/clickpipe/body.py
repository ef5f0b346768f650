"""Bodies of the ClickPipes API (ClickHouse Cloud OpenAPI, `ClickPipePostRequest`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from transformer.clickpipe.direct import direct_design
from transformer.clickpipe.spec import Design
from transformer.schema.landing import LANDING_COLUMNS, Names, landing_statements

if TYPE_CHECKING:
    from transformer.clickpipe.spec import PipeSpec
    from transformer.schema.landing import Statement

SCALING = {"replicas": 2, "replicaCpuMillicores": 250, "replicaMemoryGb": 1.0}
"""Two of the smallest: fewer is not highly available (ClickPipes, "Scaling")."""

SETTINGS = {"streaming_max_insert_wait_ms": 5000}
"""The default, written down: every insert pays for the planning of the view."""

_VIRTUAL = {"raw": "_raw_message", "sequence_number": "_sequence_number", "arrival": "_timestamp"}


@dataclass(frozen=True, slots=True)
class Pipe:
    """All that is created for one spec: the SQL in order, the API body, and what the design loses."""

    statements: list[Statement]
    body: dict[str, Any]
    losses: list[str]


def pipe(spec: PipeSpec) -> Pipe:
    """The pipe that a spec describes. Raises UsageError when its design cannot serve its table."""
    if spec.design is Design.DIRECT:
        direct = direct_design(spec.table, database=spec.database)
        body = _body(spec, direct.landing, direct.columns, direct.mappings)
        return Pipe(direct.statements, body, direct.losses)
    statements = landing_statements(
        spec.table,
        database=spec.database,
        depth=spec.depth,
        source_table=spec.records_of,
        keep_raw_days=spec.keep_raw_days,
    )
    mappings = [(_VIRTUAL[name], name) for name, _ in LANDING_COLUMNS]
    body = _body(spec, Names.of(spec.table.name).landing, list(LANDING_COLUMNS), mappings)
    return Pipe(statements, body, [])


def _body(
    spec: PipeSpec, table: str, columns: list[tuple[str, str]], mappings: list[tuple[str, str]]
) -> dict[str, Any]:
    kinesis: dict[str, Any] = {
        "format": "JSONEachRow",
        "streamName": spec.stream,
        "region": spec.region,
        "useEnhancedFanOut": False,
        "iteratorType": "TRIM_HORIZON" if spec.start is None else "AT_TIMESTAMP",
    }
    if spec.start is not None:
        kinesis["timestamp"] = spec.start
    kinesis |= {"authentication": "IAM_ROLE", "iamRole": spec.role_arn}
    return {
        "name": spec.name,
        "source": {"kinesis": kinesis},
        "destination": {
            "database": spec.database,
            "table": table,
            "managedTable": False,
            "columns": [{"name": name, "type": sql} for name, sql in columns],
        },
        "fieldMappings": [{"sourceField": source, "destinationField": name} for source, name in mappings],
        "scaling": SCALING,
        "settings": SETTINGS,
    }
