"""The slow twin: what decoding means, said in the plainest way. Every kernel is tested against it.

A line goes through `read_item` or `read_change` (UTF-8, JSON, types, values), then the columns take from the item what
is theirs, in schema order. Each column collects all its faults and reports the one at the lowest offset, because that
is the rule; nothing here is arranged for speed.
"""

from __future__ import annotations

import math
import re
import uuid
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal as Exact
from typing import TYPE_CHECKING, Any

from transformer.decode.envelope import WRITE_TIME, Envelope
from transformer.decode.position import Every, Step, path_at, path_text
from transformer.decode.reference_change import keys_agree, type_default
from transformer.decode.reference_item import (
    Change,
    Item,
    Value,
    canonical,
    canonical_map,
    drop_path,
    json_text,
    plain,
    read_change,
    read_item,
    tagged,
)
from transformer.decode.reference_json import FaultError
from transformer.errors import InternalError, RejectCode, Verdict
from transformer.schema.table import Convert, UnmappedPolicy
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
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from transformer.schema.table import Column, Path, Table

Row = dict[str, object]
"""One row by column name, in insert order.

String, LowCardinality, JSON, `_raw` → bytes; Enum → str; UUID → uuid.UUID; DateTime64 → int ticks; Integer → int;
Decimal → decimal.Decimal; Float64 → float; Bool → bool; Array → list; Tuple → dict in member order; Map, `_unmapped` →
list of (key bytes, value) sorted by key; NULL → None; version and is_deleted → int.
"""


class Reference:
    """Decodes lines into rows of one table, slowly."""

    def __init__(self, table: Table, *, version: int = 0, envelope: Envelope = Envelope.ITEM) -> None:
        """table: the resolved destination; version: what items of a full export get; envelope: the kind of lines.

        Raises InternalError if the table holds what a schema file cannot: a DateTime64 without a conversion, a default
        that its own column does not take.
        """
        self._table = table
        self._version = version
        self._envelope = envelope
        self._columns = [_ColumnReader(column, key=column.name in table.key) for column in table.columns]
        self._readers: dict[str, list[_Reader]] = {}
        for column in table.columns:
            self._readers.setdefault(column.path[0], []).append((column.path[1:], column.type))
        self._never_consumed = {column.path[0] for column in table.columns if column.type == Nullable(JSON())}

    def judge(self, line: bytes) -> Row | Verdict | None:
        """The row that `line` becomes, or why it becomes none; None if the line is blank.

        line: the bytes up to, not including, the newline.
        """
        if not line.strip(b" \t\r"):
            return None
        try:
            if self._envelope is Envelope.CHANGE:
                return self._change(read_change(line))
            item = read_item(line)
            return self._row(item, item, lambda: self._version)
        except FaultError as fault:
            path = fault.path or path_at(line, fault.offset, self._table.drop)
            return Verdict(fault.code, fault.offset, path, fault.column)

    def _change(self, change: Change) -> Row:
        """The row of a change: that of its new image, or a tombstone; with the time of the write as version.

        The key columns are read from Keys, the only place where a deletion has them.
        """
        table = self._table
        if change.image is not None:
            row = self._row(change.image, change.keys, lambda: self._write_time(change.metadata))
        else:
            row = {
                reader.column.name: reader.read(change.keys) if reader.key else type_default(reader.column.type)
                for reader in self._columns
            }
            row[table.version_column] = self._write_time(change.metadata)
            row[table.deleted_column] = 1
            if table.unmapped_policy is UnmappedPolicy.KEEP:
                row[table.unmapped_column] = []
            if table.raw_column:
                row[table.raw_column] = b""
        if not keys_agree(change, {column.path[0] for column in table.key_columns}):
            raise FaultError(RejectCode.KEYS_DIFFER, change.keys.offset)
        return row

    def _write_time(self, metadata: Item) -> int:
        column = self._table.version_column
        value = metadata.members.get(WRITE_TIME)
        if value is None:
            raise FaultError(RejectCode.MISSING, metadata.offset, path=WRITE_TIME, column=column)
        try:
            if value.tag == "NULL":
                raise _UnfitError(RejectCode.NULL_VALUE)
            _expect(value, "N")
            micros = _scaled(_number(value), 0)
            if not 0 <= micros < 2**63:
                raise _UnfitError(RejectCode.OUT_OF_RANGE)
        except _UnfitError as unfit:
            raise FaultError(unfit.code, value.offset, column=column) from None
        return micros

    def _row(self, item: Item, keys: Item, version: Callable[[], int]) -> Row:
        """The row of `item`, its key columns read from `keys`."""
        table = self._table
        for path in table.drop:
            drop_path(item.members, path)
        row: Row = {reader.column.name: reader.read(keys if reader.key else item) for reader in self._columns}
        row[table.version_column] = version()
        left = [name for name, value in item.members.items() if not self._is_consumed(name, value)]
        if left and table.unmapped_policy is UnmappedPolicy.REJECT:
            raise FaultError(RejectCode.UNMAPPED, item.name_offsets[left[0]])
        row[table.deleted_column] = 0
        if table.unmapped_policy is UnmappedPolicy.KEEP:
            row[table.unmapped_column] = sorted(
                (name.encode(), canonical(item.members[name]).encode()) for name in left
            )
        if table.raw_column:
            row[table.raw_column] = canonical_map(item.members).encode()
        return row

    def _is_consumed(self, name: str, value: Value) -> bool:
        """Whether every value of a top-level attribute went into a column. With Nullable(JSON) on it or under it:
        never, whatever other columns read, because that column is not exact."""
        return name not in self._never_consumed and _is_consumed(value, self._readers.get(name, []))


