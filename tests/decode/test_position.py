"""Paths of bytes and redaction, compared with a second reading of the same lines."""

from __future__ import annotations

import json

import pytest
from decode_compare import decode
from decode_examples import marked, table
from decode_strategies import Members, Writer, items, lines, mutations, names
from hypothesis import given
from hypothesis import strategies as st

from transformer.decode.position import MAX_NAME, MAX_STEPS, Every, path_at, path_text, redact
from transformer.decode.reference import Reference
from transformer.decode.reference_json import FaultError, Kind, Node, read_json
from transformer.errors import Verdict
from transformer.schema.table import Path


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ((), ""),
        (("orders", 2, "qty"), "orders[2].qty"),
        (("orders", Every.ELEMENT, "qty"), "orders[].qty"),
        (("m", Every.VALUE, "x"), "m{}.x"),
        (("weird.name", "x"), '["weird.name"].x'),
        (("a", "x y", "", "1st", "_b2"), 'a["x y"][""]["1st"]._b2'),
        (('q"\\',), r'["q\"\\"]'),
        (("größe", "日本"), '["größe"]["日本"]'),
        (("\x00\n\x7f\u202e\u2028",), r'["\u0000\n\u007f\u202e\u2028"]'),
        (("n" * MAX_NAME,), "n" * MAX_NAME),
        (("n" * (MAX_NAME + 1),), f'["{"n" * MAX_NAME}…"]'),
        (("a", *[0] * 100), "a" + "[0]" * (MAX_STEPS - 1) + "…"),
    ],
)
def test_a_path_is_written_so_that_it_can_be_read(steps: tuple[str | int | Every, ...], text: str) -> None:
    assert path_text(steps) == text


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('@{"Item":{"a":{"S":"x"}}}', ""),
        ('{"It@em":{"a":{"S":"x"}}}', ""),
        ('{"Item":@{"a":{"S":"x"}}}', ""),
        ('{"Item":{@"a":{"S":"x"}}}', "a"),
        ('{"Item":{"a"@:{"S":"x"}}}', "a"),
        ('{"Item":{"a": @ {"S":"x"}}}', "a"),
        ('{"Item":{"a":{"@S":"x"}}}', "a"),
        ('{"Item":{"a":{"S":"x"@}}}', "a"),
        ('{"Item":{"a":{"S":"x"}@}}', ""),
        ('{"Item":{"a":{"S":"x"}@,"b":{"S":"x"}}}', ""),
        ('{"Item":{"a":{"S":"x"},@ "b":{"S":"x"}}}', ""),
        ('{"Item":{"a":{"S":"x"},"@b":1}}', "b"),
        ('{"Item":{"a":{"M":@{"b":{"S":"x"}}}}}', "a"),
        ('{"Item":{"a":{"M":{"b":{"S":"@x"}}}}}', "a.b"),
        ('{"Item":{"a":{"M":{"b":{"S":"x"}@}}}}', "a"),
        ('{"Item":{"a":{"L":@[{"S":"x"}]}}}', "a"),
        ('{"Item":{"a":{"L":[{"S":"x"}@,{"S":"x"}]}}}', "a"),
        ('{"Item":{"a":{"L":[{"S":"x"},@{"S":"x"}]}}}', "a[1]"),
        ('{"Item":{"a":{"L":[{"S":"x"},{"M":{"q":{"NS":["1",@"2"]}}}]}}}', "a[1].q[1]"),
        ('{"Item":{"a":{"SS":["x", @1]}}}', "a[1]"),
        ('{"Item":{"\\u0061":{"\\u004d":{"x.y":{"N":@"1"}}}}}', 'a["x.y"]'),
        ('{"Item":{"a":{"S":@{"b":{"S":"x"}}}}}', "a"),
        ('{"Item":{"a":{"X":{"b":{"M":@{"c":1}}}}}}', "a"),
        ('{"Item":{"S":{"M":{"S":{"S":"@"}}}}}', "S.S"),
        ('{"x":{"a":{"S":"@x"}}}', ""),
        ('{"Item":{"a":{"S":"x@', "a"),
        ('{"Item":{"a":{"S":"x@\\', "a"),
        ('{"Item":{"a":{"M":{"b@', "a.b"),
        ('{"Item":{"a":{"M":{"b":@', "a.b"),
        ('{"Item":{"a":{"L":[{"S":"x"},@', "a"),
        ('{"Item":{"a":{"S":"x"}}}@{"Item":{"a":{"S":"x"}}}', ""),
        ('{"Item":{"a":{"S":"x"}}}{"Item":{"a":{"S":"@x"}}}', ""),
        ('{"Item":{"a":{"S":tru@x}}}', "a"),
        ('{"Item":{"a":{"S":"x"@]}}', "a"),
        ('{"Item":{"a\\ud800":{"S":@1}}}', r'["a�"]'),
        ("[" * 9 + "@", ""),
        ('}}]]"@', ""),
    ],
)
def test_a_byte_belongs_to_the_innermost_attribute(text: str, path: str) -> None:
    line, offset = marked(text)
    assert path_at(line, offset) == path


