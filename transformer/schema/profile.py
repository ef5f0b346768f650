"""What the items of an export hold, path by path: counts, exact bounds of numbers, forms of texts, names of maps.

Profiles of parts of an export are merged into that of the whole; the order of the parts changes nothing but which of
too many top-level names are kept. Memory is bounded by the limits below, whatever the export holds.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any

TOP_NAMES = 4096
"""Top-level attribute names that are profiled; those of later ones are only counted."""

MAP_NAMES = 256
"""Names that one map may have before it is profiled as a dictionary: its values together, its names as an estimate."""

SKETCH = 1024
"""Hashes that estimate a number of distinct values. Up to so many values the number is exact."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ISO8601 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{3}|\d{6}|\d{9}))?Z", re.ASCII)
_INTEGER = re.compile(r"0|-?[1-9][0-9]*")


class Distinct:
    """Counts distinct texts: exactly up to SKETCH, beyond that from the SKETCH smallest of their 64-bit hashes."""

    __slots__ = ("_hashes", "_most")

    def __init__(self) -> None:
        self._hashes: set[int] = set()
        self._most = 1 << 64

    def add(self, data: bytes) -> None:
        """Count one value, which may have been counted before."""
        found = int.from_bytes(blake2b(data, digest_size=8).digest(), "little")
        if found < self._most:
            self._hashes.add(found)
            if len(self._hashes) > 2 * SKETCH:
                self._prune()

    def _prune(self) -> None:
        kept = sorted(self._hashes)[: SKETCH + 1]
        self._hashes = set(kept)
        self._most = kept[-1] + 1

    def merge(self, other: Distinct) -> None:
        """Count what `other` has counted."""
        self._hashes |= other._hashes
        if len(self._hashes) > SKETCH + 1:
            self._prune()

    @property
    def exact(self) -> bool:
        """Whether `count` is no estimate."""
        return len(self._hashes) <= SKETCH

    @property
    def count(self) -> int:
        """How many distinct values there are."""
        if self.exact:
            return len(self._hashes)
        return round(SKETCH * (1 << 64) / (sorted(self._hashes)[SKETCH] + 1))


@dataclass(slots=True)
class Numbers:
    """The numbers at one path.

    count, integers: how many, and how many are integers. lowest, highest: exact; None if there are none.
    integer_digits, scale: most digits before and after the point, in plain notation. significant: most significant
    digits.
    """

    count: int = 0
    integers: int = 0
    lowest: Decimal | None = None
    highest: Decimal | None = None
    integer_digits: int = 0
    scale: int = 0
    significant: int = 0

    def add(self, plain: str) -> None:
        """Count a number. plain: its plain text (no exponent, no superfluous zeros)."""
        self.count += 1
        whole, _, fraction = plain.lstrip("-").partition(".")
        self.integers += not fraction
        self.integer_digits = max(self.integer_digits, 0 if whole == "0" else len(whole))
        self.scale = max(self.scale, len(fraction))
        self.significant = max(self.significant, len((whole + fraction).strip("0")))
        value = Decimal(plain)
        if self.lowest is None or value < self.lowest:
            self.lowest = value
        if self.highest is None or value > self.highest:
            self.highest = value

    def merge(self, other: Numbers) -> None:
        """Count what `other` has counted."""
        self.count += other.count
        self.integers += other.integers
        self.integer_digits = max(self.integer_digits, other.integer_digits)
        self.scale = max(self.scale, other.scale)
        self.significant = max(self.significant, other.significant)
        if other.lowest is not None and (self.lowest is None or other.lowest < self.lowest):
            self.lowest = other.lowest
        if other.highest is not None and (self.highest is None or other.highest > self.highest):
            self.highest = other.highest

    def to_dict(self) -> dict[str, object]:
        """The record of `--json`; numbers as text, since no reader of JSON keeps 38 digits."""
        return {
            "count": self.count,
            "integers": self.integers,
            "min": None if self.lowest is None else f"{self.lowest:f}",
            "max": None if self.highest is None else f"{self.highest:f}",
            "integer_digits": self.integer_digits,
            "scale": self.scale,
            "significant_digits": self.significant,
        }