_Reader = tuple["Path", Type]
"""A column, or a part of one, seen from some value: the steps still to go, and the type it takes there."""


def _is_consumed(value: Value, readers: Sequence[_Reader]) -> bool:
    """Whether all that `value` holds goes into columns, given those that take something at it or below it.

    They count together: members taken by different columns make their map consumed.
    """
    if not readers:
        return False
    at = [_without_null(type_) for path, type_ in readers if not path]
    if value.tag == "NULL" or any(not isinstance(type_, Array | Map | Tuple) for type_ in at):
        return True
    if value.tag == "M":
        for name, member in value.members.items():
            below: list[_Reader] = [(path[1:], type_) for path, type_ in readers if path and path[0] == name]
            below += [((), type_.value) for type_ in at if isinstance(type_, Map)]
            below += [
                ((), inner) for type_ in at if isinstance(type_, Tuple) for key, inner in type_.members if key == name
            ]
            if not _is_consumed(member, below):
                return False
        return True
    elements: list[_Reader] = [((), type_.element) for type_ in at if isinstance(type_, Array)]
    return all(_is_consumed(element, elements) for element in value.elements)


def _without_null(type_: Type) -> Type:
    return type_.inner if isinstance(type_, Nullable) else type_


@dataclass(slots=True)
class _Found:
    """A fault in a column, before it is known to be the lowest.

    rank: the positions of Tuple members on the way, which decide between faults at one offset (missing members).
    """

    offset: int
    rank: tuple[int, ...]
    code: RejectCode
    path: str = ""


class _UnfitError(Exception):
    """A scalar does not fit its column; the place is known to the caller."""

    def __init__(self, code: RejectCode) -> None:
        super().__init__(code)
        self.code = code


class _ColumnReader:
    """Takes one column's value from items."""

    def __init__(self, column: Column, *, key: bool) -> None:
        self.column = column
        self.key = key
        self._default: object = None
        if column.convert in (None, Convert.UUID) and _holds_time(column.type):
            raise InternalError(f"column {column.name}: DateTime64 without a conversion from numbers or text")
        if column.default is not None:
            try:
                self._default = self.scalar(_without_null(column.type), tagged(column.default))
            except (FaultError, _UnfitError) as error:
                raise InternalError(f"column {column.name} does not take its own default") from error

    def read(self, item: Item) -> object:
        """The column's value. Raises FaultError, the one at the lowest offset."""
        found: list[_Found] = []
        value = self._walk(item)
        if self.column.default is not None and _is_null(value) and not _takes_null(self.column.type):
            return self._default
        result = _Filling(self, item.offset, found).fill(self.column.type, value, self.column.path, ())
        if found:
            first = min(found, key=lambda fault: (fault.offset, fault.rank))
            raise FaultError(first.code, first.offset, path=first.path, column=self.column.name)
        return result

    def _walk(self, item: Item) -> Value | None:
        """The value at the column's path; None if it, or a map on the way, is missing or NULL."""
        value = item.members.get(self.column.path[0])
        for name in self.column.path[1:]:
            if value is None or value.tag == "NULL":
                return None
            if value.tag != "M":
                raise FaultError(RejectCode.NOT_A_MAP, value.offset, column=self.column.name)
            value = value.members.get(name)
        return value

    def scalar(self, type_: Type, value: Value) -> object:
        """A value that is there and not NULL, in a type without parts. Raises _UnfitError."""
        match type_:
            case LowCardinality(inner):
                return self.scalar(_without_null(inner), value)
            case String():
                return _string(value, key=self.key)
            case Integer():
                number = _scaled(_number(value), 0)
                if not type_.minimum <= number <= type_.maximum:
                    raise _UnfitError(RejectCode.OUT_OF_RANGE)
                return number
            case Decimal(precision, scale):
                number = _scaled(_number(value), scale)
                if abs(number) >= 10**precision:
                    raise _UnfitError(RejectCode.OUT_OF_RANGE)
                return Exact(f"{number}E-{scale}")
            case Float64():
                return _double(_number(value))
            case Bool():
                _expect(value, "BOOL")
                return value.flag
            case Enum():
                _expect(value, "S")
                if value.text not in (name for name, _ in type_.members):
                    raise _UnfitError(RejectCode.UNKNOWN_ENUM)
                return value.text
            case UUID():
                _expect(value, "S")
                if not _UUID.fullmatch(value.text):
                    raise _UnfitError(RejectCode.BAD_CONVERT)
                return uuid.UUID(value.text)
            case DateTime64():
                ticks = _ticks(type_, self.column.convert, value)
                if not type_.minimum <= ticks <= type_.maximum:
                    raise _UnfitError(RejectCode.OUT_OF_RANGE)
                return ticks
            case JSON():
                _expect(value, "M")
                return json_text(value).encode()
            case _:
                raise InternalError(f"no rule for a column of type {type_.sql}")


