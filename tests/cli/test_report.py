"""The report: what stands in it, that it is one file, and that nothing in it acts."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from cli.conftest import Outcome
from job.twin import bad_user, user, write_export

from transformer.cli.report import page
from transformer.errors import UsageError

pytestmark = pytest.mark.timeout(120)

Command = Callable[..., Outcome]

HOSTILE = "<script>alert(1)</script>' onload='x"


class Checker(HTMLParser):
    """Notes every tag and attribute, and whether tags are closed in order."""

    VOID = ("meta", "br")

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.names: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names.update(name for name, _ in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def checked(text: str) -> Checker:
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert not checker.open
    assert set(checker.tags) <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "br", "span", "ul", "li", "b", "i"),
        *("div", "table", "tr", "th", "td"),
    }
    assert checker.names <= {"lang", "charset", "name", "content", "http-equiv", "class", "style"}
    assert "http://" not in text
    assert "https://" not in text
    return checker


@pytest.fixture
def record(command: Command, tmp_path: Path) -> dict[str, object]:
    export = write_export(tmp_path, [[user(1), bad_user(2), user(3)], [user(4)]])
    done = command("snapshot", export, "--to", "null:", "--json", "--report", tmp_path / "run.html")
    made: dict[str, object] = json.loads(done.out)
    return made


def test_a_run_writes_its_report(record: dict[str, object], tmp_path: Path) -> None:
    said = checked((tmp_path / "run.html").read_text()).text
    for text in ("complete with rejects", "3rows", "1rejects", "2 / 2files loaded", "OUT_OF_RANGE", "decode", "age"):
        assert text in said
    assert "differs" not in said
    slowest = record["slowest_files"]
    assert isinstance(slowest, list)
    assert sorted(file["items_read"] for file in slowest) == [1, 3]
    assert all(file["seconds"] > 0 for file in slowest)


def test_the_command_makes_the_same_page(command: Command, record: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps(record))
    done = command("report", tmp_path / "result.json", "-o", tmp_path / "again.html")
    assert done.code == 0, done.err
    assert (tmp_path / "again.html").read_text() == (tmp_path / "run.html").read_text()


def test_names_act_on_nothing(record: dict[str, object]) -> None:
    record |= {"table": HOSTILE, "export": HOSTILE, "warnings": [HOSTILE], "rejects": HOSTILE, "status": HOSTILE}
    record["files_not_loaded"] = [{"file": HOSTILE, "state": "partly"}]
    record["error"] = {"message": HOSTILE, "remedy": HOSTILE, "file": HOSTILE}
    assert HOSTILE in checked(page(record)).text


def test_books_that_do_not_balance_are_said_so(record: dict[str, object]) -> None:
    record |= {"items_in_manifest": 9, "rows_inserted": 1}
    said = checked(page(record)).text
    assert "differs from the items read" in said
    assert "rows and rejects are 2, not 4" in said


def test_a_failed_run_has_a_report_too(command: Command, tmp_path: Path) -> None:
    done = command("snapshot", tmp_path / "nowhere", "--to", "null:", "--report", tmp_path / "run.html")
    assert done.code == 3
    assert "does not exist" in checked((tmp_path / "run.html").read_text()).text


def test_a_report_that_cannot_be_written_hides_no_result(command: Command, tmp_path: Path) -> None:
    export = write_export(tmp_path, [[user(1)]])
    done = command("snapshot", export, "--to", "null:", "--report", tmp_path / "no" / "run.html")
    assert done.code == 2
    assert done.out.startswith("complete: ")
    assert "the report cannot be written" in done.err


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"status": "complete"}'])
def test_what_is_no_result_is_refused(command: Command, tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    done = command("report", tmp_path / "x.json", "-o", tmp_path / "x.html")
    assert (done.code, "--json" in done.err) == (2, True)
    assert not (tmp_path / "x.html").exists()
    with pytest.raises(UsageError):
        page({})


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(BROWSER is None, reason="no chromium is installed here")
@pytest.mark.parametrize("size", ["390,2000", "1280,2000"])
def test_a_browser_draws_it(record: dict[str, object], tmp_path: Path, size: str) -> None:
    assert BROWSER is not None
    shot = tmp_path / "shot.png"
    subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         f"--window-size={size}", f"--screenshot={shot}", (tmp_path / "run.html").as_uri()],
        check=True, capture_output=True, timeout=100,
    )  # fmt: skip
    assert shot.stat().st_size > 5000
