"""What is printed, and that nothing in it can act on a terminal."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.cli.options import storage_options
from transformer.cli.render import printable, show, show_error
from transformer.errors import SourceError, UsageError


def test_control_characters_are_escaped() -> None:
    assert printable("a\x1b[31mred\x07\u202e\u2028\x9b\r\n\tüß漢😀") == (
        "a\\x1b[31mred\\x07\\u202e\\u2028\\x9b\\r\n\tüß漢😀"
    )


@given(st.text(st.characters(codec=None, exclude_categories=[])))
def test_nothing_that_a_terminal_acts_on_is_left(text: str) -> None:
    shown = printable(text)
    assert shown.replace("\n", "").replace("\t", "").isprintable()
    shown.encode("utf-8")


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_what_is_printable_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_a_result_is_one_line_of_ascii_json(capsys: pytest.CaptureFixture[str]) -> None:
    show({"name": "ü\x1b"}, lambda: "unused", as_json=True)
    out = capsys.readouterr().out
    assert out.isascii()
    assert out.count("\n") == 1
    assert json.loads(out) == {"name": "ü\x1b"}


def test_a_result_as_text_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    show({}, lambda: "table \x1b[2J\nnext", as_json=False)
    assert capsys.readouterr().out == "table \\x1b[2J\nnext\n"


def test_an_error_shows_message_and_remedy_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    show_error(SourceError("file \x1b is damaged", remedy="Copy it again."), debug=False)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "error: file \\x1b is damaged\nCopy it again.\n"


def test_a_bug_is_one_line_and_how_to_report_it(capsys: pytest.CaptureFixture[str]) -> None:
    show_error(KeyError("x\ny"), debug=False)
    err = capsys.readouterr().err
    assert err.startswith("error: this is a bug: KeyError: 'x\\ny'\n")
    assert "--debug" in err
    assert "Traceback" not in err


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise KeyError("x")
    except KeyError as error:
        show_error(error, debug=True)
    assert "Traceback" in capsys.readouterr().err


def test_storage_options_nest_and_know_json() -> None:
    given_options = [
        "anon=true",
        "endpoint_url=http://h:1/a=b",
        "client_kwargs.region_name=eu-west-1",
        "config_kwargs.retries=3",
    ]
    assert storage_options(given_options) == {
        "anon": True,
        "endpoint_url": "http://h:1/a=b",
        "client_kwargs": {"region_name": "eu-west-1"},
        "config_kwargs": {"retries": 3},
    }
    assert storage_options(None) == {}


@pytest.mark.parametrize("wrong", [["anon"], ["=x"], ["a..b=1"], ["a=1", "a=2"], ["a=1", "a.b=2"], ["a.b=2", "a=1"]])
def test_storage_options_that_mean_nothing_are_refused(wrong: list[str]) -> None:
    with pytest.raises(UsageError, match="--storage-option"):
        storage_options(wrong)
