"""Schema files: YAML text to a resolved table, or one error with every fault, its line and what to write instead."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from transformer.errors import SchemaError
from transformer.schema.document import Document, Number, read_document
from transformer.schema.faults import Faults, Place
from transformer.schema.hints import did_you_mean
from transformer.schema.model import SchemaModel
from transformer.schema.resolve import resolve
from transformer.schema.writer import NOT_PROVEN

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    from transformer.schema.table import Table


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """What one schema file says.

    path: the file, as given.
    table: the destination.
    key_proven: False where `schema infer` has marked the key as one of two that fit the data (`# not proven`).
    source, stream, to: where the exports are, the Kinesis stream, the destination; empty where the file says nothing.
    """

    path: str
    table: Table
    source: str = ""
    stream: str = ""
    to: str = ""
    key_proven: bool = True


def load_schema(path: str | FilePath) -> Table:
    """The table of a schema file.

    Raises SchemaError with every fault of the file: file and line, what is wrong, and what to write instead.
    """
    return load_schema_file(path).table


def load_proven_schema(path: str | FilePath) -> Table:
    """The table of a schema file, for changes that come later: an item is known by its key alone there.

    Raises SchemaError as `load_schema` does, and when the file says that its key is not proven: under a key that is too
    short, the changes of one item would take the place of another, and no count of keys would tell.
    """
    found = load_schema_file(path)
    if not found.key_proven:
        raise SchemaError(
            f"{path}: the key of table {found.table.name} is not proven: two keys fit the data it was inferred from",
            remedy="Settle it with dynamo2ch schema infer EXPORT --key PK[,SK] -o FILE, or remove `# not proven` from "
            "the line of `key:` if you know that it is the key of the DynamoDB table.",
        )
    return found.table


def load_schema_file(path: str | FilePath) -> SchemaFile:
    """Everything that a schema file says. Raises SchemaError as `load_schema` does."""
    try:
        content = FilePath(path).read_bytes()
    except OSError as error:
        raise SchemaError(
            f"{path}: the schema file cannot be read: {error.strerror or error}",
            remedy="Give the path of a schema file (--schema); there are examples in schemas/.",
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SchemaError(f"{path}:{line}: the file is not UTF-8", remedy="Save it as UTF-8.") from error
    return parse_schema(text, str(path))


def parse_schema(text: str, name: str) -> SchemaFile:
    """What a YAML text says. name: what the errors call it. Raises SchemaError as `load_schema` does."""
    faults = Faults(name)
    document = read_document(text, faults)
    faults.lines = document.lines
    if not faults.found and not isinstance(document.data, dict):
        what = "the file is empty" if document.data is None else "the file is no mapping"
        faults.add((), what, "Begin with table: ..., key: [...], columns: ...")
    faults.check()
    try:
        model = SchemaModel.model_validate(document.data)
    except ValidationError as error:
        for details in _one_per_place(error.errors(include_url=False), document):
            _note(details, document, faults)
        faults.check()
        raise
    table = resolve(model, faults)
    return SchemaFile(
        name, table, model.source or "", model.stream or "", model.to or "", _NOT_PROVEN.search(text) is None
    )


_NOT_PROVEN = re.compile(rf"^key:.*{NOT_PROVEN}[ \t]*$", re.MULTILINE)


def _one_per_place(errors: list[ErrorDetails], document: Document) -> list[ErrorDetails]:
    """The errors without those of arms of a union that were not meant: per place one, and the innermost.

    pydantic puts the arm that it tried (str, list[str]) into a place; what is given back are places of the file.
    """
    chosen: dict[Place, ErrorDetails] = {}
    for details in errors:
        place: Place = ()
        for part in details["loc"]:
            if (*place, part) in document.lines or details["type"] == "missing":
                place = (*place, part)
        if place not in chosen or details["type"] in _EMPTY:
            chosen[place] = {**details, "loc": place}
    inner = {place[:length] for place in chosen for length in range(len(place))}
    return [details for place, details in chosen.items() if details["type"] in _ABOUT_KEYS or place not in inner]


_EMPTY = ("too_short", "string_too_short")
_ABOUT_KEYS = ("missing", "extra_forbidden")


def _note(details: ErrorDetails, document: Document, faults: Faults) -> None:
    """Note in the words of a schema file what pydantic says about it."""
    place: Place = details["loc"]
    kind, found = details["type"], details["input"]
    if kind == "missing":
        _, info = _field(place)
        faults.add(place, f"{_subject(place[:-1])} has no `{place[-1]}`", _remedy(info))
        return
    if kind == "extra_forbidden":
        faults.add(place, f"{_subject(place[:-1])} has no key {str(place[-1])!r}", _instead_of_key(place, found))
        return
    _, info = _field(place)
    remedy = _remedy(info)
    key = next((part for part in reversed(place) if isinstance(part, str)), "")
    found = _at(document.data, place)
    if kind == "too_long":
        faults.add(place, f"`{key}` has more than {details['ctx']['max_length']} entries", remedy)
    elif kind in _EMPTY or found is None:
        faults.add(place, f"`{key}` is empty", remedy)
    elif kind == "literal_error" and isinstance(found, str):
        near = did_you_mean(found, re.findall(r"'([^']*)'", details["ctx"]["expected"]))
        faults.add(place, f"`{key}` cannot be {found!r}", f"{near} {remedy}".strip())
    elif isinstance(found, bool | Number):
        spelled = found.text if isinstance(found, Number) else str(found).lower()
        faults.add(place, f"`{key}` is text, not {spelled}", f'If that is the name, quote it: "{spelled}". {remedy}')
    else:
        shape = "a mapping" if isinstance(found, dict) else "a list" if isinstance(found, list) else "text"
        faults.add(place, f"`{key}` cannot be {shape}", remedy)


def _instead_of_key(place: Place, found: object) -> str:
    """What to write in place of an unknown key."""
    key = str(place[-1])
    if place == ("tables",):
        return "Several destinations in one file are not supported yet: write one schema file for each table."
    if found is None and re.search(r"[()=]", key):
        return 'A type that holds commas needs quotes, as in type: "Decimal(10, 2)".'
    model, _ = _field(place[:-1])
    known = [info.alias or name for name, info in model.model_fields.items()]
    near = did_you_mean(key, known)
    return f"{near} The keys are: {', '.join(known)}.".strip()


def _field(place: Place) -> tuple[type[BaseModel], FieldInfo | None]:
    """The innermost model at or around a place, and the field of it or of the model around that the place is."""
    model: type[BaseModel] = SchemaModel
    info: FieldInfo | None = None
    for part in place:
        if isinstance(part, int):
            continue
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        if part not in fields:
            break
        info = fields[part]
        model = next(iter(_models(info.annotation)), model)
    return model, info


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def _remedy(info: FieldInfo | None) -> str:
    return (info.description if info is not None else None) or ""


def _subject(place: Place) -> str:
    """What the mapping at a place is called in a message."""
    if not place:
        return "the file"
    if place[0] == "columns" and len(place) > 1 and isinstance(place[1], int):
        return f"column {place[1] + 1}"
    return f"`{place[-1]}`"


def _at(data: object, place: Place) -> object:
    """The value at a place that the file has."""
    for part in place:
        data = data[part]  # type: ignore[index]
    return data
