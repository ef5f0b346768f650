"""From a profile to columns: the narrowest type that holds every value that was seen exactly, and why.

Whatever the profile, a load with the proposed columns rejects no item that was profiled. Head-room is a rule, not a
guess: a number type is one step wider than what was seen needs (Int16 for what fits Int8, the precision of the next
larger storage for Decimal), because a live table goes on growing. An Int64 or wider type that holds SPARE times what
was seen is left: epoch milliseconds need no Int128. `tight` leaves head-room out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transformer.schema.names import Names
from transformer.schema.table import Convert
from transformer.schema.types import (
    UUID,
    Array,
    Bool,
    DateTime64,
    Decimal,
    Integer,
    LowCardinality,
    Map,
    Nullable,
    String,
    Tuple,
    Type,
)

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Sequence

    from transformer.schema.profile import Distinct, Numbers, PathProfile, Profile, Texts
    from transformer.schema.table import Path

SYSTEM_COLUMNS = ("version", "is_deleted", "_unmapped", "_raw")

MOST_COLUMNS = 1000
"""Attributes that get a column, the most frequent ones; ClickHouse and the kernels get slow far beyond that."""

MOST_FIELDS = 64
"""Names of a map that become columns or members of a Tuple; a map with more is a Map or JSON text."""

CONVERTED_LEAST = 100
"""Texts that must all be UUIDs, or times of one form, before the column becomes one: a few may be chance."""

DISTINCT_MOST, REPEATS_LEAST = 1000, 10
"""LowCardinality for at most so many distinct texts, each so often on average."""

SPARE = 256
"""How many times what was seen a type of 64 bits or more must hold, to count as having head-room already."""

DICTIONARY_LEAST, DICTIONARY_SHARE = 8, 0.2
"""Names of a map are data when there are at least so many and the average map has less than this share of them."""

LONGEST_NAME = 65_535
"""Bytes of an attribute's name that DynamoDB allows, and a path too."""

_SCALARS = frozenset({"S", "N", "B", "BOOL"})
_LISTS = frozenset({"L", "SS", "NS", "BS"})
_MEMBER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Proposed:
    """One proposed column. evidence: why it has its type, for people."""

    name: str
    path: Path
    type: Type
    evidence: str
    convert: Convert | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """Columns for a profile, key first. notes: what has no column, and why."""

    columns: tuple[Proposed, ...]
    notes: tuple[str, ...]


def propose(profile: Profile, key: Sequence[str], *, tight: bool = False, sampled: bool = False) -> Proposal:
    """The columns for what was profiled.

    key: the key attributes, each present in every item as one scalar tag. tight: without head-room. sampled: the
    profile has not seen every item, so nothing is left out of Nullable and no text is converted.
    """
    return _Proposing(profile, tuple(key), tight=tight, sampled=sampled).proposal()


