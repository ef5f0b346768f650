"""Strings with one fixed grammar: ISO 8601 instants and UUIDs.

First written with polars expressions on whole columns, as the design has it; on `orders` that took 57 ms where
locating everything took 36, most of it for building and running a query plan per column and step. ClickHouse's own
parsers guess.
"""

from __future__ import annotations

import numpy as np

from transformer.decode.kernels.columns import AHEAD, F_CODE, F_RECORD, SPANS
from transformer.decode.kernels.compiler import kernel
from transformer.decode.kernels.layout import S_ESCAPED, S
from transformer.decode.kernels.numbers import INEXACT, OUT_OF_RANGE
from transformer.decode.kernels.primitives import prefetch
from transformer.decode.kernels.strings import unescape

BAD_CONVERT = 56
_NIBBLES = np.full(256, 255, np.uint8)
for _value, _digit in enumerate(b"0123456789abcdef"):
    _NIBBLES[[_digit, ord(chr(_digit).upper())]] = _value
NIBBLES = _NIBBLES
PLACES = np.array([0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34])
NANOSECONDS = np.int64(1_000_000_000)


@kernel("int64(uint8[::1], int64, int64)")
def _digits(buf, at, size):
    """The value of `size` decimal digits from `at`, or -1 if one is none."""
    value = np.int64(0)
    for i in range(size):
        byte = np.int64(buf[at + i])
        if byte < 0x30 or byte > 0x39:
            return np.int64(-1)
        value = value * 10 + byte - 0x30
    return value


@kernel("int64(int64, int64)")
def _month_days(year, month):
    """Days of a month in the proleptic Gregorian calendar."""
    if month == 2:
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        return np.int64(29 if leap else 28)
    return np.int64(30 if month == 4 or month == 6 or month == 9 or month == 11 else 31)


@kernel("int64(int64, int64, int64)")
def _day_number(year, month, day):
    """Days since 1970-01-01: counted from 1 March of year 0, so that the leap day is the last of its year."""
    if month <= 2:
        year -= 1
        month += 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 1 - 719468


@kernel("boolean(uint8[::1], int64, int64, int64[::1])")
def read_instant(buf, at, end, parts):
    """Read YYYY-MM-DDTHH:MM:SS[.f{1,9}](Z|+HH:MM|-HH:MM) from buf[at:end]; False when it is not that.

    parts[0] becomes the seconds since 1970 in UTC, parts[1] the nanoseconds. Dates are real ones, hours 00 to 23,
    minutes and seconds 00 to 59, in the zone too. Reads up to 20 bytes past `at`.
    """
    if end - at < 20 or end - at > 35:
        return False
    if (
        buf[at + 4] != 0x2D
        or buf[at + 7] != 0x2D
        or buf[at + 10] != 0x54
        or buf[at + 13] != 0x3A
        or buf[at + 16] != 0x3A
    ):
        return False
    year, month, day = _digits(buf, at, 4), _digits(buf, at + 5, 2), _digits(buf, at + 8, 2)
    hour, minute, second = _digits(buf, at + 11, 2), _digits(buf, at + 14, 2), _digits(buf, at + 17, 2)
    if year < 0 or month < 1 or month > 12 or day < 1 or hour < 0 or minute < 0 or second < 0:
        return False
    if day > _month_days(year, month) or hour > 23 or minute > 59 or second > 59:
        return False
    seconds = ((_day_number(year, month, day) * 24 + hour) * 60 + minute) * 60 + second
    at += 19
    nanoseconds = np.int64(0)
    if buf[at] == 0x2E:
        at += 1
        digits = 0
        while at < end and 0x30 <= buf[at] <= 0x39:
            nanoseconds = nanoseconds * 10 + np.int64(buf[at]) - 0x30
            digits += 1
            at += 1
        if digits == 0 or digits > 9:
            return False
        for _ in range(digits, 9):
            nanoseconds *= 10
    if at + 6 == end and (buf[at] == 0x2B or buf[at] == 0x2D) and buf[at + 3] == 0x3A:
        hour, minute = _digits(buf, at + 1, 2), _digits(buf, at + 4, 2)
        if hour < 0 or hour > 23 or minute < 0 or minute > 59:
            return False
        away = (hour * 60 + minute) * 60
        seconds += away if buf[at] == 0x2D else -away
    elif at + 1 != end or buf[at] != 0x5A:
        return False
    parts[0] = seconds
    parts[1] = nanoseconds
    return True


