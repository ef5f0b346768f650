"""A destination table as every other room sees it: resolved, checked, without a trace of YAML.

`transformer.schema.file` builds it from a schema file; decode, load, SQL and synth only read it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformer.schema.types import Type

Path = tuple[str, ...]
"""Attribute names from the top of the item inwards. Never empty; any UTF-8 names."""


class Convert(Enum):
    """How a value becomes a column of another kind. The closed list; grammars and ranges are in docs/types.md."""

    EPOCH_S = "epoch_s"
    EPOCH_MS = "epoch_ms"
    EPOCH_US = "epoch_us"
    ISO8601 = "iso8601"
    UUID = "uuid"


class VersionFrom(Enum):
    """Where the version of snapshot rows comes from."""

    ZERO = "zero"
    EXPORT_TIME = "export_time"


class UnmappedPolicy(Enum):
    """What happens to a top-level attribute of which some value went into no column."""

    KEEP = "keep"
    IGNORE = "ignore"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Column:
    """One column filled from the item.

    name: the column's name in ClickHouse (no dots).
    path: where its value stands in the item; every step but the last runs through a map (M).
    type: its type from the type table.
    convert: the conversion, where the type needs one (DateTime64 always has one, UUID always has UUID).
    default: what a missing or NULL attribute becomes in a column that takes no NULL, as DynamoDB would write it
        (a tagged value such as {"N": "0"}), or None: then such an item is rejected. Only for scalar types.
    codec: a ClickHouse codec expression, or empty.
    """

    name: str
    path: Path
    type: Type
    convert: Convert | None = None
    default: dict[str, object] | None = None
    codec: str = ""


@dataclass(frozen=True, slots=True)
class Computed:
    """A column that ClickHouse computes from the others (MATERIALIZED). Never sent with an insert.

    codec: a ClickHouse codec expression, or empty.
    """

    name: str
    type: Type
    expression: str
    codec: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One destination.

    name: table name, without database.
    key: names of the *columns* that hold the partition key and, if there is one, the sort key: the ORDER BY.
    columns: in schema order; items are judged and rows are laid out in this order.
    version_column, deleted_column: the two columns of the ReplacingMergeTree.
    unmapped_column: name of the Map(String, String) column, or empty when the policy is not KEEP.
    raw_column: name of the String column that keeps the whole item as canonical DynamoDB JSON, or empty.
    drop: paths that must never be stored anywhere. On a list, a path goes on into the maps of all its elements.
    computed: MATERIALIZED columns.
    engine: ReplacingMergeTree, ReplicatedReplacingMergeTree or SharedReplacingMergeTree.
    cluster: name for ON CLUSTER, or empty.
    partition_by: an expression over key columns, or empty.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    version_column: str = "version"
    version_from: VersionFrom = VersionFrom.ZERO
    deleted_column: str = "is_deleted"
    unmapped_column: str = "_unmapped"
    unmapped_policy: UnmappedPolicy = UnmappedPolicy.KEEP
    raw_column: str = ""
    drop: tuple[Path, ...] = ()
    computed: tuple[Computed, ...] = ()
    engine: str = "ReplacingMergeTree"
    cluster: str = ""
    partition_by: str = ""

    @property
    def key_columns(self) -> tuple[Column, ...]:
        """The columns of the key, partition key first."""
        by_name = {column.name: column for column in self.columns}
        return tuple(by_name[name] for name in self.key)
