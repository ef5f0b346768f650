"""From the model of a schema file to the table: what its values mean, and whether they fit together."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from transformer.schema.codec import check_codec
from transformer.schema.ddl import free_names
from transformer.schema.defaults import DefaultError, default_value
from transformer.schema.document import Number
from transformer.schema.expression import ExpressionError, tokens
from transformer.schema.hints import did_you_mean
from transformer.schema.table import Column, Computed, Convert, Path, Table, UnmappedPolicy, VersionFrom
from transformer.schema.types import (
    JSON,
    UUID,
    Array,
    Bool,
    DateTime64,
    Decimal,
    Enum,
    Float64,
    Integer,
    LowCardinality,
    Map,
    Nullable,
    String,
    Tuple,
    Type,
    TypeSyntaxError,
    parse,
)

if TYPE_CHECKING:
    from transformer.schema.faults import Faults, Place
    from transformer.schema.model import ColumnModel, SchemaModel

MAX_DEPTH = 32
"""Maps and lists that DynamoDB puts into each other."""

_MAX_NAME_BYTES = 65_535
_MAX_TABLE_BYTES = 190
_NOT_IN_TABLES = "./\\*?{}"  # separators of databases and paths, and patterns of files, which chDB looks for
_RESERVED = ("_row_exists", "_block_number", "_block_offset")


def resolve(model: SchemaModel, faults: Faults) -> Table:
    """The table that a schema file describes. Raises SchemaError with every fault there is."""
    columns: dict[int, Column] = {}
    computed: list[Computed] = []
    for index, column in enumerate(model.columns):
        if column.materialized is None:
            resolved = _column(column, ("columns", index), faults)
            if resolved is not None:
                columns[index] = resolved
        else:
            found = _computed(column, ("columns", index), faults)
            if found is not None:
                computed.append(found)
    _check_names(model, faults)
    keep = model.unmapped.policy == "keep"
    if not keep and model.unmapped.column is not None:
        remedy = f"Remove it: policy {model.unmapped.policy} stores nothing."
        faults.add(("unmapped", "column"), "`unmapped` has a column without policy keep", remedy)
    key = _key(model, columns, faults)
    drop = _drop(model, columns, faults)
    if model.partition_by is not None and len(key) == len(model.key):
        _check_partition(model.partition_by, key, faults)
    if model.to is not None:
        _check_destination(model.to, faults)
    faults.check()
    return Table(
        name=model.table,
        key=key,
        columns=tuple(columns.values()),
        version_column=model.version.column,
        version_from=VersionFrom(model.version.from_),
        deleted_column=model.deleted.column,
        unmapped_column=(model.unmapped.column or "_unmapped") if keep else "",
        unmapped_policy=UnmappedPolicy(model.unmapped.policy),
        raw_column=model.raw.column if model.raw is not None else "",
        drop=drop,
        computed=tuple(computed),
        engine=model.engine,
        cluster=model.cluster or "",
        partition_by=model.partition_by or "",
    )


def _column(model: ColumnModel, place: Place, faults: Faults) -> Column | None:
    """A column that is read from the item, or None after noting why not."""
    type_ = _type(model, place, faults)
    path = (model.name,) if model.path is None else _path(model.path, (*place, "path"), faults)
    codec = _codec(model, place, faults)
    if type_ is None or not path:
        return None
    depth = len(path) - 1 + _depth(type_)
    if depth > MAX_DEPTH:
        what = f"column {model.name} reaches {depth} maps and lists deep"
        faults.add(place, what, f"DynamoDB nests {MAX_DEPTH}: shorten the path or the type.")
    convert = _convert(model, type_, place, faults)
    default = None
    if model.default is not None:
        try:
            default = default_value(model.default, type_, convert)
        except DefaultError as error:
            shown = model.default.text if isinstance(model.default, Number) else repr(model.default)
            remedy = (
                "Write a default that the column holds exactly, or none: then an item without the value is rejected."
            )
            if isinstance(type_, Nullable) or type_ == LowCardinality(Nullable(String())):
                remedy = f"Without `default` a missing value is NULL; with it, write type: {_without_null(type_).sql}."
            elif isinstance(type_, Array | Map):
                remedy = "Remove it: a missing array or map is an empty one."
            faults.add((*place, "default"), f"column {model.name}: default {shown} {error}", remedy)
    return Column(model.name, path, type_, convert, default, codec)


def _computed(model: ColumnModel, place: Place, faults: Faults) -> Computed | None:
    """A column that ClickHouse computes, or None after noting why not."""
    for key in ("path", "convert", "default"):
        if getattr(model, key) is not None:
            what = f"column {model.name} has both `materialized` and `{key}`"
            faults.add((*place, key), what, f"Remove `{key}`: a computed column is not read from the item.")
    type_ = _type(model, place, faults)
    codec = _codec(model, place, faults)
    expression = model.materialized or ""
    try:
        if not tokens(expression):
            raise ExpressionError("it is empty")
    except ExpressionError as error:
        what = f"column {model.name}: `materialized` is no expression: {error}"
        faults.add((*place, "materialized"), what, "Write one ClickHouse expression, as in upper(first_name).")
    return None if type_ is None else Computed(model.name, type_, expression, codec)


def _type(model: ColumnModel, place: Place, faults: Faults) -> Type | None:
    try:
        return parse(model.type)
    except TypeSyntaxError as error:
        remedy = error.remedy or "Write a type of the type table (docs/types.md), quoted if it holds a comma."
        faults.add((*place, "type"), f"column {model.name}: {error}", remedy)
        return None


def _codec(model: ColumnModel, place: Place, faults: Faults) -> str:
    fault = check_codec(model.codec) if model.codec is not None else None
    if fault is not None:
        faults.add((*place, "codec"), f"column {model.name}: codec {model.codec!r}: {fault[0]}", fault[1])
    return model.codec or ""


def _path(given: str | list[str], place: Place, faults: Faults) -> Path:
    """The steps of a path; none after noting why not."""
    path = tuple(given.split(".")) if isinstance(given, str) else tuple(given)
    if not all(path):
        remedy = 'DynamoDB has no empty names; a name that holds dots stands in a list: path: ["a.b", c].'
        faults.add(place, f"the path {given!r} has an empty step", remedy)
        return ()
    for step in path:
        if len(step.encode()) > _MAX_NAME_BYTES:
            faults.add(place, f"the name {step[:20]}... is longer than 64 KB", "DynamoDB has no such attribute.")
            return ()
    if len(path) > MAX_DEPTH + 1:
        faults.add(place, f"the path has {len(path)} steps", f"DynamoDB nests {MAX_DEPTH} maps.")
        return ()
    return path


def _convert(model: ColumnModel, type_: Type, place: Place, faults: Faults) -> Convert | None:
    """The conversion of a column: as given where DateTime64 needs it, uuid where UUID implies it."""
    given = Convert(model.convert) if model.convert is not None else None
    times, uuids = _holds(type_, DateTime64), _holds(type_, UUID)
    where = (*place, "convert")
    if times and given in (None, Convert.UUID):
        what = f"column {model.name}: {model.type} needs a conversion"
        remedy = "Add convert: epoch_s, epoch_ms or epoch_us (from N), or convert: iso8601 (from S)."
        faults.add(where, what if given is None else f"{what} to a time, not uuid", remedy)
    elif given is Convert.UUID and not uuids:
        faults.add(where, f"column {model.name}: uuid converts into UUID only, not {model.type}", "Remove `convert`.")
    elif given is not None and not times and given is not Convert.UUID:
        what = f"column {model.name}: {given.value} converts into DateTime64 only, not {model.type}"
        remedy = "Remove `convert`, or write type: DateTime64(3) (0, 3, 6 or 9 digits of a second)."
        faults.add(where, what, remedy)
    return Convert.UUID if given is None and uuids else given


def _holds(type_: Type, kind: type[Type]) -> bool:
    """Whether a type is of a kind or has a part that is."""
    return isinstance(type_, kind) or any(_holds(part, kind) for part in _parts(type_))


def _depth(type_: Type) -> int:
    """Maps and lists in each other that a value of this type needs."""
    return isinstance(type_, Array | Map | Tuple) + max((_depth(part) for part in _parts(type_)), default=0)


def _parts(type_: Type) -> tuple[Type, ...]:
    match type_:
        case Array(inner) | Map(inner) | Nullable(inner) | LowCardinality(inner):
            return (inner,)
        case Tuple(members):
            return tuple(member for _, member in members)
        case _:
            return ()


def _without_null(type_: Type) -> Type:
    match type_:
        case Nullable(inner):
            return inner
        case LowCardinality(Nullable(inner)):
            return LowCardinality(inner)
        case _:
            return type_


def table_name_faults(table: str) -> list[tuple[str, str]]:
    """Why ClickHouse would not take `table` as the name of a table, each with what to write instead."""
    escaped = sum(
        1 if character.isascii() and (character.isalnum() or character == "_") else 3 * len(character.encode())
        for character in table
    )
    found = []
    if not table:
        found.append(("the table name is empty", "Name the table."))
    if odd := sorted(character for character in set(table) if character in _NOT_IN_TABLES or character < " "):
        remedy = "Write _ for it. The database is part of the destination (--to), not of the table's name."
        found.append((f"the table name {table!r} holds {', '.join(map(repr, odd))}", remedy))
    if escaped > _MAX_TABLE_BYTES:
        remedy = (
            f"ClickHouse makes a file name of it: {_MAX_TABLE_BYTES} letters, or a third of that in other characters."
        )
        found.append(("the table name is too long", remedy))
    return found


def _check_names(model: SchemaModel, faults: Faults) -> None:
    """Names of table and columns: what ClickHouse takes, and each once."""
    for what, remedy in table_name_faults(model.table):
        faults.add(("table",), what, remedy)
    names: list[tuple[str, Place]] = [
        (column.name, ("columns", index, "name")) for index, column in enumerate(model.columns)
    ]
    names += [(model.version.column, ("version", "column")), (model.deleted.column, ("deleted", "column"))]
    if model.unmapped.policy == "keep":
        names.append((model.unmapped.column or "_unmapped", ("unmapped", "column")))
    if model.raw is not None:
        names.append((model.raw.column, ("raw", "column")))
    first: dict[str, Place] = {}
    for name, place in names:
        if "." in name or "\0" in name:
            remedy = f"Write {name.replace('.', '_')!r}, and path: for where the value stands."
            faults.add(place, f"the column name {name!r} holds a {'dot' if '.' in name else 'NUL'}", remedy)
        if name in _RESERVED:
            faults.add(place, f"ClickHouse reserves the column name {name}", "Choose another name, and path: for it.")
        if name in first:
            where = "columns" if first[name][0] == "columns" else first[name][0]
            line = faults.lines.get(first[name])
            seen = f"in line {line}" if line is not None else f"as the {where} column"
            # Of two columns that clash, the one that the file states is where the fault can be mended.
            stated = place if place in faults.lines else first[name]
            faults.add(stated, f"the column name {name!r} stands twice (also {seen})", "Rename one of them.")
        first.setdefault(name, place)


def _key(model: SchemaModel, columns: dict[int, Column], faults: Faults) -> tuple[str, ...]:
    """The columns that hold the key attributes."""
    key: list[str] = []
    for index, attribute in enumerate(model.key):
        place = ("key", index)
        if attribute in model.key[:index]:
            faults.add(place, f"the key names {attribute!r} twice", "Name the partition key, then the sort key.")
            continue
        readers = [(position, column) for position, column in columns.items() if column.path == (attribute,)]
        if not readers:
            _note_unread_key(attribute, place, model, columns, faults)
            continue
        fitting = [column for _, column in readers if _unfit_for_key(column.type) is None]
        if fitting:
            chosen = fitting[0]
            key.append(chosen.name)
            if chosen.default is not None:
                position = next(position for position, column in readers if column is chosen)
                what = f"key column {chosen.name} has a default"
                faults.add(("columns", position, "default"), what, "Remove it: every item has its key.")
            continue
        position, column = readers[0]
        reason = _unfit_for_key(column.type) or ""
        what = f"column {column.name} holds the key attribute {attribute!r}, and {reason}"
        remedy = "Write type: String for S and B keys; IntN, UIntN, Decimal(P, S) or String for N keys."
        faults.add(("columns", position, "type"), what, remedy)
    return tuple(key)


def _note_unread_key(
    attribute: str, place: Place, model: SchemaModel, columns: dict[int, Column], faults: Faults
) -> None:
    """Note that no column reads a key attribute, unless the column that should is itself at fault."""
    if any(
        column.name == attribute and column.materialized is None and index not in columns
        for index, column in enumerate(model.columns)
    ):
        return
    what = f"no column reads the key attribute {attribute!r}"
    same_name = next((column for column in columns.values() if column.name == attribute), None)
    same_steps = next((column for column in columns.values() if ".".join(column.path) == attribute), None)
    if same_steps is not None:
        remedy = (
            "Key attributes stand at the top of the item, never inside of a map. If the attribute's name holds dots, "
            f"column {same_steps.name} needs path: [{attribute!r}]."
        )
    elif same_name is not None:
        remedy = (
            f"`key` names attributes, not columns, and column {attribute} reads {'.'.join(same_name.path)!r}: write "
            "the attribute's name in `key`."
        )
    else:
        paths = [column.path[0] for column in columns.values() if len(column.path) == 1]
        near = did_you_mean(attribute, [*paths, *(column.name for column in model.columns if column.path is None)])
        remedy = f"{near} If there is none, add a column: {{name: {attribute}, type: String}}.".strip()
    faults.add(place, what, remedy)


def _unfit_for_key(type_: Type) -> str | None:
    """Why a column of this type cannot be in the key, or None if it can: two different keys must stay different."""
    match type_:
        case String() | Integer() | Decimal():
            return None
        case Nullable() | LowCardinality(Nullable()):
            return "a key is never NULL"
        case LowCardinality():
            return "a key has as many values as there are items, too many for LowCardinality"
        case Float64():
            return "Float64 makes numbers equal that differ beyond 15 digits"
        case UUID():
            return "UUID makes texts equal that differ in case"
        case DateTime64():
            return "the conversion into DateTime64 makes values equal that are written differently"
        case Bool() | Enum() | JSON():
            return f"{type_.sql} is not how a key can be held"
        case _:
            return "a key is S, N or B, never a list, set or map"


def _drop(model: SchemaModel, columns: dict[int, Column], faults: Faults) -> tuple[Path, ...]:
    """The paths to drop, none of them a path that a column needs."""
    dropped: list[Path] = []
    for index, given in enumerate(model.drop):
        place = ("drop", index)
        path = _path(given, place, faults)
        if not path:
            continue
        if path in dropped:
            faults.add(place, f"drop names {'.'.join(path)!r} twice", "Remove one of them.")
        dropped.append(path)
        if path[0] in model.key:
            what = f"drop names {'.'.join(path)!r}, which is in the key"
            faults.add(place, what, "Remove it: without its key an item cannot be stored.")
            continue
        for column in columns.values():
            if _takes_away(path, column.path, column.type):
                what = f"drop names {'.'.join(path)!r}, which column {column.name} reads"
                faults.add(place, what, "Remove the column, or the path from `drop`.")
    return tuple(dropped)


def _takes_away(dropped: Path, path: Path, type_: Type) -> bool:
    """Whether dropping a path leaves a column, or a member of its Tuple, with nothing to read."""
    if dropped == path[: len(dropped)]:
        return True
    if path != dropped[: len(path)]:
        return False
    return _member_goes(type_, dropped[len(path) :])


def _member_goes(type_: Type, steps: Path) -> bool:
    """Whether dropping `steps` below a value of this type takes away a Tuple's member."""
    match type_:
        case Array(element):
            return _member_goes(element, steps)
        case Map(value):
            return len(steps) > 1 and _member_goes(value, steps[1:])
        case Tuple(members):
            member = dict(members).get(steps[0])
            return member is not None and (len(steps) == 1 or _member_goes(member, steps[1:]))
        case _:
            return False


def _check_partition(expression: str, key: tuple[str, ...], faults: Faults) -> None:
    """A partition must be a function of the key: versions of one item in two partitions are never merged."""
    remedy = f"Use key columns only ({', '.join(key)}) and functions of them, as in intDiv(order_no, 1000000)."
    try:
        found = tokens(expression)
    except ExpressionError as error:
        faults.add(("partition_by",), f"`partition_by` is no expression: {error}", remedy)
        return
    others = sorted(free_names(found) - set(key))
    if others:
        what = f"`partition_by` depends on {', '.join(others)}: versions of one item would not be merged"
        faults.add(("partition_by",), what, remedy)


def _check_destination(to: str, faults: Faults) -> None:
    try:
        has_password = urlsplit(to).password is not None
    except ValueError:
        has_password = False
    if has_password:
        remedy = "Remove it: passwords come from the environment or a file."
        faults.add(("to",), "`to` holds a password", remedy)
