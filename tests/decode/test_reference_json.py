"""The twin's JSON reader: what it accepts, and that it names the first byte at which no JSON text could go on."""

from __future__ import annotations

import functools
import itertools
import json
from pathlib import Path

import pytest
from decode_strategies import lines, mutations
from hypothesis import example, given
from hypothesis import strategies as st

from transformer.decode.reference_json import FaultError, Kind, Node, read_json
from transformer.errors import RejectCode

CORPUS = Path(__file__).parents[3] / "shared" / "data" / "json-suite" / "test_parsing"


def outcome(line: bytes) -> tuple[RejectCode, int]:
    """The verdict of the reader: OK at 0, or code and offset."""
    try:
        read_json(line)
    except FaultError as fault:
        return fault.code, fault.offset
    return RejectCode.OK, 0


def _refused(text: str) -> None:
    raise ValueError(text)


def oracle(line: bytes) -> object:
    """The value by the standard library, made strict: objects are lists of pairs, numbers texts. Else ValueError."""
    text = line.decode("utf-8")
    value = json.loads(text, parse_constant=_refused, parse_int=str, parse_float=str, object_pairs_hook=list)
    json.dumps(value, ensure_ascii=False).encode()  # UnicodeEncodeError, a ValueError, where a surrogate is alone
    return value


def accepts(line: bytes) -> bool:
    try:
        oracle(line)
    except ValueError:
        return False
    return True


def as_value(node: Node, line: bytes) -> object:
    """A node as `oracle` would give it."""
    match node.kind:
        case Kind.OBJECT:
            return [(name, as_value(value, line)) for name, _, value in node.members()]
        case Kind.ARRAY:
            return [as_value(value, line) for value in node.values]
        case Kind.STRING:
            return node.text
        case Kind.NUMBER:
            return line[node.offset : node.end].decode()
        case _:
            return {Kind.TRUE: True, Kind.FALSE: False, Kind.NULL: None}[node.kind]


# `@` stands before the byte of the fault, or at the end of a line that ends too early, and is taken out.
FAULTS = {
    RejectCode.JSON_SYNTAX: (
        *("@x", "tru@x", "t@RUE", "@TRUE", "n@il", "[tru@]", "[nul@L]", "@NaN", "@Infinity", "-@Infinity", "-@a"),
        *(
            "@+1",
            "@.5",
            "1.@e5",
            "1.@.",
            "1e@x",
            "1e+@-",
            "[0@1]",
            "[-0@1]",
            "[1.@]",
            "[1e@]",
            "[1e+@,",
            "[1@a]",
            "[1 @1]",
        ),
        *("{@,}", "{@a:1}", "{@1:2}", '{"a"@}', '{"a"@,', '{"a" @"b"', '{"a":@}', '{"a":1,@}', '{"a":1@]', '{"a":1@:'),
        *("[@}", "[@,", "[1,@]", "[1@:", "@]", "@,", "@:", "@'a'", "@/**/1", "[1@//", "@\ufeff{}", "@\xa01", "@\x0c1"),
        *(r'"\@x"', r'"\u12@G4"', r'"\u@q"', r'"\u000@ "', r'["\u@"]', r'"\@U0041"', '"a@\x01"', '"a@\tb"', '"@\x00"'),
        *("[1@\x0b]", "[@\x1f1]", '"\\@\x08"'),
    ),
    RejectCode.JSON_TRUNCATED: (
        *("-@", "1.@", "1e@", "1E+@", "t@", "tru@", "[nul@", "[@", "[[]@", "[1@", "[1 @", "[1,@", "[1, @", "{@"),
        *('{"@', '{"a"@', '{"a":@', '{"a":1@', '{"a":1,@', '{"a":[{@', "@", " @"),
        *('"@', '"a@', '"\\@', r'"\u@', r'"\u00@', r'"\ud8@'),
    ),
    RejectCode.JSON_TRAILING: (
        *("0@1", "-0@1", "0@0", "0@x10", "1@a", "1 @2", "1.5@.5", "1e5@e", "true@x", "true@,", "null\t@null"),
        *("{}@{}", "{} @}", "[]@]", '""@"', "{}@\x00", "{}\r @\x0c", "{}@\ufeff"),
    ),
    RejectCode.LONE_SURROGATE: (
        *(r'"@\ud800"', r'"@\udc00"', r'"x@\uDBFF"', r'"@\ud800\ud800\udc00"', r'"@\ud800\u0041"', r'"@\ud800x\udc00"'),
        *(r'"@\ud800\n"', r'"\ud83d\ude00@\ude00"', r'{"@\udfff":1}', r'"@\ud800\udc0x"', '"@\\ud800\x01'),
        *(r'["@\ud800', r'"@\ud800\u', r'"@\ud800\udc0'),
    ),
}


