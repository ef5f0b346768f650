"""The schema file as a pydantic model: which keys there are and what each one holds.

The model checks shapes only; what the values mean, and whether they fit together, is the business of
`transformer.schema.resolve`. The descriptions serve editors (JSON Schema) and error messages alike.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, InstanceOf, WithJsonSchema

from transformer.schema.document import Number

Text = Annotated[str, Field(min_length=1)]
PathText = Text | Annotated[list[Text], Field(min_length=1)]
DefaultValue = str | bool | Annotated[InstanceOf[Number], WithJsonSchema({"type": "number"})]


class Model(BaseModel):
    """Strict: no unknown keys, no conversions between kinds of values."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ColumnModel(Model):
    """One column of the destination."""

    name: Text = Field(description="The column's name in ClickHouse. It cannot hold a dot.")
    type: Text = Field(description='The column\'s ClickHouse type, such as String or "Nullable(Decimal(10, 2))".')
    path: PathText | None = Field(
        default=None,
        description="Where the value stands in the item: names separated by dots (address.city), or a list of exact "
        "names (['weird.name', 'x y']). Without it: the attribute with exactly the column's name.",
    )
    convert: Literal["epoch_s", "epoch_ms", "epoch_us", "iso8601", "uuid"] | None = Field(
        default=None,
        description="How the value becomes a time: epoch_s, epoch_ms or epoch_us (a number of that unit since 1970), "
        "or iso8601 (text with a zone). UUID columns need none (it is always uuid).",
    )
    default: DefaultValue | None = Field(
        default=None, description="What a missing or NULL attribute becomes in a scalar column that is not Nullable."
    )
    codec: Text | None = Field(
        default=None, description="Compression of the column in ClickHouse, such as ZSTD(3) or Delta, LZ4."
    )
    materialized: Text | None = Field(
        default=None,
        description="A ClickHouse expression over other columns: the column is computed by ClickHouse (MATERIALIZED) "
        "and not read from the item.",
    )


class VersionModel(Model):
    """The version of a row."""

    column: Text = Field(default="version", description="Name of the version column (Int64, microseconds).")
    from_: Literal["zero", "export_time"] = Field(
        default="zero",
        alias="from",
        description="The version of snapshot rows: zero (every streamed change wins), or export_time (60 s before it; "
        "to load again into a live table).",
    )


class DeletedModel(Model):
    """The mark of deleted items."""

    column: Text = Field(default="is_deleted", description="Name of the column that marks tombstones (UInt8).")


class UnmappedModel(Model):
    """What happens to attributes that no column takes."""

    column: Text | None = Field(
        default=None,
        description="Name of the Map(String, String) column; only with policy keep. Without it: _unmapped.",
    )
    policy: Literal["keep", "ignore", "reject"] = Field(
        default="keep",
        description="keep (store such attributes as DynamoDB JSON), ignore (lose them), reject (reject their items).",
    )


class RawModel(Model):
    """The whole item."""

    column: Text = Field(
        default="_raw", description="Name of the String column that keeps the whole item as DynamoDB JSON."
    )


class SchemaModel(Model):
    """How one DynamoDB table becomes one ClickHouse table."""

    table: Text = Field(description="Name of the ClickHouse table, without its database.")
    key: Annotated[list[Text], Field(min_length=1, max_length=2)] = Field(
        description="The key attributes of the DynamoDB table: partition key [, sort key], as in key: [id]."
    )
    columns: Annotated[list[ColumnModel], Field(min_length=1)] = Field(
        description="The columns: a list of {name: ..., type: ...}."
    )
    version: VersionModel = Field(
        default=VersionModel(), description="The version column: {column: version, from: zero}."
    )
    deleted: DeletedModel = Field(default=DeletedModel(), description="The column of tombstones: {column: is_deleted}.")
    unmapped: UnmappedModel = Field(
        default=UnmappedModel(), description="Attributes without a column: {column: _unmapped, policy: keep}."
    )
    raw: RawModel | None = Field(default=None, description="Keep the whole item: {column: _raw}.")
    drop: list[PathText] = Field(default=[], description="A list of paths that must never be stored anywhere.")
    engine: Literal["ReplacingMergeTree", "ReplicatedReplacingMergeTree", "SharedReplacingMergeTree"] = Field(
        default="ReplacingMergeTree",
        description="The table engine: ReplacingMergeTree, ReplicatedReplacingMergeTree or SharedReplacingMergeTree.",
    )
    cluster: Text | None = Field(default=None, description="Cluster on which the table is created (ON CLUSTER).")
    partition_by: Text | None = Field(
        default=None, description="A ClickHouse expression over key columns only, such as intDiv(order_no, 1000000)."
    )
    source: Text | None = Field(default=None, description="Where the exports of the table are: a path or URL.")
    stream: Text | None = Field(default=None, description="The Kinesis stream of the table: a name or ARN.")
    to: Text | None = Field(
        default=None, description="The destination: chdb:///dir or http(s)://user@host:port/database."
    )


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of schema files, for editors."""
    schema = SchemaModel.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "dynamo2ch schema file",
    }