def attributes(line: bytes) -> list[tuple[int, int, str]]:
    """Start, end and path of every attribute and element of a valid line, outer before inner."""
    found: list[tuple[int, int, str]] = []

    def typed(node: Node, steps: tuple[str | int, ...]) -> None:
        for tag, _, inner in node.members():
            if tag == "M" and inner.kind is Kind.OBJECT:
                members(inner, steps)
            elif inner.kind is Kind.ARRAY:
                for index, element in enumerate(inner.values):
                    found.append((element.offset, element.end, path_text((*steps, index))))
                    typed(element, (*steps, index))

    def members(node: Node, steps: tuple[str | int, ...]) -> None:
        for name, offset, value in node.members():
            found.append((offset, value.end, path_text((*steps, name))))
            typed(value, (*steps, name))

    for _, _, item in read_json(line).members():
        members(item, ())
    return found


@given(items(), st.sampled_from(("compact", "spaced", "wild")), st.integers(0, 99), st.data())
def test_paths_agree_with_a_reading_of_the_whole_line(
    item: Members, style: str, seed: int, data: st.DataObject
) -> None:
    line = Writer(style, seed).line(item)
    spans = attributes(line)
    for offset in data.draw(st.lists(st.integers(0, len(line) - 1), min_size=1, max_size=20)):
        expected = [path for start, end, path in spans if start <= offset < end]
        assert path_at(line, offset) == (expected[-1] if expected else "")


@given(st.binary(max_size=30) | lines().flatmap(mutations), st.integers(-2, 400))
def test_any_bytes_have_a_path(line: bytes, offset: int) -> None:
    path_at(line, offset).encode()


def test_a_path_in_a_long_and_deep_line_is_short() -> None:
    line = b'{"Item":{"a":' + b'{"L":[' * 50_000
    assert len(path_at(line, len(line))) < 300


@pytest.mark.parametrize(
    ("line", "drop", "kept"),
    [
        ('{"Item":{"a":{"S":"x"},"b":{"S":"y"}}}', ["a"], '{"Item":{"b":{"S":"y"}}}'),
        ('{"Item":{"a":{"S":"x"},"b":{"S":"y"}}}', ["b"], '{"Item":{"a":{"S":"x"}}}'),
        ('{"Item":{"a":{"S":"x"}, "b":{"S":"y"} ,"c":{}}}', ["b"], '{"Item":{"a":{"S":"x"} ,"c":{}}}'),
        ('{"Item":{"a":{"S":"x"},"b":{"S":"y"}}}', ["a", "b"], '{"Item":{}}'),
        ('{"Item":{"a":1,"b":2,"c":3}}', ["a", "c"], '{"Item":{"b":2}}'),
        ('{"Item":{"a":1,"b":2,"c":3}}', ["b", "c"], '{"Item":{"a":1}}'),
        ('{"Item":{"a":1,"\\u0061":2,"c":3}}', ["a"], '{"Item":{"c":3}}'),
        ('{"Item":{"a":1},"Item":{"a":2,"b":3}}', ["a"], '{"Item":{},"Item":{"b":3}}'),
        ('{"Item":{"a":{"M":{"b":{"S":"x"},"c":{"N":"x"}}}}}', ["a.b"], '{"Item":{"a":{"M":{"c":{"N":"x"}}}}}'),
        ('{"Item":{"a":{"S":"x"}}}', ["a.b"], '{"Item":{"a":{"S":"x"}}}'),
        ('{"Item":{"a":{"L":[{"M":{"b":1}},{"M":{"c":2,"b":3}},{"S":"x"}]}}}', ["a.b"],
         '{"Item":{"a":{"L":[{"M":{}},{"M":{"c":2}},{"S":"x"}]}}}'),
        ('{"Item":{"a":{"L":[{"M":{"b":1}},{"L":[{"M":{"b":2}}]}]}}}', ["a.b"],
         '{"Item":{"a":{"L":[{"M":{}},{"L":[{"M":{}}]}]}}}'),
        ('{"Item":{"a":{"M":{"b":1},"M":{"b":2}}}}', ["a.b"], '{"Item":{"a":{"M":{},"M":{}}}}'),
        ('{"Item":{"a":{"b":{"S":"x"}},"c":1}}', ["a.b"], '{"Item":{"c":1}}'),
        ('{"Item":{"a":"x","c":1}}', ["a.b"], '{"Item":{"c":1}}'),
        ('{"Item":{"a":{"S":{"b":"x"}},"c":1}}', ["a.b"], '{"Item":{"c":1}}'),
        ('{"Item":{"a":{"M":{"b":{"X":{"c":"x"}},"d":1}}}}', ["a.b.c"], '{"Item":{"a":{"M":{"d":1}}}}'),
        ('{"Item":{"a":{"L":[{"M":{"b":1}},"b"]},"c":1}}', ["a.b"], '{"Item":{"c":1}}'),
        ('{"Item":{}}', ["a"], '{"Item":{}}'),
        ('{"Item":{"x":1}', ["a"], None),
        ('{"Item":{"a":{"S":"\\ud800"}}}', ["b"], None),
        ('{"a":{"S":"x"}}', ["b"], None),
        ('{"Other":{"a":{"S":"x"}},"Item":{}}', ["b"], None),
        ('{"Item":"secret"}', ["b"], None),
        ('["secret"]', ["b"], None),
        ("not json", [], "not json"),
    ],
)  # fmt: skip
def test_redaction_cuts_the_members_and_nothing_else(line: str, drop: list[str], kept: str | None) -> None:
    redacted = redact(line.encode(), [tuple(path.split(".")) for path in drop])
    assert redacted == (None if kept is None else kept.encode())


