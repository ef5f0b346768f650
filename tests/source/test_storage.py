"""URLs lead to places and back again, on file systems of every shape."""

from __future__ import annotations

import functools
import http.server
import threading

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from transformer.errors import SourceError, UsageError
from transformer.source.blocks import open_blocks
from transformer.source.export import find_export
from transformer.source.storage import Location


class Hosted(MemoryFileSystem):
    """A file system whose URLs begin with a host, as those of FTP do."""

    protocol = "hosted"

    @classmethod
    def _strip_protocol(cls, path):
        path = path.removeprefix("hosted://")
        return "/" + path.partition("/")[2].strip("/") if not path.startswith("/") else path.rstrip("/")

    @staticmethod
    def _get_kwargs_from_urls(url):
        return {"host": url.removeprefix("hosted://").partition("/")[0]}


class Rearranged(MemoryFileSystem):
    """A file system that puts its path together from a container before the @ and what follows the host."""

    protocol = "rearranged"

    @classmethod
    def _strip_protocol(cls, path):
        container, _, rest = path.removeprefix("rearranged://").partition("@")
        return f"{container}/{rest.partition('/')[2]}"


@pytest.fixture(autouse=True)
def registered():
    fsspec.register_implementation("hosted", Hosted, clobber=True)
    fsspec.register_implementation("rearranged", Rearranged, clobber=True)


@pytest.mark.parametrize(
    ("url", "path", "child"),
    [
        ("/a/b", "/a/b", "file:///a/b/x"),
        ("/a/b///", "/a/b", "file:///a/b/x"),
        ("file:///a/b", "/a/b", "file:///a/b/x"),
        ("local:///a/b", "/a/b", "local:///a/b/x"),
        ("/", "/", "file:///x"),
        ("memory://a/b", "/a/b", "memory:///a/b/x"),
        ("https://host/a/b/", "host/a/b", "https://host/a/b/x"),
        ("hosted://user:pw@host/a/b/", "/a/b", "hosted://user:pw@host/a/b/x"),
        ("hosted://host", "/", "hosted://host/x"),
        ("simplecache::hosted://host/a", "/a", "simplecache::hosted://host/a/x"),
    ],
)
def test_there_and_back(url, path, child):
    location = Location.open(url)
    assert location.path == path
    assert location.child("x").url == child
    again = Location.open(child)
    assert again.path == location.child("x").path
    assert again.parent.path == path


def test_a_url_that_cannot_be_put_together_again_is_refused():
    with pytest.raises(UsageError, match="cannot be told apart"):
        Location.open("rearranged://container@host/a")


def test_passwords_are_not_shown(tiny):
    location = Location.open("hosted://user:pw@host/a")
    assert location.shown == "hosted://host/a"
    with pytest.raises(SourceError) as caught:
        find_export("hosted://user:pw@host/nothing")
    assert "pw" not in str(caught.value)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A web server that writes no log."""

    def log_message(self, format, *args):  # noqa: A002 - the name is inherited
        pass


@pytest.fixture
def website(tmp_path):
    """Serves `tmp_path`; gives the URL."""
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_web_server(tmp_path, tiny, website):
    export = tiny()
    export.write(tmp_path)
    found = find_export(f"{website}/{export.folder}")
    assert found.warnings == ()
    count = 0
    for file in found.files:
        with open_blocks(file, block_bytes=100, slack=64) as reader:
            count += sum(bytes(block.buffer[: block.size]).count(b"\n") for block in reader)
    assert count == 3
    (tmp_path / export.folder / "data" / min(export.data)).unlink()
    with pytest.raises(SourceError, match="not found"):
        open_blocks(found.files[0], block_bytes=100, slack=64)
    with pytest.raises(SourceError):
        find_export(f"{website}/nothing")