class _Proposing:
    def __init__(self, profile: Profile, key: tuple[str, ...], *, tight: bool, sampled: bool) -> None:
        self.profile = profile
        self.key = key
        self.tight = tight
        self.sampled = sampled
        self.names = Names(SYSTEM_COLUMNS)

    def proposal(self) -> Proposal:
        attributes = self.profile.attributes
        columns = [self._key_column(name) for name in self.key]
        others = [name for name in attributes if name not in self.key and _nameable(name)]
        others.sort(key=lambda name: (-attributes[name].count, name))
        notes = []
        if len(others) > MOST_COLUMNS or self.profile.left_out:
            notes.append(
                f"{len(others) - MOST_COLUMNS if len(others) > MOST_COLUMNS else 0:,} attributes that were profiled"
                f"{f' and {self.profile.left_out:,} values of further ones' if self.profile.left_out else ''} have no "
                f"column of their own, since there are more than {MOST_COLUMNS:,}: they go into _unmapped."
            )
        if any(not _nameable(name) for name in attributes):
            notes.append(
                "Attributes with an empty name, or one longer than 64 KB, have no column: they go into _unmapped."
            )
        for name in others[:MOST_COLUMNS]:
            columns.extend(self._columns((name,), attributes[name], self.profile.items))
        return Proposal(tuple(columns), tuple(notes))

    def _key_column(self, name: str) -> Proposed:
        values = self.profile.attributes[name]
        (tag,) = values.tags
        type_: Type = String()
        why = f"key, {tag} in every item"
        if tag == "N" and values.numbers is not None:
            type_, why = self._number(values.numbers)
            why = f"key, N in every item; {why}"
        return Proposed(self.names.give((name,)), (name,), type_, why)

    def _columns(self, path: Path, values: PathProfile, of: int) -> Iterator[Proposed]:
        """The columns for what stands at a path. of: how many items there are."""
        if self._flattens(values) and len(path) < _DEEPEST:
            for name in sorted(values.members, key=lambda name: (-values.members[name].count, name)):
                yield from self._columns((*path, name), values.members[name], of)
            return
        type_, convert, why = self._column_type(values)
        missing, nulls = of - values.count, values.tags["NULL"]
        if missing or nulls or self.sampled:
            type_ = _nullable(type_)
        seen = f"{values.count - nulls:,} of {of:,} items" + (f", NULL in {nulls:,}" if nulls else "")
        name = self.names.give(path)
        yield Proposed(name, path, type_, f"{seen}; {why}", convert)

    def _flattens(self, values: PathProfile) -> bool:
        """Whether a path holds maps (or NULL) with few, stable names."""
        tags = set(values.tags) - {"NULL"}
        if tags != {"M"} or values.is_dictionary or not 1 <= len(values.members) <= MOST_FIELDS:
            return False
        return all(map(_nameable, values.members)) and not _names_are_data(values)

    def _column_type(self, values: PathProfile) -> tuple[Type, Convert | None, str]:
        if set(values.tags) - {"NULL"} == {"S"} and values.texts is not None:
            return self._text(values.texts)
        type_, why = self._type(values, 1)
        return type_, None, why

    def _text(self, texts: Texts) -> tuple[Type, Convert | None, str]:
        count, distinct = texts.count, texts.distinct
        if not self.sampled and count >= CONVERTED_LEAST:
            if texts.uuids == count:
                return UUID(), None, "UUID because every text is one, in lower case"
            if len(texts.times) == 1 and texts.times.total() == count:
                (digits,) = texts.times
                return DateTime64(digits), Convert.ISO8601, f"time because every text is one of {digits} digits, in UTC"
        about = f"{_count(distinct)} distinct, {texts.shortest}..{texts.longest} bytes"
        if distinct.count <= DISTINCT_MOST and count >= REPEATS_LEAST * distinct.count and texts.longest <= 64:
            return LowCardinality(String()), None, about
        if texts.integers == count and count:
            about += ", every one an integer; String because S is text"
        return String(), None, about

    def _number(self, numbers: Numbers) -> tuple[Type, str]:
        spread = f"{_short(numbers.lowest)}..{_short(numbers.highest)}"
        if numbers.integers == numbers.count:
            integer = self._integer(numbers)
            if integer is not None:
                return integer, f"{integer.sql} because {spread}"
        precision = max(1, numbers.integer_digits + numbers.scale)
        if precision > 76:
            return String(), f"String because no number type has {precision} digits ({spread})"
        widths = [9, 18, 38, 76]
        if not self.tight:
            at = next(index for index, width in enumerate(widths) if precision <= width)
            precision = widths[min(at + 1, 3)]
        return Decimal(precision, numbers.scale), (
            f"{spread}, {numbers.integer_digits} digits before and {numbers.scale} after the point"
        )

    def _integer(self, numbers: Numbers) -> Integer | None:
        low, high = int(numbers.lowest or 0), int(numbers.highest or 0)
        signed = [Integer(bits, signed=True) for bits in (8, 16, 32, 64, 128, 256)]
        if self.tight and low >= 0:
            both = [Integer(each.bits, signed=sign) for each in signed for sign in (True, False)]
            return next((each for each in both if each.minimum <= low and high <= each.maximum), None)
        for index, each in enumerate(signed):
            if each.minimum <= low and high <= each.maximum:
                roomy = each.bits >= 64 and SPARE * max(-low, high) <= each.maximum
                return each if self.tight or roomy else signed[min(index + 1, 5)]
        return None

    def _type(self, values: PathProfile, depth: int) -> tuple[Type, str]:
        """The type for values at a path or in a container, NULL left aside, and why. depth: containers around it."""
        tags = set(values.tags) - {"NULL"}
        if not tags:
            return String(), "only NULL was seen" if values.count else "no value was seen"
        if len(tags) == 1 and tags <= _SCALARS:
            return self._scalar(next(iter(tags)), values)
        if depth < _DEEPEST:
            if tags <= _LISTS:
                return self._array(values, depth)
            if tags == {"M"}:
                return self._map(values, depth)
        return String(), _mixed(values.tags)

    def _scalar(self, tag: str, values: PathProfile) -> tuple[Type, str]:
        if tag == "BOOL":
            return Bool(), "BOOL"
        if tag == "N" and values.numbers is not None:
            return self._number(values.numbers)
        return String(), "B" if tag == "B" else "S"

    def _element(self, values: PathProfile, of: int, depth: int) -> Type:
        """The type of values in a container. of: how many there would be if none were missing."""
        type_, _ = self._type(values, depth)
        lacks = values.count < of or values.tags["NULL"] > 0 or self.sampled
        if values.tags["NULL"] and isinstance(type_, Array | Map | Tuple):
            type_ = String()  # these cannot be NULL, and within a value NULL and empty are two things
        return _nullable(type_) if lacks else type_

    def _array(self, values: PathProfile, depth: int) -> tuple[Type, str]:
        tags = "/".join(sorted(set(values.tags) - {"NULL"}))
        elements = values.elements
        if elements is None or not elements.count:
            return Array(Nullable(String()) if self.sampled else String()), f"{tags}, all of them empty"
        about = f"{tags} of {'/'.join(sorted(elements.tags))}, at most {values.longest:,} elements"
        if len(set(elements.tags) - {"NULL"}) > 1:
            return String(), f"{about}; JSON text because they are mixed"
        return Array(self._element(elements, elements.count, depth + 1)), about

    def _map(self, values: PathProfile, depth: int) -> tuple[Type, str]:
        maps = values.tags["M"]
        names = values.names.count if values.names is not None else 0
        shown = _count(values.names) if values.names is not None else "0"
        inner = values.together()
        if names and (values.is_dictionary or _names_are_data(values)):
            if len(set(inner.tags) - {"NULL"}) <= 1:
                return Map(self._element(inner, inner.count, depth + 1)), f"M with {shown} names, which are data"
            return String(), f"M with {shown} names and mixed values: JSON text"
        usable = all(_MEMBER.fullmatch(name) for name in values.members)
        if not 1 <= names <= MOST_FIELDS or not usable or values.empty_maps or depth == 1:
            return String(), f"M with {shown} names: JSON text"
        members = sorted(values.members.items(), key=lambda entry: (-entry[1].count, entry[0]))
        return Tuple(tuple((name, self._element(member, maps, depth + 1)) for name, member in members)), "M"


def _nameable(name: str) -> bool:
    """Whether a path of a schema file can name an attribute."""
    return 0 < len(name.encode()) <= LONGEST_NAME


def _names_are_data(values: PathProfile) -> bool:
    """Whether the names of maps are more like keys of a dictionary than like fields."""
    maps, names = values.tags["M"], len(values.members)
    if names < DICTIONARY_LEAST:
        return False
    entries = sum(member.count for member in values.members.values())
    return entries < DICTIONARY_SHARE * names * maps


def _nullable(type_: Type) -> Type:
    match type_:
        case Array() | Map() | Tuple() | Nullable():
            return type_
        case LowCardinality(inner):
            return LowCardinality(_nullable(inner))
        case _:
            return Nullable(type_)


def _count(distinct: Distinct) -> str:
    return f"{'' if distinct.exact else 'about '}{distinct.count:,}"


def _mixed(tags: Counter[str]) -> str:
    seen = ", ".join(f"{tag} in {count:,}" for tag, count in sorted(tags.items()))
    return f"String because values are mixed ({seen}); which tag a value had is not kept"


def _short(number: object) -> str:
    text = f"{number:f}" if number is not None else "nothing"
    return text if len(text) <= 45 else f"{text[:20]}...({len(text)} characters)"