def without(members: Members, path: Path) -> Members:
    """An item without what a path names: the rule once more, on Python values."""
    result: Members = []
    for name, (tag, content) in members:
        if name != path[0]:
            result.append((name, (tag, content)))
        elif path[1:] and tag == "M":
            result.append((name, (tag, without(content, path[1:]))))
        elif path[1:] and tag == "L":
            cut = [(t, without(inner, path[1:])) if t == "M" else (t, inner) for t, inner in content]
            result.append((name, (tag, cut)))
        elif path[1:]:
            result.append((name, (tag, content)))
    return result


def paths_in(members: Members) -> list[Path]:
    """The paths of all attributes, through maps and through maps in lists."""
    found: list[Path] = []
    for name, (tag, content) in members:
        maps = [content] if tag == "M" else [inner for t, inner in content if t == "M"] if tag == "L" else []
        found += [(name,), *((name, *rest) for inner in maps for rest in paths_in(inner))]
    return found


@given(items(), st.sampled_from(("compact", "spaced", "ascii")), st.data())
def test_redaction_is_removal(item: Members, style: str, data: st.DataObject) -> None:
    known = st.sampled_from(paths_in(item)) if item else st.nothing()
    drop = data.draw(st.lists(known | st.tuples(names()), max_size=3))
    kept = item
    for path in drop:
        kept = without(kept, path)
    redacted = redact(Writer(style).line(item), drop)
    assert redacted is not None
    assert json.loads(redacted) == json.loads(Writer(style).line(kept))


@given(lines(), st.lists(st.tuples(names()), min_size=1, max_size=3))
def test_redacted_lines_hold_no_dropped_name_and_stay_json(line: bytes, drop: list[Path]) -> None:
    redacted = redact(line, drop)
    try:
        root = read_json(line)
    except FaultError:
        assert redacted is None
        return
    if redacted is None:
        assert root.kind is not Kind.OBJECT or any(
            name != "Item" or v.kind is not Kind.OBJECT for name, _, v in root.members()
        )
        return
    for _, _, item in read_json(redacted).members():
        assert not {(name,) for name, _ in item.names} & set(drop)


@pytest.mark.parametrize(
    ("line", "drop", "path"),
    [
        ('{"Item":{"card":{"M":{"4111":{"X":1}}}}}', [("card",)], "card"),
        ('{"Item":{"card":{"M":{"num":{"M":{"4111":{"X":1}}}}}}}', [("card", "num")], "card.num"),
        ('{"Item":{"card":{"L":[{"M":{"4111":{"X":1}}}]}}}', [("card",)], "card"),
        ('{"Item":{"a":{"L":[{"M":{"b":{"M":{"4111":{"X":1}}}}}]}}}', [("a", "b")], "a[0].b"),
        ('{"Item":{"card":{"M":{"4111":{"X":1}}}}}', [("other",)], 'card["4111"]'),
    ],
)
def test_names_below_a_dropped_path_are_not_told(line: str, drop: list[tuple[str, ...]], path: str) -> None:
    assert path_at(line.encode(), line.index('"X"'), drop) == path


def test_a_verdict_tells_no_name_below_a_dropped_path() -> None:
    of = table(drop=(("card",),))
    line = b'{"Item":{"id":{"S":"1"},"card":{"M":{"4111":{"X":1}}}}}'
    for engine in (Reference(of, version=0).judge(line), decode(of, line)[1][0][3]):
        assert isinstance(engine, Verdict)
        assert engine.path == "card"
