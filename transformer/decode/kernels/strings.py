"""JSON strings: where they end, what they say, and whether their escapes mean anything."""

from __future__ import annotations

import numpy as np

from transformer.decode.kernels.compiler import kernel
from transformer.decode.kernels.primitives import (
    copy32,
    load64,
    multiply,
    string_marks32,
    string_marks64,
    trailing_zeros,
)

QUOTE, BACKSLASH = 0x22, 0x5C
FAULT = np.int64(-1)


@kernel("int64(uint8[::1], int64)")
def hex4(buf, at):
    """The value of four hexadecimal digits from `at`, or -1 - i where digit i is none."""
    value = np.int64(0)
    for i in range(4):
        byte = np.int64(buf[at + i])
        if 0x30 <= byte <= 0x39:
            digit = byte - 0x30
        elif 0x41 <= (byte & 0xDF) <= 0x46:
            digit = (byte & 0xDF) - 0x37
        else:
            return np.int64(-1 - i)
        value = value * 16 + digit
    return value


@kernel("int64(uint8[::1], int64)")
def escape_length(buf, at):
    """Bytes of the escape that begins with the backslash at `at`: 2, 6, or 12 for a surrogate pair.

    -1 when it is none: unknown letter, bad digits, or a surrogate without its partner. Reads up to 12 bytes.
    """
    byte = buf[at + 1]
    if byte == 0x75:
        value = hex4(buf, at + 2)
        if value < 0:
            return FAULT
        if value < 0xD800 or value > 0xDFFF:
            return np.int64(6)
        if value > 0xDBFF or buf[at + 6] != BACKSLASH or buf[at + 7] != 0x75:
            return FAULT
        low = hex4(buf, at + 8)
        return np.int64(12) if 0xDC00 <= low <= 0xDFFF else FAULT
    known = byte == 0x22 or byte == 0x5C or byte == 0x2F or byte == 0x62
    known = known or byte == 0x66 or byte == 0x6E or byte == 0x72 or byte == 0x74
    return np.int64(2) if known else FAULT


@kernel("int64(uint8[::1], int64, int64)")
def string_end(buf, at, limit):
    """The position of the quote that ends the string whose content begins at `at`, or -1.

    -1 when none stands before `limit`, or when an escape is invalid. Control characters are not looked for: lines
    that hold any are marked odd by `index_lines`. Reads up to 32 bytes past the quote.
    """
    while at < limit:
        marks = string_marks32(buf, at)
        if marks == np.uint64(0):
            at += 32
            continue
        at += trailing_zeros(marks)
        if buf[at] == QUOTE:
            return at if at < limit else FAULT
        length = escape_length(buf, at)
        if length < 0:
            return FAULT
        at += length
    return FAULT


@kernel("int64(uint8[::1], int64, int64)", merged=True)
def plain_end(buf, at, limit):
    """As `string_end`, but -1 also for a string that holds a backslash. Reads up to 64 bytes past the quote.

    64 bytes at a time: nearly every string ends in the first, so that the branch behind it is no guess.
    """
    while at < limit:
        marks = string_marks64(buf, at)
        if marks != np.uint64(0):
            at += trailing_zeros(marks)
            return at if at < limit and buf[at] == QUOTE else FAULT
        at += 64
    return FAULT


@kernel("int64(uint8[::1], int64, int64)")
def write_utf8(out, to, point):
    """Write code point `point` as UTF-8 to out[to:]; returns the position behind it. Writes up to 4 bytes."""
    if point < 0x80:
        out[to] = point
        return to + 1
    if point < 0x800:
        out[to] = 0xC0 | (point >> 6)
        out[to + 1] = 0x80 | (point & 0x3F)
        return to + 2
    if point < 0x10000:
        out[to] = 0xE0 | (point >> 12)
        out[to + 1] = 0x80 | ((point >> 6) & 0x3F)
        out[to + 2] = 0x80 | (point & 0x3F)
        return to + 3
    out[to] = 0xF0 | (point >> 18)
    out[to + 1] = 0x80 | ((point >> 12) & 0x3F)
    out[to + 2] = 0x80 | ((point >> 6) & 0x3F)
    out[to + 3] = 0x80 | (point & 0x3F)
    return to + 4


@kernel("int64(uint8[::1], int64)")
def escape_point(buf, at):
    """The code point that the valid escape at `at` stands for."""
    byte = np.int64(buf[at + 1])
    if byte == 0x75:
        value = hex4(buf, at + 2)
        if 0xD800 <= value <= 0xDBFF:
            return 0x10000 + ((value - 0xD800) << 10) + (hex4(buf, at + 8) - 0xDC00)
        return value
    if byte == 0x62:
        return np.int64(8)
    if byte == 0x66:
        return np.int64(12)
    if byte == 0x6E:
        return np.int64(10)
    if byte == 0x72:
        return np.int64(13)
    if byte == 0x74:
        return np.int64(9)
    return byte


