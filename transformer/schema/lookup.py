"""Which schema an export is read with: the one that was named, or the one in the folder of schema files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from transformer.errors import UsageError
from transformer.schema.table import Table

SCHEMA_FOLDER = "schemas"


def resolve_table(
    schema: Table | str | Path | None,
    *,
    name: str | None,
    table_in_export: str | None,
    export: str,
    changes: bool = False,
) -> Table:
    """The destination table: the one given, or read from the schema file given or found, under the name asked for.

    schema: a table, the path of a schema file, or None for schemas/<table>.yaml by `name` or `table_in_export`.
    name: what the destination table is to be called, or None for the name in the schema file.
    table_in_export: the table that the manifest names, or None. export: what to call the export in messages.
    changes: whether it is for changes, which need a key that is proven.
    Raises UsageError when there is no schema file, SchemaError when it is wrong.
    """
    if isinstance(schema, Table):
        table = schema
    else:
        path = _schema_file(name or table_in_export, export) if schema is None else Path(schema)
        from transformer.schema.file import load_proven_schema, load_schema

        table = load_proven_schema(path) if changes else load_schema(path)
    if name is None:
        return table
    from transformer.schema.resolve import table_name_faults

    for what, remedy in table_name_faults(name):
        raise UsageError(f"--table: {what}", remedy=remedy)
    return replace(table, name=name)


def default_path(name: str) -> Path | None:
    """schemas/<name>.yaml, or None for a name that leads out of the folder: it may come from a manifest."""
    path = Path(SCHEMA_FOLDER) / f"{name}.yaml"
    return path if path.parent == Path(SCHEMA_FOLDER) else None


def _schema_file(name: str | None, export: str) -> Path:
    """schemas/<table>.yaml for the table asked for or named in the manifest. Raises UsageError when it is not there."""
    if name is None:
        raise UsageError(
            f"{export} does not say which table it holds, so there is no schema file to look for",
            remedy="Name one with --schema FILE, or the table with --table NAME.",
        )
    path = default_path(name)
    if path is None or not path.is_file():
        raise UsageError(
            f"there is no schema file {Path(SCHEMA_FOLDER) / f'{name}.yaml'} for table {name}",
            remedy="Make one with dynamo2ch schema infer EXPORT -o FILE, or name another with --schema FILE.",
        )
    return path
