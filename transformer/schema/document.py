"""A YAML file as plain data that remembers on which line everything stands.

Plain scalars mean what they mean in the core schema of YAML 1.2, as in editors: `no`, `on` and dates are text. What
makes a file mean something else than it seems to is refused: a key that stands twice, anchors, foreign tags.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from transformer.schema.faults import Faults, Place

_PREFIX = "tag:yaml.org,2002:"
_MAX_DEPTH = 20


class _Loader(yaml.SafeLoader):
    """A YAML reader that resolves plain scalars by YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  (PyYAML's interface)


for _tag, _pattern, _first in (
    ("null", r"(?:~|null|Null|NULL|)", [*"~nN", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)", [*"tTfF"]),
    ("int", r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)", [*"-+0123456789"]),
    (
        "float",
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))",
        [*"-+.0123456789"],
    ),
):
    _Loader.add_implicit_resolver(_PREFIX + _tag, re.compile(f"^{_pattern}$"), _first)


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a YAML file as it is written. Nothing here calculates with it, so that no digit is lost."""

    text: str


@dataclass(slots=True)
class Document:
    """The content of a file.

    data: dicts, lists, str, bool, None and Number.
    lines: the line (1-based) of every place, where its value begins; for a member of a mapping, where its key stands.
    """

    data: object = None
    lines: dict[Place, int] = field(default_factory=dict)


def read_document(text: str, faults: Faults) -> Document:
    """The content of a YAML text. Notes in `faults` whatever is wrong with it, and gives what could be read."""
    document = Document()
    try:
        _check_events(text, faults)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        _note_syntax(error, text, faults)
        return document
    if node is not None:
        document.data = _value(node, (), document, faults)
    return document


def _check_events(text: str, faults: Faults) -> None:
    """Refuse what cannot be seen in the nodes, or must not become nodes: anchors and aliases, and great depth."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            faults.add_line(line, "the file is nested too deeply", "A schema file needs five levels.")
            break
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            faults.add_line(line, "anchors and aliases are not used in schema files", "Write the value out.")
    faults.check()


def _note_syntax(error: yaml.YAMLError, text: str, faults: Faults) -> None:
    """Note why the text is no YAML."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = mark.line + 1 if mark is not None else text[: getattr(error, "position", 0)].count("\n") + 1
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "this cannot be read"
    lines = text.split("\n")
    remedy = 'Quote a value that holds commas, colons, brackets or quotes, as in type: "Decimal(10, 2)".'
    if "\t" in (lines[line - 1] if line <= len(lines) else "") and r"\t" in problem:
        remedy = "YAML takes no tab there: indent with spaces."
    elif "single document" in str(error):
        problem, remedy = "there are two documents", "Write one schema file per table, without a line of ---."
    elif "special characters" in str(problem):
        remedy = "Remove the control character."
    faults.add_line(line, f"this is no YAML: {problem}", remedy)


def _value(node: yaml.Node, place: Place, document: Document, faults: Faults) -> object:
    """The plain data of a node; notes its line, and that of everything in it."""
    line = node.start_mark.line + 1
    document.lines.setdefault(place, line)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, place, document, faults)
    if isinstance(node, yaml.SequenceNode) and node.tag == f"{_PREFIX}seq":
        return [_value(child, (*place, index), document, faults) for index, child in enumerate(node.value)]
    if not isinstance(node, yaml.ScalarNode):
        faults.add_line(line, f"the tag {node.tag} means nothing here", "Remove it.")
        return None
    return _scalar(node, faults)


def _mapping(node: yaml.MappingNode, place: Place, document: Document, faults: Faults) -> dict[str, object]:
    """The members of a mapping. A key that stands twice is noted and its first value taken."""
    members: dict[str, object] = {}
    if node.tag != f"{_PREFIX}map":
        faults.add_line(node.start_mark.line + 1, f"the tag {node.tag} means nothing here", "Remove it.")
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            remedy = 'Quote a value that holds brackets or braces, as in path: ["x {y}"].'
            faults.add_line(line, "a key must be a word", remedy)
            continue
        key = key_node.value
        if key in members:
            first = document.lines[(*place, key)]
            faults.add_line(line, f"the key {key!r} stands twice (first in line {first})", "Remove one of them.")
            continue
        document.lines[(*place, key)] = line
        members[key] = _value(value_node, (*place, key), document, faults)
    return members


def _scalar(node: yaml.ScalarNode, faults: Faults) -> object:
    """A scalar by its tag."""
    line = node.start_mark.line + 1
    text: str = node.value
    match node.tag.removeprefix(_PREFIX):
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int" | "float":
            return Number(text)
        case "str":
            try:
                # YAML escapes write a character beyond U+FFFF as two, like JSON; they are one character.
                return text.encode("utf-16", "surrogatepass").decode("utf-16")
            except UnicodeDecodeError:
                faults.add_line(
                    line, "an escaped surrogate has no partner, so it is no character", "Write the character."
                )
                return ""
        case _:
            faults.add_line(line, f"the tag {node.tag} means nothing here", "Remove it.")
            return None