@dataclass(slots=True)
class _Filling:
    """One column of one item on its way: collects every fault met.

    brace: offset of the Item map, where missing values are reported.
    """

    reader: _ColumnReader
    brace: int
    found: list[_Found] = field(default_factory=list)

    def fill(self, type_: Type, value: Value | None, steps: Sequence[Step], rank: tuple[int, ...]) -> object:
        """`value` (None: missing) as a value of `type_`. Faults go to `found`; the result then means nothing.

        steps: the declared path of this part of the column. rank: the Tuple member positions on the way.
        """
        if _is_null(value) and _takes_null(type_):
            return None
        match _without_null(type_):
            case Array(element):
                return self._array(element, value, steps, rank)
            case Map(inner):
                return self._map(inner, value, steps, rank)
            case Tuple(members):
                return self._tuple(members, value, steps, rank)
            case scalar:
                if value is None:
                    return self._fault(RejectCode.MISSING, self.brace, rank, path_text(steps))
                if value.tag == "NULL":
                    return self._fault(RejectCode.NULL_VALUE, value.offset, rank)
                try:
                    return self.reader.scalar(scalar, value)
                except _UnfitError as unfit:
                    return self._fault(unfit.code, value.offset, rank)

    def _fault(self, code: RejectCode, offset: int, rank: tuple[int, ...], path: str = "") -> object:
        """Note a fault, and return what stands in for the value that is not to be had."""
        self.found.append(_Found(offset, rank, code, path))
        return None

    def _array(self, element: Type, value: Value | None, steps: Sequence[Step], rank: tuple[int, ...]) -> object:
        if value is None or value.tag == "NULL":
            return []
        if value.tag not in ("L", "SS", "NS", "BS"):
            return self._fault(RejectCode.WRONG_TAG, value.offset, rank)
        faults = len(self.found)
        filled = [self.fill(element, part, (*steps, Every.ELEMENT), rank) for part in value.elements]
        if value.tag == "L" or len(self.found) > faults:
            return filled
        return sorted(filled, key=_set_order)  # one scalar type, so comparable

    def _map(self, inner: Type, value: Value | None, steps: Sequence[Step], rank: tuple[int, ...]) -> object:
        if value is None or value.tag == "NULL":
            return []
        if value.tag != "M":
            return self._fault(RejectCode.WRONG_TAG, value.offset, rank)
        steps = (*steps, Every.VALUE)
        entries = [(name.encode(), self.fill(inner, part, steps, rank)) for name, part in value.members.items()]
        return sorted(entries, key=lambda entry: entry[0])

    def _tuple(
        self, members: Sequence[tuple[str, Type]], value: Value | None, steps: Sequence[Step], rank: tuple[int, ...]
    ) -> object:
        if value is not None and value.tag not in ("M", "NULL"):
            return self._fault(RejectCode.WRONG_TAG, value.offset, rank)
        present = {} if value is None else value.members
        return {
            name: self.fill(inner, present.get(name), (*steps, name), (*rank, index))
            for index, (name, inner) in enumerate(members)
        }


def _is_null(value: Value | None) -> bool:
    return value is None or value.tag == "NULL"


def _takes_null(type_: Type) -> bool:
    return isinstance(type_, Nullable) or (isinstance(type_, LowCardinality) and isinstance(type_.inner, Nullable))


