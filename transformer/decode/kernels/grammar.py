"""The careful look at one line: UTF-8 and JSON grammar with the exact place of a fault, and the compact form.

Only lines that the walk in `locate` cannot take as they are come here: faulty ones, and valid ones with white space
between tokens or unusual escapes. The latter are rewritten compactly, so that the walk needs to know one form only.
The other way, a walk that tolerates white space everywhere, costs every line a test at each of its tokens.
"""

from __future__ import annotations

import numpy as np

from transformer.decode.kernels.compiler import kernel
from transformer.decode.kernels.strings import BACKSLASH, FAULT, QUOTE, canonical_content, escape_length, hex4

INVALID_UTF8, JSON_SYNTAX, JSON_TRUNCATED, JSON_TRAILING, LONE_SURROGATE = 10, 20, 21, 22, 23

# States of the grammar walk: what may come next.
VALUE, FIRST_VALUE, FIRST_NAME, NAME, COLON, AFTER = 0, 1, 2, 3, 4, 5


@kernel("int64(uint8[::1], int64, int64)")
def utf8_fault(buf, at, end):
    """The position where the first ill-formed UTF-8 sequence in buf[at:end] starts, or -1.

    The rows of Table 3-7 of the Unicode Standard; the same position as Python's UnicodeDecodeError.start.
    """
    while at < end:
        lead = np.int64(buf[at])
        if lead < 0x80:
            at += 1
            continue
        low, high = 0x80, 0xBF
        if 0xC2 <= lead <= 0xDF:
            size = 2
        elif 0xE0 <= lead <= 0xEF:
            size = 3
            if lead == 0xE0:
                low = 0xA0
            elif lead == 0xED:
                high = 0x9F
        elif 0xF0 <= lead <= 0xF4:
            size = 4
            if lead == 0xF0:
                low = 0x90
            elif lead == 0xF4:
                high = 0x8F
        else:
            return at
        if at + size > end or not low <= buf[at + 1] <= high:
            return at
        for i in range(2, size):
            if not 0x80 <= buf[at + i] <= 0xBF:
                return at
        at += size
    return FAULT


@kernel("int64(uint8[::1], int64, int64, int64[::1])")
def _string_fault(buf, at, end, fault):
    """Walk the string content from `at`; returns the position behind its quote, or -1 with fault = (code, position)."""
    while at < end:
        byte = buf[at]
        if byte == QUOTE:
            return at + 1
        if byte < 0x20:
            fault[0], fault[1] = JSON_SYNTAX, at
            return FAULT
        if byte != BACKSLASH:
            at += 1
            continue
        if at + 1 >= end:
            break
        if buf[at + 1] != 0x75:
            if escape_length(buf, at) < 0:
                fault[0], fault[1] = JSON_SYNTAX, at + 1
                return FAULT
            at += 2
            continue
        value = hex4(buf, at + 2)
        # Digits that are missing because the line ends are a truncation; what follows the line is not looked at.
        bad = at + 1 - value if value < 0 else at + 6
        if bad >= end and at + 6 > end:
            break
        if value < 0:
            fault[0], fault[1] = JSON_SYNTAX, bad
            return FAULT
        if 0xD800 <= value <= 0xDFFF:
            if at + 12 > end or escape_length(buf, at) < 0:
                fault[0], fault[1] = LONE_SURROGATE, at
                return FAULT
            at += 6
        at += 6
    fault[0], fault[1] = JSON_TRUNCATED, end
    return FAULT


@kernel("int64(uint8[::1], int64, int64, int64[::1])")
def _literal_fault(buf, at, end, fault):
    """Walk true, false or null from `at`; returns the position behind it, or -1 with fault = (code, position)."""
    first = buf[at]
    if first == 0x74:
        word, size = np.int64(0x65757274), 4
    elif first == 0x6E:
        word, size = np.int64(0x6C6C756E), 4
    else:
        word, size = np.int64(0x65736C6166), 5
    for i in range(size):
        if at + i >= end:
            fault[0], fault[1] = JSON_TRUNCATED, end
            return FAULT
        if buf[at + i] != (word >> (8 * i)) & 0xFF:
            fault[0], fault[1] = JSON_SYNTAX, at + i
            return FAULT
    return at + size


@kernel("boolean(uint8[::1], int64, int64)")
def _digit(buf, at, end):
    return at < end and 0x30 <= buf[at] <= 0x39


@kernel("int64(uint8[::1], int64, int64, int64[::1])")
def _number_fault(buf, at, end, fault):
    """Walk a JSON number from `at`; returns the position behind it, or -1 with fault = (code, position)."""
    if buf[at] == 0x2D:
        at += 1
    wanted = True
    if at < end and buf[at] == 0x30:
        at += 1
        wanted = False
    else:
        while _digit(buf, at, end):
            at += 1
            wanted = False
    if not wanted and at < end and buf[at] == 0x2E:
        at += 1
        wanted = True
        while _digit(buf, at, end):
            at += 1
            wanted = False
    if not wanted and at < end and (buf[at] | 0x20) == 0x65:
        at += 1
        wanted = True
        if at < end and (buf[at] == 0x2B or buf[at] == 0x2D):
            at += 1
        while _digit(buf, at, end):
            at += 1
            wanted = False
    if wanted:
        fault[0], fault[1] = JSON_TRUNCATED if at >= end else JSON_SYNTAX, at
        return FAULT
    return at