@kernel(f"int64(uint8[::1], {SPANS}, int64, int64, int64, int64[::1], int64[::1], uint8[::1], int32[:, ::1])")
def write_instants(buf, start, length, tag, base, count, per_second, low, high, out, parts, text, faults):
    """Write ISO 8601 strings as ticks since 1970, `per_second` of them a second.

    low, high: the lowest and the highest second of the range. text: scratch as for `columns.write_scaled`.
    Other tags than S are written as zero.
    """
    found = 0
    last = count - 1
    unit = NANOSECONDS // per_second
    for record in range(count):
        prefetch(buf, np.int64(start[base + min(record + AHEAD, last)]))
        held = np.int64(tag[base + record])
        out[record] = 0
        if held != S and held != S_ESCAPED:
            continue
        at = np.int64(start[base + record])
        size = np.int64(length[base + record])
        if held == S:
            fits = read_instant(buf, at, at + size, parts)
        else:
            fits = read_instant(text, np.int64(0), unescape(buf, at, at + size, text, np.int64(0)), parts)
        code = 0
        if not fits:
            code = BAD_CONVERT
        elif parts[1] % unit != 0:
            code = INEXACT
        elif parts[0] < low or parts[0] > high:
            code = OUT_OF_RANGE
        if code != 0:
            faults[found, F_RECORD] = record
            faults[found, F_CODE] = code
            found += 1
        else:
            out[record] = parts[0] * per_second + parts[1] // unit
    return np.int64(found)


@kernel("boolean(uint8[::1], int64, int64, uint8[::1], int64)")
def read_uuid(buf, at, size, out, to):
    """Write the 16 bytes of the UUID text buf[at:at+size] to out[to:]; False when it is none.

    Hexadecimal digits in either case, grouped 8-4-4-4-12 (RFC 9562), first byte first.
    """
    if size != 36:
        return False
    if buf[at + 8] != 0x2D or buf[at + 13] != 0x2D or buf[at + 18] != 0x2D or buf[at + 23] != 0x2D:
        return False
    seen = np.uint8(0)
    for i in range(16):
        place = at + PLACES[i]
        high, low = NIBBLES[buf[place]], NIBBLES[buf[place + 1]]
        seen |= high | low
        out[to + i] = (high << 4) | (low & 15)
    return seen < 16


@kernel(f"int64(uint8[::1], {SPANS}, uint8[::1], uint8[::1], int32[:, ::1])")
def write_uuids(buf, start, length, tag, base, count, out, text, faults):
    """Write UUID strings as 16 bytes each. text: scratch as for `columns.write_scaled`. Other tags become zero."""
    found = 0
    last = count - 1
    for record in range(count):
        prefetch(buf, np.int64(start[base + min(record + AHEAD, last)]))
        held = np.int64(tag[base + record])
        at = np.int64(start[base + record])
        size = np.int64(length[base + record])
        fits = True
        if held == S:
            fits = read_uuid(buf, at, size, out, 16 * record)
        elif held == S_ESCAPED:
            fits = read_uuid(text, np.int64(0), unescape(buf, at, at + size, text, np.int64(0)), out, 16 * record)
        if not fits or (held != S and held != S_ESCAPED):
            for i in range(16):
                out[16 * record + i] = 0
        if not fits:
            faults[found, F_RECORD] = record
            faults[found, F_CODE] = BAD_CONVERT
            found += 1
    return np.int64(found)