def _holds_time(type_: Type) -> bool:
    match type_:
        case DateTime64():
            return True
        case Nullable(inner) | Array(inner) | Map(inner):
            return _holds_time(inner)
        case Tuple(members):
            return any(_holds_time(member) for _, member in members)
        case _:
            return False


def _set_order(result: Any) -> Any:
    """Where a set element stands in its Array: by its value; a name of an Enum by its bytes, as strings are."""
    return result.encode() if isinstance(result, str) else result


def _expect(value: Value, tag: str) -> None:
    if value.tag != tag:
        raise _UnfitError(RejectCode.WRONG_TAG)


def _string(value: Value, *, key: bool) -> bytes:
    """What a String column holds. A key must be injective, so it takes no JSON text."""
    match value.tag:
        case "S":
            return value.text.encode()
        case "N":
            return (plain(value.text) or "").encode()
        case "B":
            return value.data
        case _ if key:
            raise _UnfitError(RejectCode.WRONG_TAG)
        case _:
            return json_text(value).encode()


def _number(value: Value) -> str:
    """The plain text of the number that an N is, or that an S is if it is written exactly so."""
    text = plain(value.text)
    if value.tag == "N" and text is not None:
        return text
    _expect(value, "S")
    if text != value.text:
        raise _UnfitError(RejectCode.NOT_PLAIN)
    return text


_WIDEST = 100
"""Digits beyond which no integer, scaled decimal or tick fits any type: Int256 and Decimal(76, S) have at most 78."""


def _scaled(text: str, places: int) -> int:
    """The number of a plain text times 10^places (which may be negative).

    INEXACT if that is no integer, else OUT_OF_RANGE if it has so many digits that it fits no type.
    """
    whole, _, fraction = text.partition(".")
    if len(fraction) > max(places, 0):
        raise _UnfitError(RejectCode.INEXACT)
    digits = whole + fraction.ljust(places, "0")
    if places < 0 and digits != "0":
        if not digits.endswith("0" * -places):
            raise _UnfitError(RejectCode.INEXACT)
        digits = digits[:places]
    if len(digits) > _WIDEST + places:
        raise _UnfitError(RejectCode.OUT_OF_RANGE)
    return int(digits)


def _double(text: str) -> float:
    """The double nearest to a plain text. A zero has no sign, also where a negative number is nearest to it.

    A number so large that infinity is nearest is refused.
    """
    nearest = float(text)
    if math.isinf(nearest):
        raise _UnfitError(RejectCode.OUT_OF_RANGE)
    return nearest or 0.0


_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_UNIT = {Convert.EPOCH_S: 0, Convert.EPOCH_MS: 3, Convert.EPOCH_US: 6}
_ISO8601 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_DAYS_400_YEARS = 146_097


def _ticks(type_: DateTime64, convert: Convert | None, value: Value) -> int:
    """Ticks since 1970, not yet checked against the range of the type."""
    if convert in _UNIT:
        _expect(value, "N")
        unit = _UNIT[convert]
        return _scaled(plain(value.text) or "", type_.precision - unit)
    _expect(value, "S")
    return _iso8601(value.text, type_.precision)


def _iso8601(text: str, precision: int) -> int:
    """Ticks of a `YYYY-MM-DDTHH:MM:SS[.f](Z|±HH:MM)`. Years are Gregorian, reckoned back to 0000."""
    matched = _ISO8601.fullmatch(text)
    if matched is None:
        raise _UnfitError(RejectCode.BAD_CONVERT)
    fraction, sign = matched[7] or "", matched[8]
    year, month, day, hour, minute, second = (int(matched[group]) for group in range(1, 7))
    zone_hour, zone_minute = int(matched[9] or 0), int(matched[10] or 0)
    if hour > 23 or minute > 59 or second > 59 or zone_hour > 23 or zone_minute > 59:
        raise _UnfitError(RejectCode.BAD_CONVERT)
    try:
        # Shifted into 2000..2399, because `date` has no year 0; the calendar repeats every 400 years.
        within = date(2000 + year % 400, month, day).toordinal()
    except ValueError:
        raise _UnfitError(RejectCode.BAD_CONVERT) from None
    days = within + (year // 400 - 5) * _DAYS_400_YEARS - date(1970, 1, 1).toordinal()
    zone = (zone_hour * 60 + zone_minute) * (-60 if sign == "-" else 60)
    seconds = ((days * 24 + hour) * 60 + minute) * 60 + second - zone
    if fraction[precision:].strip("0"):
        raise _UnfitError(RejectCode.INEXACT)
    return int(f"{seconds}{'0' * precision}") + int(fraction[:precision].ljust(precision, "0") or "0")
