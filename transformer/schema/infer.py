"""From a profile to a proposal: for every attribute the narrowest type that holds all of it exactly, and why.

The rules, which docs/schema.md states for users, are the functions of this module. None of them guesses: a type is
proposed when every value that was counted fits it, and what fits nothing better goes to a String as text or JSON text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transformer.schema import types as t

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformer.schema.profile import Numbers, Place, Profile

MOST_COLUMNS = 1000
"""Columns of one proposal. The rarest attributes beyond stay in `_unmapped`."""

MOST_FLAT = 64
"""Members of a map that become columns, or members of a Tuple; a larger map stays one column."""

DEEPEST = 4
"""Maps and lists in each other that become columns and types of their own; below is JSON text."""

DICTIONARY = 1000
"""Most distinct texts for LowCardinality: ClickHouse advises it below some 10,000, and live data grows."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_SCALARS = ("S", "N", "B", "BOOL")
_WIDTHS = (8, 16, 32, 64, 128, 256)
_DECIMAL_STEPS = (9, 18, 38, 76)


@dataclass(frozen=True, slots=True)
class Proposed:
    """One proposed column. why: the evidence, as one line."""

    path: tuple[str, ...]
    type: t.Type
    why: str


def propose(profile: Profile, key: tuple[str, ...], *, tight: bool = False) -> tuple[list[Proposed], list[str]]:
    """The columns for an export, those of the key first, then by path; and notes on what has no column.

    key: the key attributes. Each must be present in every item with one of the tags S, N and B, or be missing in all.
    tight: without head-room for values that are still to come.
    """
    rules = _Rules(tight)
    columns = [rules.key(name, profile) for name in key]
    notes: list[str] = []
    budget = MOST_COLUMNS - len(columns)
    found: list[list[Proposed]] = []
    if profile.item.lost:
        notes.append("more attributes than can be told apart: some stay in _unmapped")
    by_presence = sorted(
        ((name, place) for name, place in profile.item.members.items() if name not in key),
        key=lambda pair: (-pair[1].count, pair[0]),
    )
    left = 0
    for name, place in by_presence:
        if not name or len(name.encode()) > 1024:
            notes.append("an attribute whose name is empty or longer than 1,024 bytes stays in _unmapped")
            continue
        made = list(rules.columns((name,), place, profile.items, room=budget))
        if len(made) > budget:
            left += 1
            continue
        budget -= len(made)
        found.append(made)
    if left:
        notes.append(f"{left:,} rare attributes beyond {MOST_COLUMNS:,} columns stay in _unmapped")
    if profile.item.rest is not None:
        notes.append("attributes beyond the first few thousand names stay in _unmapped")
    columns += sorted((column for made in found for column in made), key=lambda column: column.path)
    return columns, notes


