"""The SELECT of the view that decodes records: see `transformer.schema.landing` for where it stands.

It is a chain of subqueries, each of which computes columns that the next one uses by name. Within one SELECT the
planner copies an expression into every place that mentions its alias, across subqueries it does not, and every insert
pays for the planning: 200 columns of mixed types took 7 s an insert column by column, and 1 s with all that are alike
made by one expression over an array.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from transformer.schema.expression import quote_identifier, quote_string
from transformer.schema.landing_item import Drops, consumed, is_total
from transformer.schema.landing_text import NONE, Expressions, is_complete, is_complex, one_tag, repeats
from transformer.schema.landing_value import Finished, Kind, Values, is_scalar, kind_of, pair
from transformer.schema.layout import row_columns, takes_null
from transformer.schema.table import UnmappedPolicy
from transformer.schema.types import JSON, Nullable

if TYPE_CHECKING:
    from transformer.schema.landing_item import Reader
    from transformer.schema.table import Column, Convert, Path, Table
    from transformer.schema.types import Type

RECORD = (
    "Tuple(eventName String, tableName String, dynamodb Tuple(ApproximateCreationDateTime UInt64, "
    "Keys Map(String, String), NewImage Map(String, String)))"
)
"""What is read of a record, in one parse. A Map keeps names that stand twice, and its values stay JSON."""

_OLDEST_MS = 100_000_000_000
_FIRST_US = 100_000_000_000_000
_LATEST = (1 << 63) - 1
_SHARED = 3
"""From so many columns of one type on, one expression makes the values of all of them."""

_Shape = tuple["Type", "Convert | None"]
_NO_STRINGS = "CAST([] AS Array(String))"


class DecodeView:
    """Makes the SELECT for one destination.

    depth: maps and lists inside one another that are written as JSON text.
    source_table: the table that the records of a stream name; empty if the input are items of an export.
    version: of the rows, where the input are items.
    outputs: the output columns of errors, record, sequence number and arrival.
    """

    def __init__(
        self, table: Table, *, depth: int, outputs: tuple[str, str, str, str], source_table: str = "", version: int = 0
    ) -> None:
        self._table = table
        self._depth = depth
        self._source = source_table
        self._version = version
        self._outputs = outputs
        prefix = "v"
        while any(column.name.startswith(prefix) for column in row_columns(table)):
            prefix += "_"
        self._prefix = prefix
        self._sql = Expressions(prefix, twice=bool(source_table))
        self._query = ""
        self._faults: list[tuple[str, str]] = []

    def _c(self, name: str) -> str:
        """The name of an inner column."""
        return f"{self._prefix}_{name}"

    def _layer(self, computed: dict[str, str]) -> None:
        """Put a subquery around the query: all that it gives, and what is computed here."""
        if computed:
            lines = "".join(f",\n    {sql} AS {self._c(name)}" for name, sql in computed.items())
            self._query = f"SELECT *{lines}\nFROM (\n{self._query}\n)"

    def select(self, source: str) -> str:
        """The statement. source: SQL of what it reads: the landing table with its columns, or a table with the column
        `item`, which holds what stands behind "Item" in a line of an export."""
        c = self._c
        if self._source:
            self._records(source)
        else:
            self._items(source)
        dropped = Drops(self._sql, self._table.drop).image(c("whole"))
        self._layer({"kept": dropped, "gone": f"toUInt8({c('event')} = 'REMOVE')", "broken": self._record_fault()})
        time = c("time")
        version = (
            f"toInt64({time} * if({time} < {_FIRST_US}, 1000, 1))" if self._source else f"toInt64({self._version})"
        )
        image = f"if({c('gone')}, CAST(map() AS Map(String, String)), {c('kept')})"
        self._layer({"image": image, "version": f"toInt64({version})"})
        self._open_maps()
        self._gather()
        self._finish()
        # The setting wins over those of an insert; without it older servers read some decimals one bit off.
        return f"{self._query}\nSETTINGS precise_float_parsing = 1"

    def _records(self, landing: str) -> None:
        """The innermost subqueries for records."""
        c = self._c
        self._query = (
            f"SELECT\n    raw AS {c('raw')},\n    sequence_number AS {c('sequence')},\n    arrival AS {c('arrival')},\n"
            f"    JSONExtract(raw, {quote_string(RECORD)}) AS {c('record')}\nFROM {landing}"
        )
        inner = f"tupleElement({c('record')}, 3)"
        self._layer({
            "event": f"tupleElement({c('record')}, 1)",
            "source": f"tupleElement({c('record')}, 2)",
            "time": f"tupleElement({inner}, 1)",
            "keys": f"tupleElement({inner}, 2)",
            "whole": f"tupleElement({inner}, 3)",
        })  # fmt: skip
        # A record without a table name is damaged, and nobody else would keep it.
        self._query += f"\nWHERE {c('source')} IN ('', {quote_string(self._source)})"

    def _items(self, source: str) -> None:
        """The innermost subqueries for items of an export."""
        c = self._c
        self._query = (
            f"SELECT\n    item AS {c('raw')},\n    '' AS {c('sequence')},\n    now64(3) AS {c('arrival')},\n"
            f"    JSONExtract(item, 'Map(String, String)') AS {c('whole')}\nFROM {source}"
        )
        self._layer({"event": "'INSERT'", "keys": c("whole")})

    def _record_fault(self) -> str:
        """Why a record as such cannot become a row, or nothing."""
        c = self._c
        if not self._source:
            names = repeats(f"mapKeys({c('whole')})")
            whole = f"isValidJSON({c('raw')}) AND startsWith(trimLeft({c('raw')}), '{{')"
            return f"multiIf(NOT ({whole}), 'record', {names}, 'duplicate name', '')"
        names, keys = repeats(f"mapKeys({c('whole')})"), repeats(f"mapKeys({c('keys')})")
        time = c("time")
        return (
            f"multiIf(NOT isValidJSON({c('raw')}) OR {c('event')} NOT IN ('INSERT', 'MODIFY', 'REMOVE') "
            f"OR {c('source')} = '', 'record', {time} < {_OLDEST_MS} OR {time} > {_LATEST}, 'version', "
            f"{names} OR {keys}, 'duplicate name', '')"
        )

    def _open_maps(self) -> None:
        """The maps on the paths of columns, level by level: `m<number>` holds the members, `f<number>` a fault."""
        paths = {column.path[:end] for column in self._table.columns for end in range(1, len(column.path))}
        self._maps: dict[Path, int] = {
            path: number for number, path in enumerate(sorted(paths, key=lambda p: (len(p), p)))
        }
        for level in range(1, max(map(len, paths), default=0) + 1):
            here = [path for path in self._maps if len(path) == level]
            self._layer({f"x{self._maps[path]}": self._raw(path) for path in here})
            opened: dict[str, str] = {}
            for path in here:
                value = self._c(f"x{self._maps[path]}")
                opened[f"m{self._maps[path]}"] = f"JSONExtract({value}, 'M', 'Map(String, String)')"
            self._layer(opened)
            for path in here:
                value, held = self._c(f"x{self._maps[path]}"), self._c(f"m{self._maps[path]}")
                names = repeats(f"mapKeys({held})")
                shape = f"startsWith({value}, '{{\"M\":{{') AND {one_tag(value)} AND NOT {names}"
                bad = f"{value} NOT IN {NONE} AND NOT ({shape})"
                self._faults.append((f"path {json.dumps(path, ensure_ascii=False)}", bad))

    def _raw(self, path: Path) -> str:
        """The raw value at a path."""
        held = self._c("image") if len(path) == 1 else self._c(f"m{self._maps[path[:-1]]}")
        return f"{held}[{quote_string(path[-1])}]"

    def _column_raw(self, column: Column) -> str:
        """The raw value of a column, or its default where there is none."""
        if column.name in self._table.key:
            return f"{self._c('keys')}[{quote_string(column.path[0])}]"
        raw = self._raw(column.path)
        if column.default is None or takes_null(column.type):
            return raw
        default = _as_written(column.default, twice=bool(self._source))
        return f"if({raw} IN {NONE} AND NOT {self._c('gone')}, {quote_string(default)}, {raw})"

    def _gather(self) -> None:
        """Raw values by kind, JSON texts, and what is prepared of them."""
        c, sql, table = self._c, self._sql, self._table
        self._groups: dict[Kind, list[Column]] = {}
        self._walked: dict[_Shape, list[Column]] = {}
        self._shapes: dict[_Shape, list[Column]] = {}
        for column in table.columns:
            shape = (column.type, column.convert)
            if is_scalar(column.type):
                self._groups.setdefault(kind_of(*shape), []).append(column)
                self._shapes.setdefault(shape, []).append(column)
            else:
                self._walked.setdefault(shape, []).append(column)
        self._kinds = sorted(self._groups)
        raws = {
            f"r{number}": f"[{', '.join(map(self._column_raw, self._groups[kind]))}]"
            for number, kind in enumerate(self._kinds)
        }
        raws |= {
            f"w{number}": f"[{', '.join(map(self._column_raw, columns))}]"
            for number, columns in enumerate(self._walked.values())
        }
        self._layer(raws)
        gathered = {"left": self._unmapped_names()}
        values = Values(sql, None, "")
        parts = [
            f"arrayFlatten({sql.each([c(f'w{number}')], lambda raw, type_=type_: values.complex_parts(type_, raw))})"
            for number, (type_, _) in enumerate(self._walked)
            if values.has_text(type_)
        ]
        gathered["parts"] = f"arrayDistinct(arrayConcat({', '.join(parts)}))" if parts else _NO_STRINGS
        self._layer(gathered)
        self._write_json()

    def _unmapped_names(self) -> str:
        """Names of the attributes of which some value goes into no column."""
        table, c = self._table, self._c
        if table.unmapped_policy is UnmappedPolicy.IGNORE:
            return _NO_STRINGS
        readers: dict[str, list[Reader]] = {}
        for column in table.columns:
            readers.setdefault(column.path[0], []).append((column.path[1:], column.type))
        for column in table.columns:
            if column.type == Nullable(JSON()):
                readers.pop(column.path[0], None)  # that column is not exact
        totals = [name for name, found in readers.items() if is_total(found)]

        def whole(key: str, value: str) -> str:
            cases = [f"{key} IN ({', '.join(map(quote_string, totals))}), 0"] if totals else []
            cases += [
                f"{key} = {quote_string(name)}, NOT {consumed(self._sql, found, value)}"
                for name, found in readers.items()
                if name not in totals
            ]
            return f"multiIf({', '.join(cases)}, 1)" if cases else "1"

        key, value = self._sql.name(), self._sql.name()
        return f"arraySort(mapKeys(mapFilter(({key}, {value}) -> {whole(key, value)}, {c('image')})))"

    def _write_json(self) -> None:
        """One array of all values that are written as JSON, so that the converter stands in the statement once."""
        c, sql, table = self._c, self._sql, self._table
        # What needs JSON text: (raw values, whether with tags), in this order in one array.
        sources: list[tuple[str, str, str]] = []
        for number, kind in enumerate(self._kinds):
            if kind.name in ("text", "map"):
                columns = self._groups[kind]
                complex_ = sql.each([c(f"r{number}")], lambda x: f"if({is_complex(x)}, {x}, '')")
                if not all(column.name in table.key for column in columns):
                    sources.append((kind.name, complex_, "0"))
        if any(Values(sql, None, "").has_text(type_) for type_, _ in self._walked):
            sources.append(("parts", c("parts"), "0"))
        self._all_names = c("left")
        if table.raw_column:
            self._all_names = f"arraySort(mapKeys({c('image')}))"
        if table.raw_column or table.unmapped_policy is UnmappedPolicy.KEEP:
            image = c("image")
            sources.append(("typed", sql.each([self._all_names], lambda key: f"{image}[{key}]"), "1"))
        if not sources:
            self._layer(self._prepare({}))
            return
        flags = [f"arrayMap({self._prefix}_any -> {flag}, {c(f'j_{name}')})" for name, _, flag in sources]
        self._layer({f"j_{name}": array for name, array, _ in sources})
        joined = ", ".join(c(f"j_{name}") for name, _, _ in sources)
        converted = sql.each(
            [f"arrayConcat({', '.join(flags)})", f"arrayConcat({joined})"],
            lambda tags, value: f"if({value} = '', '', {sql.json(tags, value, self._depth)})",
        )
        self._layer({"json": converted})
        slices: dict[str, str] = {}
        before = "0"
        for name, _, _ in sources:
            slices[f"t_{name}"] = f"arraySlice({c('json')}, {before} + 1, length({c(f'j_{name}')}))"
            before += f" + length({c(f'j_{name}')})"
        self._layer(slices)
        self._layer(self._prepare({name: c(f"t_{name}") for name, _, _ in sources}))

    def _prepare(self, texts: dict[str, str]) -> dict[str, str]:
        """The prepared values, and the map of JSON texts inside of other columns."""
        c, sql = self._c, self._sql
        values = Values(sql, None, c("texts"))
        prepared: dict[str, str] = {}
        for number, kind in enumerate(self._kinds):
            raws = c(f"r{number}")
            if kind.name in ("text", "map"):
                found = texts.get(kind.name, sql.each([raws], lambda _: "''"))
                prepared[f"p{number}"] = sql.each(
                    [raws, found], lambda value, text, kind=kind: values.prepare(kind, value, text)
                )
            else:
                prepared[f"p{number}"] = sql.each([raws], lambda value, kind=kind: values.prepare(kind, value))
        prepared["texts"] = f"mapFromArrays({c('parts')}, {texts.get('parts', c('parts'))})"
        if "typed" in texts:
            prepared["typed"] = f"mapFromArrays({self._all_names}, {texts['typed']})"
        return prepared

    def _finish(self) -> None:
        """Values of all columns, then their names."""
        c, sql, table = self._c, self._sql, self._table
        made = {
            f"z{number}": sql.each(
                [c(f"w{number}")],
                lambda raw, shape=shape: Values(sql, shape[1], c("texts")).walk(shape[0], raw),
            )
            for number, shape in enumerate(self._walked)
        }
        for number, (shape, columns) in enumerate(self._shapes.items()):
            if len(columns) >= _SHARED:
                prepared = f"[{', '.join(map(self._prepared, columns))}]"
                values = Values(sql, shape[1], "")
                made[f"s{number}"] = sql.each(
                    [prepared], lambda text, values=values, shape=shape: pair(values.finish(shape[0], text))
                )
        self._layer(made)
        computed: dict[str, str] = {}
        outputs: dict[str, str] = {}
        for number, column in enumerate(table.columns):
            found = self._finished(column)
            spelled = quote_string(column.type.sql)
            value = f"CAST({found.value} AS {column.type.sql})"
            if column.name not in table.key:
                value = f"if({c('gone')}, defaultValueOfTypeName({spelled}), {value})"
            computed[f"c{number}"] = value
            outputs[column.name] = c(f"c{number}")
            self._faults.append((f"column {column.name}", self._fault(column, found)))
        outputs[table.version_column] = c("version")
        outputs[table.deleted_column] = c("gone")
        self._typed(computed, outputs)
        errors = [f"{c('broken')}", *(f"if({bad}, {quote_string(text)}, '')" for text, bad in self._faults)]
        listed = ",\n        ".join(errors)
        value = self._sql.name()
        computed["errors"] = f"arrayFilter({value} -> {value} != '', [\n        {listed}])"
        computed["safe"] = self._safe_record()
        self._layer(computed)
        outputs |= zip(self._outputs, (c("errors"), c("safe"), c("sequence"), c("arrival")), strict=True)
        lines = ",\n".join(f"    {sql} AS {quote_identifier(name)}" for name, sql in outputs.items())
        self._query = f"SELECT\n{lines}\nFROM (\n{self._query}\n)"

    def _finished(self, column: Column) -> Finished:
        """The column's value and fault, from where they were computed."""
        shape = (column.type, column.convert)
        if shape in self._walked:
            columns, made = self._walked[shape], f"z{list(self._walked).index(shape)}"
        else:
            columns, made = self._shapes[shape], f"s{list(self._shapes).index(shape)}"
            if len(columns) < _SHARED:
                return Values(self._sql, column.convert, "").finish(column.type, self._prepared(column))
        found = f"arrayElement({self._c(made)}, {columns.index(column) + 1})"
        return Finished(f"tupleElement({found}, 1)", f"tupleElement({found}, 2)")

    def _prepared(self, column: Column) -> str:
        """Where a scalar column's prepared value stands."""
        kind = kind_of(column.type, column.convert)
        return f"arrayElement({self._c(f'p{self._kinds.index(kind)}')}, {self._groups[kind].index(column) + 1})"

    def _fault(self, column: Column, found: Finished) -> str:
        c = self._c
        if column.name not in self._table.key:
            return f"NOT {c('gone')} AND ({found.bad})"
        attribute = quote_string(column.path[0])
        key = f"{c('keys')}[{attribute}]"
        # A key is S, N or B, and the same in the keys and in the image.
        differs = f"NOT {c('gone')} AND {c('image')}[{attribute}] != {key}"
        return f"({found.bad}) OR NOT match({key}, '^\\\\{{\"[SNB]\":') OR {differs}"

    def _typed(self, computed: dict[str, str], outputs: dict[str, str]) -> None:
        """`_unmapped` and `_raw`, and what cannot be in them."""
        c, sql, table = self._c, self._sql, self._table
        if table.unmapped_policy is UnmappedPolicy.REJECT:
            self._faults.append(("unmapped attribute", f"notEmpty({c('left')})"))
        typed = c("typed")
        if table.unmapped_policy is UnmappedPolicy.KEEP or table.raw_column:
            bad = sql.each([f"mapValues({typed})"], lambda text: f"NOT {is_complete(text)}", "arrayExists")
            self._faults.append((f"deeper than {self._depth} maps and lists, or no value", bad))
        if table.unmapped_policy is UnmappedPolicy.KEEP:
            left = c("left")
            texts = sql.each([left], lambda key: f"{typed}[{key}]")
            computed["unmapped"] = f"mapFromArrays({left}, {texts})"
            outputs[table.unmapped_column] = c("unmapped")
        if table.raw_column:
            entries = sql.each(
                [f"mapKeys({typed})", f"mapValues({typed})"],
                lambda key, text: f"concat({sql.quoted(key)}, ':', {text})",
            )
            whole = f"concat('{{', arrayStringConcat({entries}, ','), '}}')"
            computed["item"] = f"if({c('gone')}, '', {whole})"
            outputs[table.raw_column] = c("item")

    def _safe_record(self) -> str:
        """The record for the dead letters; where the schema drops something, written anew without it."""
        c, sql = self._c, self._sql
        if not self._table.drop:
            raw = c("raw")
            # What begins with ! is a whole line that is no item of an export: see `landing.server_statements`.
            line = f"if(startsWith({raw}, '!'), substring({raw}, 2), concat('{{\"Item\":', {raw}, '}}'))"
            return raw if self._source else line

        def members(map_: str) -> str:
            entries = sql.each(
                [f"mapKeys({map_})", f"mapValues({map_})"],
                lambda key, value: f"concat({sql.quoted(key)}, ':', {value})",
            )
            return f"'{{', arrayStringConcat({entries}, ','), '}}'"

        if not self._source:
            return f"if({c('broken')} = 'record', '', concat('{{\"Item\":', {members(c('kept'))}, '}}'))"
        return (
            f"if({c('broken')} = 'record', '', concat('{{\"eventName\":\"', {c('event')}, '\",\"tableName\":', "
            f'{sql.let([c("source")], sql.quoted)}, \',"dynamodb":{{"ApproximateCreationDateTime":\', '
            f"toString({c('time')}), ',\"Keys\":', {members(c('keys'))}, "
            f"if({c('gone')}, '', concat(',\"NewImage\":', {members(c('kept'))})), '}}}}'))"
        )


def _as_written(default: dict[str, object], *, twice: bool) -> str:
    """A default as the input would hold it: compact, and in records with binaries encoded once more."""
    (tag, value), *_ = default.items()
    if tag == "B" and twice:
        value = base64.b64encode(str(value).encode()).decode()
    return json.dumps({tag: value}, ensure_ascii=False, separators=(",", ":"))
