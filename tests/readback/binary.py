"""RowBinary, the format in which ClickHouse gives rows byte by byte, read without Arrow and without a driver."""

from __future__ import annotations

import struct
import uuid

from transformer.schema import types as t


class Reader:
    """Values one after another out of an answer in FORMAT RowBinary, in the value domain of the slow twin."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def ended(self) -> bool:
        return self._at == len(self._data)

    def _take(self, size: int) -> bytes:
        part = self._data[self._at : self._at + size]
        assert len(part) == size
        self._at += size
        return part

    def _integer(self, size: int, *, signed: bool) -> int:
        return int.from_bytes(self._take(size), "little", signed=signed)

    def _length(self) -> int:
        result = shift = 0
        while True:
            (byte,) = self._take(1)
            result |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return result

    def value(self, type_: t.Type) -> object:
        """The next value, which is of this type. Decimals and times come as whole units of their last place."""
        match type_:
            case t.Nullable(inner):
                return None if self._take(1) == b"\x01" else self.value(inner)
            case t.LowCardinality(inner):
                return self.value(inner)
            case t.Integer(bits, signed):
                return self._integer(bits // 8, signed=signed)
            case t.Decimal(precision):
                size = next(size for size, most in ((4, 9), (8, 18), (16, 38), (32, 76)) if precision <= most)
                return self._integer(size, signed=True)
            case t.Float64():
                return struct.unpack("<d", self._take(8))[0]
            case t.Bool():
                return bool(self._integer(1, signed=False))
            case t.String() | t.JSON():
                return self._take(self._length())
            case t.UUID():
                high, low = self._integer(8, signed=False), self._integer(8, signed=False)
                return uuid.UUID(int=high << 64 | low)
            case t.DateTime64():
                return self._integer(8, signed=True)
            case t.Enum(bits, members):
                number = self._integer(bits // 8, signed=True)
                return next(name for name, value in members if value == number)
            case t.Array(element):
                return [self.value(element) for _ in range(self._length())]
            case t.Map(inner):
                return [(self._take(self._length()), self.value(inner)) for _ in range(self._length())]
            case t.Tuple(members):
                return {name: self.value(inner) for name, inner in members}
        raise AssertionError(type_)