@kernel("int64(uint8[::1], int64, int64, uint8[::1], int64)", merged=True)
def copy_run(buf, at, end, out, to):
    """Copy buf[at:end] to out[to:]; returns the position behind it. Writes up to 32 bytes more, reads as many.

    The first 32 bytes are copied whatever the length is: most texts are shorter, and there is nothing to guess.
    """
    stop = to + end - at
    copy32(out, to, buf, at)
    while to + 32 < stop:
        to += 32
        at += 32
        copy32(out, to, buf, at)
    return stop


@kernel("int64(uint8[::1], int64, int64, uint8[::1], int64)")
def unescape(buf, at, end, out, to):
    """Write the text of the valid JSON string content buf[at:end] to out[to:]; returns the position behind it.

    The text is never longer than the content. Writes and reads up to 31 bytes beyond.
    """
    while at < end:
        run = at
        while run < end and buf[run] != BACKSLASH:
            marks = string_marks32(buf, run)
            run = min(run + (trailing_zeros(marks) if marks != np.uint64(0) else 32), end)
        to = copy_run(buf, at, run, out, to)
        at = run
        if at < end:
            to = write_utf8(out, to, escape_point(buf, at))
            at += escape_length(buf, at)
    return to


@kernel("int64(int64, uint8[::1], int64)")
def write_escaped(point, out, to):
    """Write code point `point` as canonical JSON string content: only quote, backslash and controls are escaped."""
    if point == QUOTE or point == BACKSLASH:
        out[to] = BACKSLASH
        out[to + 1] = point
        return to + 2
    if point >= 0x20:
        return write_utf8(out, to, point)
    out[to] = BACKSLASH
    letter = 0
    if point == 8:
        letter = 0x62
    elif point == 9:
        letter = 0x74
    elif point == 10:
        letter = 0x6E
    elif point == 12:
        letter = 0x66
    elif point == 13:
        letter = 0x72
    if letter != 0:
        out[to + 1] = letter
        return to + 2
    out[to + 1] = 0x75
    out[to + 2] = 0x30
    out[to + 3] = 0x30
    out[to + 4] = 0x30 + (point >> 4)
    low = point & 15
    out[to + 5] = 0x30 + low if low < 10 else 0x57 + low
    return to + 6


@kernel("int64(uint8[::1], int64, int64, uint8[::1], int64)")
def canonical_content(buf, at, end, out, to):
    """Write the valid JSON string content buf[at:end] with canonical escapes; returns the position behind it.

    Never longer than the content: each canonical escape is the shortest there is. Writes up to 31 bytes beyond.
    """
    while at < end:
        run = at
        while run < end and buf[run] != BACKSLASH:
            marks = string_marks32(buf, run)
            run = min(run + (trailing_zeros(marks) if marks != np.uint64(0) else 32), end)
        to = copy_run(buf, at, run, out, to)
        at = run
        if at < end:
            to = write_escaped(escape_point(buf, at), out, to)
            at += escape_length(buf, at)
    return to


MIX = np.uint64(0x9E3779B97F4A7C15)
SHIFT = np.uint64(29)


@kernel("uint64(uint8[::1], int64, int64, uint64)")
def hash_bytes(buf, at, length, seed):
    """A 64-bit hash of buf[at:at+length]: good enough for tables whose hits are compared byte by byte."""
    value = seed ^ multiply(np.uint64(length), MIX)
    while length >= 8:
        value = multiply(value ^ load64(buf, at), MIX)
        value ^= value >> SHIFT
        at += 8
        length -= 8
    if length > 0:
        keep = (np.uint64(1) << np.uint64(8 * length)) - np.uint64(1)
        value = multiply(value ^ (load64(buf, at) & keep), MIX)
        value ^= value >> SHIFT
    return value ^ (value >> np.uint64(32))


@kernel("boolean(uint8[::1], int64, int64, int64)")
def equal_bytes(buf, a, b, length):
    """Whether the `length` bytes from a and from b are the same."""
    while length >= 8:
        if load64(buf, a) != load64(buf, b):
            return False
        a += 8
        b += 8
        length -= 8
    if length > 0:
        keep = (np.uint64(1) << np.uint64(8 * length)) - np.uint64(1)
        return (load64(buf, a) & keep) == (load64(buf, b) & keep)
    return True