@pytest.mark.parametrize(("code", "marked"), [(code, marked) for code, texts in FAULTS.items() for marked in texts])
def test_a_fault_is_named_at_its_first_byte(code: RejectCode, marked: str) -> None:
    before, _, after = marked.partition("@")
    assert outcome(f"{before}{after}".encode()) == (code, len(before.encode()))


@pytest.mark.parametrize(
    ("line", "offset"),
    [
        (b"\xff", 0),
        (b'{"a":"\xc3"}', 6),
        (b'"\xe2\x82"', 1),
        (b'"\xed\xa0\x80"', 1),
        (b'"\xc0\xaf"', 1),
        (b'"\xf4\x90\x80\x80"', 1),
        (b'"\xf0\x9f\x98', 1),
        (b'nonsense "\\ud800" \x80', 18),
    ],
)
def test_utf8_is_judged_before_any_json(line: bytes, offset: int) -> None:
    assert outcome(line) == (RejectCode.INVALID_UTF8, offset)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('{"Item":[', "]}")])
def test_nesting_has_no_limit(opening: str, closing: str) -> None:
    deep = 250_000 // len(opening)
    open_only = opening.encode() * deep
    assert outcome(open_only) == (RejectCode.JSON_TRUNCATED, len(open_only))
    inside = b"0" if closing == "}" else b""
    assert outcome(open_only + inside + closing.encode() * deep) == (RejectCode.OK, 0)
    wrong = {"]": b"}", "}": b"]", "]}": b"}"}[closing]
    assert outcome(open_only + inside + wrong) == (RejectCode.JSON_SYNTAX, len(open_only + inside))


def test_a_number_of_any_length_is_read() -> None:
    assert outcome(b"-" + b"9" * 100_000 + b".5e" + b"0" * 1000) == (RejectCode.OK, 0)


def test_the_corpus_is_accepted_as_by_the_standard_library() -> None:
    if not CORPUS.is_dir():
        pytest.skip("the JSON test suite is not beside the checkout")
    for file in sorted(CORPUS.glob("*.json")):
        line = file.read_bytes().replace(b"\n", b" ")
        try:
            expected = accepts(line)
        except RecursionError:
            expected = (
                False  # nested brackets that the standard library cannot follow; both such files are never closed
            )
        assert (outcome(line)[0] is RejectCode.OK) == expected, file.name


@given(lines())
@example(b'{"a":1,"a":[true,false,null,-0.0e-0]}')
def test_lines_are_accepted_and_read_as_by_the_standard_library(line: bytes) -> None:
    code, _ = outcome(line)
    if len(line) > 1500:
        return  # beyond the recursion of the standard library
    assert (code is RejectCode.OK) == accepts(line)
    if code is RejectCode.OK:
        assert as_value(read_json(line), line) == oracle(line)


@given(lines())
def test_every_value_knows_its_bytes(line: bytes) -> None:
    if outcome(line)[0] is not RejectCode.OK:
        return
    todo = [read_json(line)]
    while todo:
        node = todo.pop()
        piece = line[node.offset : node.end]
        assert as_value(read_json(piece), piece) == as_value(node, line)
        for name, offset in node.names:
            assert line[offset : offset + 1] == b'"'
            assert json.JSONDecoder().raw_decode(line[offset:].decode())[0] == name
        todo.extend(node.values)