@dataclass(slots=True)
class Texts:
    """The texts (S) at one path.

    shortest, longest: in UTF-8 bytes. uuids: texts that are a UUID in lower case, the form that a UUID column gives
    back. times: by digits of a second (0, 3, 6, 9), texts `YYYY-MM-DDTHH:MM:SS[.f]Z` that a DateTime64 of so many
    digits holds. integers: texts that are an integer in plain notation.
    """

    count: int = 0
    shortest: int = 0
    longest: int = 0
    uuids: int = 0
    integers: int = 0
    times: Counter[int] = field(default_factory=Counter)
    distinct: Distinct = field(default_factory=Distinct)

    def add(self, text: str, data: bytes) -> None:
        """Count a text. data: its UTF-8 bytes."""
        size = len(data)
        self.shortest = size if self.count == 0 else min(self.shortest, size)
        self.longest = max(self.longest, size)
        self.count += 1
        self.distinct.add(data)
        if size == 36 and _UUID.fullmatch(text):
            self.uuids += 1
        elif 20 <= size <= 30 and (matched := _ISO8601.fullmatch(text)) and _is_time(matched[1], matched[2] or ""):
            self.times[len(matched[2] or "")] += 1
        elif 0 < size < 40 and _INTEGER.fullmatch(text):
            self.integers += 1

    def merge(self, other: Texts) -> None:
        """Count what `other` has counted."""
        if other.count:
            self.shortest = other.shortest if self.count == 0 else min(self.shortest, other.shortest)
        self.longest = max(self.longest, other.longest)
        self.count += other.count
        self.uuids += other.uuids
        self.integers += other.integers
        self.times += other.times
        self.distinct.merge(other.distinct)

    def to_dict(self) -> dict[str, object]:
        """The record of `--json`."""
        return {
            "count": self.count,
            "min_bytes": self.shortest,
            "max_bytes": self.longest,
            "distinct": self.distinct.count,
            "distinct_exact": self.distinct.exact,
            "uuids": self.uuids,
            "times": self.times.total(),
            "integers": self.integers,
        }


def _is_time(text: str, fraction: str) -> bool:
    """Whether a time is in the calendar and in the range of DateTime64 with as many digits as its fraction."""
    year = int(text[:4])
    if not 1900 <= year < (2261 if len(fraction) == 9 else 2299):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