@kernel("boolean(uint8[::1], int64, int64, uint8[::1], int64[::1])")
def json_fault(buf, begin, end, stack, fault):
    """Whether buf[begin:end] is no JSON text (RFC 8259); then fault becomes (reject code, position in buf).

    The position is that of the first byte which no JSON text with the same beginning could have there, or `end`.
    stack: uint8, at least (end - begin) // 8 + 1 long; bit d tells whether the container at depth d is an object.
    Nesting of any depth is walked. The text must be valid UTF-8.
    """
    at = begin
    depth = np.int64(0)
    state = VALUE
    while True:
        while at < end and (buf[at] == 0x20 or buf[at] == 0x09 or buf[at] == 0x0D):
            at += 1
        if at >= end:
            if state == AFTER and depth == 0:
                return False
            fault[0], fault[1] = JSON_TRUNCATED, end
            return True
        byte = buf[at]
        if state == AFTER:
            if depth == 0:
                fault[0], fault[1] = JSON_TRAILING, at
                return True
            inside_object = (np.int64(stack[(depth - 1) >> 3]) >> ((depth - 1) & 7)) & 1 == 1
            if byte == 0x2C:
                state = NAME if inside_object else VALUE
                at += 1
                continue
            if byte == (0x7D if inside_object else 0x5D):
                depth -= 1
                at += 1
                continue
        elif state == COLON:
            if byte == 0x3A:
                at += 1
                state = VALUE
                continue
        elif state == NAME or state == FIRST_NAME:
            if byte == QUOTE:
                at = _string_fault(buf, at + 1, end, fault)
                if at < 0:
                    return True
                state = COLON
                continue
            if byte == 0x7D and state == FIRST_NAME:
                depth -= 1
                at += 1
                state = AFTER
                continue
        elif byte == 0x5D and state == FIRST_VALUE:
            depth -= 1
            at += 1
            state = AFTER
            continue
        elif byte == 0x7B or byte == 0x5B:
            bit = np.int64(1) << (depth & 7)
            kept = np.int64(stack[depth >> 3]) & ~bit
            stack[depth >> 3] = kept | (bit if byte == 0x7B else 0)
            state = FIRST_NAME if byte == 0x7B else FIRST_VALUE
            depth += 1
            at += 1
            continue
        elif byte == QUOTE:
            at = _string_fault(buf, at + 1, end, fault)
            if at < 0:
                return True
            state = AFTER
            continue
        elif byte == 0x74 or byte == 0x66 or byte == 0x6E:
            at = _literal_fault(buf, at, end, fault)
            if at < 0:
                return True
            state = AFTER
            continue
        elif byte == 0x2D or _digit(buf, at, end):
            at = _number_fault(buf, at, end, fault)
            if at < 0:
                return True
            state = AFTER
            continue
        fault[0], fault[1] = JSON_SYNTAX, at
        return True


@kernel("int64(uint8[::1], int64)")
def token_end(buf, at):
    """The position behind the token of valid JSON that begins at `at`: a mark, a string, a literal or a number."""
    byte = buf[at]
    if byte == QUOTE:
        at += 1
        while buf[at] != QUOTE:
            at += 2 if buf[at] == BACKSLASH else 1
        return at + 1
    if byte == 0x7B or byte == 0x7D or byte == 0x5B or byte == 0x5D or byte == 0x2C or byte == 0x3A:
        return at + 1
    while buf[at] > 0x20 and buf[at] != 0x2C and buf[at] != 0x5D and buf[at] != 0x7D:
        at += 1
    return at


@kernel("int64(uint8[::1], int64, int64, int64)")
def compact(buf, at, end, to):
    """Write the valid JSON text buf[at:end] to buf[to:], without white space and with canonical escapes.

    Returns the position behind the copy, which is never longer than the text. `to` lies behind `end`, and there is
    room for the text and PADDING more. Afterwards two strings of the copy are equal exactly if their bytes are.
    """
    while at < end:
        byte = buf[at]
        if byte <= 0x20:
            at += 1
            continue
        stop = token_end(buf, at)
        if byte == QUOTE:
            buf[to] = QUOTE
            to = canonical_content(buf, at + 1, stop - 1, buf, to + 1)
            buf[to] = QUOTE
            to += 1
        else:
            for i in range(at, stop):
                buf[to] = buf[i]
                to += 1
        at = stop
    return to


@kernel("int64(uint8[::1], int64, int64, int64)")
def original_position(buf, at, copy, target):
    """The position of the token in the text at `at` whose counterpart in its compact copy at `copy` is at `target`."""
    while True:
        while buf[at] <= 0x20:
            at += 1
        if copy >= target:
            return at
        at = token_end(buf, at)
        copy = token_end(buf, copy)