class _Rules:
    def __init__(self, tight: bool) -> None:
        self._tight = tight

    def key(self, name: str, profile: Profile) -> Proposed:
        """The column of a key attribute."""
        place = profile.item.members.get(name)
        if place is None:
            return Proposed((name,), t.String(), "key; no item was seen")
        type_, why = self._scalar(place, allow_dictionary=False)
        return Proposed((name,), type_, f"key; {why}")

    def columns(
        self, path: tuple[str, ...], place: Place, parents: int, *, room: int, optional: bool = False
    ) -> Iterator[Proposed]:
        """The columns for one place.

        parents: how many maps could have had it. room: columns that are left. optional: one of those may be missing.
        """
        tags = _kinds(place)
        seen = f"{place.count:,} of {parents:,}"
        required = not optional and place.count == parents and "NULL" not in place.tags
        if tags == {"M"}:
            if self._flat(place) and len(path) <= DEEPEST and len(place.members) <= room:
                for name, member in place.members.items():
                    yield from self.columns((*path, name), member, place.tags["M"], room=room, optional=not required)
                return
            value = self._map_value(place)
            if value is not None:
                names = f"{len(place.members):,}{' and more' if place.rest else ''} different names"
                yield Proposed(path, t.Map(value), f"{seen}; a map whose names are data: {names}")
                return
            yield Proposed(path, _nullable(t.String(), required), f"{seen}; a map, as JSON text")
            return
        if len(tags) == 1 and tags <= {"L", "SS", "NS", "BS"}:
            element = None if place.lost or place.element is None else self._nested(place.element, depth=1)
            kind = next(iter(tags))
            if element is not None:
                yield Proposed(path, t.Array(element), f"{seen}; {kind} of up to {place.elements:,}")
            else:
                what = "only empty ones" if place.element is None else "elements of several kinds"
                yield Proposed(path, _nullable(t.String(), required), f"{seen}; {kind}, {what}: JSON text")
            return
        type_, why = self._scalar(place, allow_dictionary=True)
        yield Proposed(path, _nullable(type_, required), f"{seen}; {why}")

    def _scalar(self, place: Place, *, allow_dictionary: bool) -> tuple[t.Type, str]:
        """The type of a place that is a column of its own, before NULL is thought of."""
        tags = _kinds(place)
        if not tags:
            return t.String(), "only NULL"
        if tags == {"N"}:
            return self._number(place.numbers)
        if tags == {"BOOL"}:
            return t.Bool(), "BOOL"
        if tags == {"B"}:
            return t.String(), f"B of up to {place.texts.most:,} base64 characters"
        if tags == {"S"}:
            return self._text(place, allow_dictionary)
        mixed = ", ".join(f"{count:,} {tag}" for tag, count in sorted(place.tags.items()))
        return t.String(), f"mixed ({mixed}): text, and JSON text for what is no scalar"

    def _text(self, place: Place, allow_dictionary: bool) -> tuple[t.Type, str]:
        texts, count = place.texts, place.tags["S"]
        distinct = texts.distinct
        why = f"S of {texts.least:,} to {texts.most:,} bytes"
        if distinct is not None:
            why += f", about {distinct:,} distinct"
        for what, how_many in (("UUIDs", texts.uuids), ("ISO 8601 times", texts.times), ("integers", texts.integers)):
            if how_many == count:
                why += f"; all are {what}"
        if allow_dictionary and distinct is not None and distinct <= DICTIONARY and count >= 10 * distinct + 100:
            return t.LowCardinality(t.String()), why
        return t.String(), why

    def _number(self, numbers: Numbers) -> tuple[t.Type, str]:
        before, after = numbers.before_point, numbers.after
        if numbers.other == numbers.other_whole:
            low, high = (numbers.low, numbers.high) if numbers.whole else (0, 0)
            seen = f"integers from {low:,} to {high:,}" if numbers.whole else "integers"
            if numbers.other:
                # Of these only the digits are known: whatever has so many fits.
                most = 10 ** max(numbers.before, 1) - 1
                seen, low, high = f"integers of up to {before} digits", min(low, -most), max(high, most)
            for index, bits in enumerate(_WIDTHS):
                if t.Integer(bits, signed=True).minimum <= low and high <= t.Integer(bits, signed=True).maximum:
                    return t.Integer(self._wider(index, low, high), signed=True), seen
            return t.String(), f"{seen}, longer than any integer type: as text"
        seen = f"numbers of up to {before} digits before the point and {after} after it"
        if before + after > 76:
            return t.String(), f"{seen}, more than Decimal holds: as text"
        if self._tight:
            return t.Decimal(before + after, after), seen
        scale = after + 2
        precision = next((step for step in _DECIMAL_STEPS if before + 2 + scale <= step), None)
        if precision is None:
            return t.Decimal(76, after), seen
        return t.Decimal(precision, scale), seen

    def _wider(self, index: int, low: int, high: int) -> int:
        """One width more, for data that goes on growing; Int64 only where a thousandth of its range is used."""
        if self._tight or index == len(_WIDTHS) - 1:
            return _WIDTHS[index]
        if _WIDTHS[index] == 64 and max(abs(low), high) < (1 << 63) // 1000:
            return 64
        return _WIDTHS[index + 1]

    def _flat(self, place: Place) -> bool:
        """Whether the names of a map are few and fixed enough to be columns: no data, and no names seen rarely."""
        names = len(place.members)
        if place.lost or place.rest is not None or not 0 < names <= MOST_FLAT or not all(place.members):
            return False
        filled = sum(member.count for member in place.members.values())
        return names < 20 or filled >= 0.2 * names * place.tags["M"]

    def _map_value(self, place: Place) -> t.Type | None:
        """The type of all values of a map whose names are data, or None when they have none in common."""
        if place.lost or not place.members:
            return None
        return self._nested(place.values(), depth=1)

    def _nested(self, place: Place, *, depth: int, optional: bool = False) -> t.Type | None:
        """The type of elements of an array, values of a map or members of a Tuple; None when JSON text has to do.

        depth: maps and lists around it. optional: it may be missing.
        """
        tags, null = _kinds(place), "NULL" in place.tags
        if len(tags) != 1 or place.lost or depth > DEEPEST:
            return None
        (tag,) = tags
        if tag in _SCALARS:
            type_, _ = self._scalar(place, allow_dictionary=False)
            return _nullable(type_, not (null or optional))
        if null:
            return None  # arrays and tuples hold no NULL, and JSON text does
        if tag != "M":
            inner = None if place.element is None else self._nested(place.element, depth=depth + 1)
            return None if inner is None else t.Array(inner)
        if not self._flat(place) or not all(_NAME.fullmatch(name) for name in place.members):
            return None
        members = []
        for name, member in place.members.items():
            missing = optional or member.count < place.tags["M"]
            inner = self._nested(member, depth=depth + 1, optional=missing)
            if inner is None:
                return None
            members.append((name, inner))
        return t.Tuple(tuple(members))


def _kinds(place: Place) -> set[str]:
    """The tags of a place but NULL."""
    return set(place.tags) - {"NULL"}


def _nullable(type_: t.Type, required: bool) -> t.Type:
    if required:
        return type_
    if isinstance(type_, t.LowCardinality):
        return t.LowCardinality(t.Nullable(type_.inner))
    return t.Nullable(type_)