@dataclass(slots=True)
class PathProfile:
    """The values at one path.

    tags: how many values have each type tag. numbers: of N. texts: of S. elements: the elements of lists and sets,
    together; longest: the most elements of one. members: of M, by name, unless there are more than MAP_NAMES names
    (`is_dictionary`); then values: all values of the maps together. names: the distinct names of the maps.
    empty_maps: maps without members.
    """

    tags: Counter[str] = field(default_factory=Counter)
    numbers: Numbers | None = None
    texts: Texts | None = None
    elements: PathProfile | None = None
    longest: int = 0
    members: dict[str, PathProfile] = field(default_factory=dict)
    values: PathProfile | None = None
    names: Distinct | None = None
    empty_maps: int = 0

    @property
    def count(self) -> int:
        """Values seen, NULL among them."""
        return self.tags.total()

    @property
    def is_dictionary(self) -> bool:
        """Whether the names of the maps were too many to be profiled one by one."""
        return self.values is not None

    def member(self, name: str) -> PathProfile:
        """The profile that a member of a map counts in."""
        if self.values is not None:
            return self.values
        found = self.members.get(name)
        if found is None:
            found = self.members[name] = PathProfile()
            if len(self.members) > MAP_NAMES:
                self.values = PathProfile()
                self.values.merge(self.together())
                self.members = {}
                return self.values
        return found

    def together(self) -> PathProfile:
        """All values of the maps as one profile."""
        if self.values is not None:
            return self.values
        result = PathProfile()
        for member in self.members.values():
            result.merge(member)
        return result

    def merge(self, other: PathProfile) -> None:
        """Count what `other` has counted. `other` is left as it is."""
        self.tags.update(other.tags)
        self.longest = max(self.longest, other.longest)
        self.empty_maps += other.empty_maps
        if other.numbers is not None:
            self.numbers = self.numbers or Numbers()
            self.numbers.merge(other.numbers)
        if other.texts is not None:
            self.texts = self.texts or Texts()
            self.texts.merge(other.texts)
        if other.elements is not None:
            self.elements = self.elements or PathProfile()
            self.elements.merge(other.elements)
        if other.names is not None:
            self.names = self.names or Distinct()
            self.names.merge(other.names)
        if other.values is not None and self.values is None:
            values = PathProfile()
            values.merge(self.together())
            self.values, self.members = values, {}
        if other.values is not None and self.values is not None:
            self.values.merge(other.values)
        for name, member in other.members.items():
            self.member(name).merge(member)

    def to_dict(self) -> dict[str, Any]:
        """The record of `--json`."""
        record: dict[str, Any] = {"tags": dict(sorted(self.tags.items()))}
        if self.numbers is not None:
            record["numbers"] = self.numbers.to_dict()
        if self.texts is not None:
            record["texts"] = self.texts.to_dict()
        if self.elements is not None:
            record |= {"elements": self.elements.to_dict(), "max_elements": self.longest}
        if self.names is not None:
            record |= {"names": self.names.count, "empty_maps": self.empty_maps}
        if self.values is not None:
            record["values"] = self.values.to_dict()
        if self.members:
            record["members"] = {name: member.to_dict() for name, member in sorted(self.members.items())}
        return record


@dataclass(slots=True)
class Profile:
    """The items of an export, or of a part of it.

    items: how many were profiled. invalid: lines that are no items (a load rejects them, whatever the schema).
    attributes: by top-level name. left_out: values of names beyond TOP_NAMES.
    orders: how often two names came first, in this order (the second empty where an item has one attribute);
    this is where full exports write the key. Bounded by TOP_NAMES; `orders_left_out` counts the rest.
    """

    items: int = 0
    invalid: int = 0
    attributes: dict[str, PathProfile] = field(default_factory=dict)
    left_out: int = 0
    orders: Counter[tuple[str, str]] = field(default_factory=Counter)
    orders_left_out: int = 0

    def attribute(self, name: str) -> PathProfile | None:
        """The profile that a top-level attribute counts in, or None, which counts it as left out."""
        found = self.attributes.get(name)
        if found is None:
            if len(self.attributes) >= TOP_NAMES:
                self.left_out += 1
                return None
            found = self.attributes[name] = PathProfile()
        return found

    def begins(self, first: str, second: str, count: int = 1) -> None:
        """Count items that begin with these attributes."""
        if (first, second) in self.orders or len(self.orders) < TOP_NAMES:
            self.orders[first, second] += count
        else:
            self.orders_left_out += count

    def merge(self, other: Profile) -> None:
        """Count what `other` has counted. `other` is left as it is."""
        self.items += other.items
        self.invalid += other.invalid
        self.left_out += other.left_out
        self.orders_left_out += other.orders_left_out
        for name, values in other.attributes.items():
            found = self.attribute(name)
            if found is None:
                self.left_out += values.count - 1
            else:
                found.merge(values)
        for (first, second), count in other.orders.items():
            self.begins(first, second, count)

    def to_dict(self) -> dict[str, Any]:
        """The record of `--json`."""
        return {
            "items": self.items,
            "invalid": self.invalid,
            "left_out": self.left_out,
            "attributes": {name: values.to_dict() for name, values in sorted(self.attributes.items())},
        }
