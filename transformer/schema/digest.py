"""The order-independent digest of keys: what a set of rows has in common with another set, in three numbers.

The hash of a key with one column is `xxHash64` of that column: of a String its bytes, of a number the little-endian
two's complement bytes of its ClickHouse type (of a Decimal, those of the unscaled number). The hash of a key with two
columns is `xxHash64` over the two hashes, eight little-endian bytes each, in the order of the key. The client computes
it while it loads (`transformer.decode.keys`), ClickHouse from the table (`key_hash` here), and both get the same.

A digest finds every accident: that two different sets of n keys agree in count, sum and xor is as likely as 1 in 2^64
or less. It is no protection against somebody who chooses keys so that they collide; xxHash64 is no secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from transformer.schema.expression import quote_identifier

if TYPE_CHECKING:
    from transformer.schema.table import Table

_WORD = 1 << 64


@dataclass(frozen=True, slots=True)
class KeyDigest:
    """Of a number of keys: how many, the sum of their hashes mod 2^64, and the xor of their hashes.

    Digests of parts that do not overlap add up to that of the whole, in any order, and can be subtracted again.
    """

    count: int = 0
    sum: int = 0
    xor: int = 0

    def __add__(self, other: KeyDigest) -> KeyDigest:
        return KeyDigest(self.count + other.count, (self.sum + other.sum) % _WORD, self.xor ^ other.xor)

    def __sub__(self, other: KeyDigest) -> KeyDigest:
        return KeyDigest(self.count - other.count, (self.sum - other.sum) % _WORD, self.xor ^ other.xor)

    def __str__(self) -> str:
        return f"{self.count:,} keys, sum {self.sum:016x}, xor {self.xor:016x}"


def key_hash(table: Table) -> str:
    """The SQL expression, of type UInt64, that is the hash of a row's key."""
    hashes = [f"xxHash64({quote_identifier(name)})" for name in table.key]
    if len(hashes) == 1:
        return hashes[0]
    return f"xxHash64(concat({', '.join(f'reinterpretAsFixedString({each})' for each in hashes)}))"


def digest_of(hashes: str, condition: str = "") -> str:
    """The SQL of the three aggregates of a digest, as a list of expressions: count, sum, xor (all UInt64).

    hashes: expression of type UInt64. condition: which rows count, empty for all.
    """
    suffix, also = ("If", f", {condition}") if condition else ("", "")
    count = f"countIf({condition})" if condition else "count()"
    return f"{count}, sum{suffix}({hashes}{also}), groupBitXor{suffix}({hashes}{also})"