@given(lines().filter(lambda line: b"\\u" not in line), st.binary(max_size=6))
def test_what_follows_a_fault_does_not_move_it(line: bytes, more: bytes) -> None:
    """Except for the encoding, which is judged first."""
    code, offset = outcome(line)
    if code not in (RejectCode.JSON_SYNTAX, RejectCode.JSON_TRAILING):
        return
    # The faulty character as a whole; what comes after it is replaced.
    faulty = line[: offset + len(line[offset:].decode()[0].encode())]
    changed = faulty + more.decode("utf-8", "ignore").encode()
    assert outcome(changed) == (code, offset)
    assert outcome(faulty[:offset])[0] in (RejectCode.OK, RejectCode.JSON_TRUNCATED)


@given(st.data())
def test_a_prefix_of_a_text_is_truncated_at_most(data: st.DataObject) -> None:
    line = data.draw(lines())
    if outcome(line)[0] is not RejectCode.OK or not line.isascii() or b"\\ud" in line.lower():
        return
    cut = data.draw(st.integers(0, len(line)))
    assert outcome(line[:cut]) in ((RejectCode.OK, 0), (RejectCode.JSON_TRUNCATED, cut))


@given(st.data())
def test_any_bytes_get_a_verdict_inside_the_line(data: st.DataObject) -> None:
    line = data.draw(st.binary(max_size=40) | lines().flatmap(mutations))
    _, offset = outcome(line)
    assert 0 <= offset <= len(line)


def continuations(prefix: str) -> itertools.chain[str]:
    """Endings of which one completes `prefix` if anything can: end the token, supply what is owed, close."""
    tokens = ["", "0"]
    if '"' in prefix:
        tokens += ['"', 'n"', '0"', '00"', '000"', '0000"']
    if prefix.strip('[]{}":, 0123456789.-+eE'):
        tokens += ["rue", "ue", "e", "alse", "lse", "se", "ull", "ll", "l"]
    owed = ["", ":0", '"":0'] if "{" in prefix else [""]
    depth = prefix.count("[") + prefix.count("{")
    closers = ["".join(marks) for size in range(depth + 1) for marks in itertools.product("]}", repeat=size)]
    return itertools.chain(token + debt + closing for token, debt, closing in itertools.product(tokens, owed, closers))


@functools.cache
def can_become_json(prefix: str) -> bool:
    return any(accepts((prefix + ending).encode()) for ending in continuations(prefix))


@pytest.mark.parametrize(
    ("start", "alphabet", "length"),
    [
        ("", '[]{}",:0 ', 4),
        ("[", '[]{}",:1', 3),
        ('{"":', '[]{}",:1', 3),
        ('{"":0', '[]{}",: ', 3),
        ("", "-0.1eE+", 5),
        ("[", "-01.e+,]", 4),
        ("", "truefalsn", 4),
        ("[", "nul]t,", 5),
        ('"', '\\u0bx/"', 5),
        ('"\\u', '0aFgx"', 5),
        ('{"\\', 'u0n"x:', 3),
    ],
)
def test_a_text_is_refused_exactly_when_nothing_can_complete_it(start: str, alphabet: str, length: int) -> None:
    """Brute force over all texts of an alphabet: a byte is a fault if and only if no ending makes the text JSON."""
    alive = [start]
    for _ in range(length):
        longer = [prefix + letter for prefix in alive for letter in alphabet]
        alive = []
        for text in longer:
            code, offset = outcome(text.encode())
            if code in (RejectCode.OK, RejectCode.JSON_TRUNCATED):
                assert offset == (0 if code is RejectCode.OK else len(text))
                assert can_become_json(text), text
                assert (code is RejectCode.OK) == accepts(text.encode()), text
                alive.append(text)
            else:
                assert offset == len(text) - 1, text
                assert not can_become_json(text), text
                complete = accepts(text[:-1].encode())
                assert (code is RejectCode.JSON_TRAILING) == complete, text
