"""Which URL leads to which export, and which are refused."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path

import fsspec
import pytest

from transformer.errors import SourceError, UsageError
from transformer.source import search
from transformer.source.blocks import open_blocks
from transformer.source.export import Export, find_export

OLDER = "01700000000000-aaaaaaaa"
NEWER = "01795392900000-1b2c3d4e"


def lines_of(export: Export, **options: object) -> list[bytes]:
    """Every line of every file, in order of the files."""
    parts = []
    for file in export.files:
        with open_blocks(file, block_bytes=64, slack=64, **options) as reader:
            parts += [block.buffer[: block.size].tobytes() for block in reader]
    return b"".join(parts).splitlines()


class TestFullExport:
    @pytest.mark.parametrize("prefix", [None, "nightly", "foo/", "a/b"])
    @pytest.mark.parametrize("given", ["folder", "slash", "url", "summary", "root", "dotted"])
    def test_every_way_to_name_it(self, tmp_path, tiny, prefix, given):
        export = tiny(prefix=prefix)
        folder = export.write(tmp_path)
        url = {
            "folder": f"{folder}",
            "slash": f"{folder}//",
            "url": f"file://{folder}",
            "summary": f"{folder}/manifest-summary.json",
            "root": f"{tmp_path}",
            "dotted": f"{folder}/../{folder.name}/data/..",
        }[given]
        found = find_export(url)
        assert found.kind == "full"
        assert found.url == f"file://{folder}"
        assert found.export_id == export.export_id
        assert found.table_name == "orders"
        assert found.export_time is not None
        assert found.item_count == 3
        assert found.warnings == ()
        assert [file.name for file in found.files] == [f"data/{name}" for name in sorted(export.data)]
        assert [file.item_count for file in found.files] == [2, 1, 0]
        assert all(file.size for file in found.files)
        assert lines_of(found) == [line for _, lines in sorted(export.data.items()) for line in lines]

    def test_relative_path(self, tmp_path, tiny, monkeypatch):
        folder = tiny().write(tmp_path)
        monkeypatch.chdir(tmp_path)
        assert find_export("AWSDynamoDB").url == f"file://{folder}"

    def test_a_copied_tree_under_another_name(self, tmp_path, tiny):
        folder = tiny(prefix="original/prefix").write(tmp_path / "a")
        moved = tmp_path / "somewhere else" / "übung #1 100%"
        moved.parent.mkdir()
        folder.rename(moved)
        found = find_export(str(moved))
        assert len(lines_of(found)) == 3
        assert found.files[0].url.startswith(f"file://{moved}/data/")

    def test_memory_url(self, tiny):
        root = f"memory://{uuid.uuid4().hex}"
        export = tiny()
        memory = fsspec.filesystem("memory")
        for key, content in export.objects().items():
            memory.pipe_file(f"{root}/{key}", content)
        for url in (root, f"{root}/{export.folder}"):
            assert len(lines_of(find_export(url))) == 3

    def test_chained_urls(self, tmp_path, tiny):
        folder = tiny().write(tmp_path / "tree")
        archive = tmp_path / "export.zip"
        subprocess.run([sys.executable, "-m", "zipfile", "-c", archive, tmp_path / "tree" / "AWSDynamoDB"], check=True)
        for url in (f"zip://AWSDynamoDB/{folder.name}::file://{archive}", f"zip://::file://{archive}"):
            found = find_export(url)
            assert found.files[0].url.endswith(f"::file://{archive}")
            assert len(lines_of(found)) == 3
        cached = find_export(
            f"simplecache::file://{folder}", {"simplecache": {"cache_storage": str(tmp_path / "cache")}}
        )
        assert cached.files[0].url.startswith("simplecache::file://")
        assert len(lines_of(cached, storage_options={"simplecache": {"cache_storage": str(tmp_path / "cache")}})) == 3

    def test_plain_json_named_by_the_manifest(self, tmp_path, tiny):
        export = tiny(data={"x.json": [b'{"Item":{}}'], "y.json.gz": [b"1"]})
        assert lines_of(find_export(str(export.write(tmp_path)))) == [b'{"Item":{}}', b"1"]

    def test_urls_shown_have_no_secret(self, tmp_path, tiny):
        found = find_export(str(tiny().write(tmp_path)))
        assert found.shown == found.url
        assert found.files[0].shown == found.files[0].url


class TestChecksums:
    def test_the_other_ending(self, tmp_path, tiny):
        assert find_export(str(tiny(checksums="checksum").write(tmp_path))).warnings == ()

    def test_missing_is_a_warning(self, tmp_path, tiny):
        warnings = find_export(str(tiny(checksums=None).write(tmp_path))).warnings
        assert len(warnings) == 2
        assert all("is missing" in warning for warning in warnings)

    def test_a_summary_that_differs_is_a_warning(self, tmp_path, tiny):
        folder = tiny().write(tmp_path)
        (folder / "manifest-summary.md5").write_text("FjvgqIxwymKf1RbbqtrZag==\n")
        assert "does not match manifest-summary.md5" in find_export(str(folder)).warnings[0]

    @pytest.mark.parametrize("content", ["FjvgqIxwymKf1RbbqtrZag==", "", "nonsense", "missing", "\0\xff"])
    def test_a_list_of_files_that_differs_is_refused(self, tmp_path, tiny, content):
        folder = tiny().write(tmp_path)
        (folder / "manifest-files.md5").write_text(content)
        with pytest.raises(SourceError, match=r"does not match manifest-files.md5"):
            find_export(str(folder))

    def test_a_newline_after_the_checksum(self, tmp_path, tiny):
        folder = tiny().write(tmp_path)
        path = folder / "manifest-files.md5"
        path.write_bytes(path.read_bytes() + b"\r\n")
        assert find_export(str(folder)).warnings == ()

    def test_the_first_of_both_counts(self, tmp_path, tiny):
        folder = tiny().write(tmp_path)
        (folder / "manifest-files.checksum").write_text("nonsense")
        assert find_export(str(folder)).warnings == ()


class TestRefused:
    def test_incremental(self, tmp_path, tiny):
        export = tiny(summary={"exportType": "INCREMENTAL_EXPORT", "version": "2023-08-01", "exportTime": ...})
        with pytest.raises(SourceError, match="dynamo2ch increment") as caught:
            find_export(str(export.write(tmp_path)))
        assert caught.value.exit_code == 3

    def test_ion(self, tmp_path, tiny):
        with pytest.raises(SourceError, match="ION") as caught:
            find_export(str(tiny(summary={"outputFormat": "ION"}).write(tmp_path)))
        assert caught.value.exit_code == 3

    def test_counts_that_disagree(self, tmp_path, tiny):
        with pytest.raises(SourceError, match=r"its files hold 3 items, manifest-summary.json says 4"):
            find_export(str(tiny(summary={"itemCount": 4}).write(tmp_path)))

    def test_a_missing_data_file_is_told_at_once(self, tmp_path, tiny):
        folder = tiny().write(tmp_path)
        (folder / "data" / f"{'b' * 26}.json.gz").unlink()
        with pytest.raises(SourceError, match=r"lacks 1 of the 3 files .*bbbb"):
            find_export(str(folder))

    def test_a_missing_data_folder(self, tmp_path, tiny):
        folder = tiny().write(tmp_path)
        (folder / "data").rename(folder / "dat")
        with pytest.raises(SourceError, match=r"lacks 3 of the 3 files"):
            find_export(str(folder))

    def test_a_folder_named_like_a_data_file(self, tmp_path, tiny):
        folder = tiny().write(tmp_path)
        path = folder / "data" / f"{'b' * 26}.json.gz"
        path.unlink()
        path.mkdir()
        with pytest.raises(SourceError, match=r"lacks 1 of the 3"):
            find_export(str(folder))

    def test_a_data_file_that_goes_missing_later(self, tmp_path, tiny):
        folder = tiny().write(tmp_path)
        found = find_export(str(folder))
        Path(found.files[0].url.removeprefix("file://")).unlink()
        with pytest.raises(SourceError, match="not found"):
            lines_of(found)

    def test_files_that_the_manifest_does_not_name_are_not_loaded(self, tmp_path, tiny):
        folder = tiny().write(tmp_path)
        (folder / "data" / "zzz.json.gz").write_bytes(b"junk")
        found = find_export(str(folder))
        assert len(found.files) == 3
        assert found.warnings == (
            f"file://{folder}/data holds 1 files that the manifest does not name; they are not loaded: zzz.json.gz",
        )

    def test_a_key_that_leads_out(self, tmp_path, tiny):
        name = f"{'a' * 26}.json.gz"
        export = tiny(lines={name: {"dataFileS3Key": f"AWSDynamoDB/{tiny().export_id}/data/../../../secret.json.gz"}})
        (tmp_path / "secret.json.gz").write_bytes(b"secret")
        with pytest.raises(SourceError, match="no key of a data file"):
            find_export(str(export.write(tmp_path)))

    def test_no_summary_yet(self, tmp_path, tiny):
        folder = tiny().write(tmp_path)
        (folder / "manifest-summary.json").unlink()
        for url in (folder, folder / "manifest-summary.json", tmp_path):
            with pytest.raises(SourceError, match="has not finished"):
                find_export(str(url))

    def test_no_list_of_files(self, tmp_path, tiny):
        folder = tiny().write(tmp_path)
        (folder / "manifest-files.json").unlink()
        with pytest.raises(SourceError, match=r"manifest-files.json does not exist"):
            find_export(str(folder))

    def test_a_manifest_larger_than_any(self, tmp_path, tiny):
        folder = tiny().write(tmp_path)
        (folder / "manifest-summary.json").write_bytes(b" " * ((1 << 20) + 1))
        with pytest.raises(SourceError, match="larger than 1,048,576 bytes"):
            find_export(str(folder))

    @pytest.mark.parametrize(
        ("arn", "remedy"),
        [
            (f"arn:aws:dynamodb:eu-west-1:123456789012:table/orders/export/{NEWER}", f"AWSDynamoDB/{NEWER}"),
            ("arn:aws:dynamodb:eu-west-1:123456789012:table/orders", "s3://BUCKET/PREFIX"),
            ("arn:aws:s3:::bucket/prefix", "s3://BUCKET/PREFIX"),
        ],
    )
    def test_an_arn(self, arn, remedy):
        with pytest.raises(UsageError, match="is an ARN") as caught:
            find_export(arn)
        assert remedy in caught.value.remedy

    @pytest.mark.parametrize(
        "name", ["manifest-files.json", "manifest-summary.md5", "data/aaaaaaaaaaaaaaaaaaaaaaaaaa.json.gz"]
    )
    def test_a_file_in_place_of_the_folder(self, tmp_path, tiny, name):
        with pytest.raises(UsageError, match="is a file"):
            find_export(str(tiny().write(tmp_path) / name))

    def test_the_data_folder_of_an_export(self, tmp_path, tiny):
        with pytest.raises(UsageError, match="data folder"):
            find_export(str(tiny().write(tmp_path) / "data"))

    def test_the_folder_that_incremental_exports_share(self, tmp_path, tiny):
        tiny().write(tmp_path)
        shared = tmp_path / "AWSDynamoDB" / "data"
        shared.mkdir()
        (shared / "x.json.gz").write_bytes(b"")
        with pytest.raises(UsageError, match="data folder"):
            find_export(str(shared))
        assert find_export(str(tmp_path)).kind == "full"  # and it is no export beside the others

    @pytest.mark.parametrize("url", ["", " ", "s3://", "s3:///", "nosuch://x", "https://host/x?signature=abc", "a\0b"])
    def test_what_is_no_url(self, url):
        with pytest.raises(UsageError) as caught:
            find_export(url)
        assert caught.value.remedy
        assert "signature" not in str(caught.value)

    def test_options_that_do_not_fit(self):
        with pytest.raises(UsageError, match="options"):
            find_export("s3://bucket/x", {"no_such_option_of_s3fs": 1, "client_kwargs": {"nonsense": 1}})

    def test_nothing_there(self, tmp_path):
        with pytest.raises(SourceError, match="does not exist"):
            find_export(str(tmp_path / "nothing"))
        with pytest.raises(SourceError, match="holds no export and no data files"):
            find_export(str(tmp_path))

    def test_no_permission(self, tmp_path, tiny, monkeypatch):
        folder = tiny().write(tmp_path)
        monkeypatch.setattr("builtins.open", _denied)
        with pytest.raises(UsageError, match="permission denied") as caught:
            find_export(str(folder))
        assert caught.value.exit_code == 2


def _denied(path: object, *args: object, **options: object) -> None:
    raise PermissionError(13, "Permission denied", str(path))


class TestSeveral:
    def test_they_are_listed_newest_first_and_none_is_guessed(self, tmp_path, tiny):
        tiny(export_id=OLDER, prefix="a").write(tmp_path)
        tiny(export_id=NEWER, prefix="b/c", table="users", summary={"exportType": "INCREMENTAL_EXPORT"}).write(tmp_path)
        middle = tiny().write(tmp_path)
        with pytest.raises(UsageError, match="holds 3 exports") as caught:
            find_export(str(tmp_path))
        _, *lines = caught.value.message.splitlines()
        assert lines == [
            f"  2026-11-23T00:15:00Z  users  incremental  3 items  file://{tmp_path}/b/c/AWSDynamoDB/{NEWER}",
            f"  2026-11-23T00:00:00Z  orders  full  3 items  file://{middle}",
            f"  2023-11-14T22:13:20Z  orders  full  3 items  file://{tmp_path}/a/AWSDynamoDB/{OLDER}",
        ]
        assert caught.value.exit_code == 2

    def test_an_unfinished_or_unreadable_one_counts(self, tmp_path, tiny):
        tiny().write(tmp_path)
        (tiny(export_id=NEWER).write(tmp_path) / "manifest-summary.json").unlink()
        (tiny(export_id=OLDER).write(tmp_path) / "manifest-summary.json").write_text("{")
        with pytest.raises(UsageError, match="holds 3 exports") as caught:
            find_export(str(tmp_path))
        assert "not finished" in caught.value.message
        assert "unreadable manifest" in caught.value.message

    def test_renamed_folders_are_found_by_their_manifests(self, tmp_path, tiny):
        for name in ("one", "two"):
            folder = tiny().write(tmp_path / name)
            folder.rename(tmp_path / name / "export")
        with pytest.raises(UsageError, match="holds 2 exports"):
            find_export(str(tmp_path))

    def test_a_long_list_is_cut(self, tmp_path, tiny):
        for index in range(23):
            tiny(export_id=f"0179539200{index:04}-0a1b2c3d").write(tmp_path)
        with pytest.raises(UsageError, match="holds 23 exports") as caught:
            find_export(str(tmp_path))
        assert "… and 3 older ones" in caught.value.message
        assert "01795392000022-" in caught.value.message.splitlines()[1]

    def test_the_search_has_an_end(self, tmp_path, monkeypatch):
        monkeypatch.setattr(search, "MAX_LISTINGS", 20)
        for index in range(25):
            (tmp_path / "wide" / f"{index}").mkdir(parents=True)
        (tmp_path / "deep" / "/".join("abcdefghijkl")).mkdir(parents=True)
        for name in ("wide", "deep"):
            with pytest.raises(UsageError, match="too many folders"):
                find_export(str(tmp_path / name))


class TestBareFolder:
    def test_plain_and_compressed(self, tmp_path, tiny):
        for name, content in tiny(data={"b.json.gz": [b"b"], "a.json": [b"a"]}).objects().items():
            if "/data/" in name:
                (tmp_path / Path(name).name).write_bytes(content)
        found = find_export(str(tmp_path))
        assert found.kind == "bare"
        assert (found.export_arn, found.table_name, found.item_count, found.export_time) == (None, None, None, None)
        assert [(file.name, file.item_count, file.md5) for file in found.files] == [
            ("a.json", None, None),
            ("b.json.gz", None, None),
        ]
        assert lines_of(found) == [b"a", b"b"]
        assert len(found.warnings) == 1
        assert "no manifests" in found.warnings[0]

    def test_a_data_folder_taken_out_of_its_export(self, tmp_path, tiny):
        folder = tiny().write(tmp_path / "a")
        (folder / "data").rename(tmp_path / "data")
        assert len(lines_of(find_export(str(tmp_path / "data")))) == 3

    def test_others_are_named_and_left(self, tmp_path):
        (tmp_path / "x.json").write_bytes(b"x\n")
        for name in ("notes.txt", "._x.json.gz", "_x.json", "y.gz", "z.JSON"):
            (tmp_path / name).write_bytes(b"")
        (tmp_path / "sub").mkdir()
        found = find_export(str(tmp_path))
        assert [file.name for file in found.files] == ["x.json"]
        assert "6 other files or folders; they are not loaded: ._x.json.gz, _x.json, notes.txt, …" in found.warnings[1]

    def test_the_same_name_plain_and_compressed(self, tmp_path):
        for name in ("x.json", "x.json.gz"):
            (tmp_path / name).write_bytes(b"")
        assert "both plain and compressed" in find_export(str(tmp_path)).warnings[1]

    def test_an_export_beside_other_json_files_wins(self, tmp_path, tiny):
        tiny().write(tmp_path)
        (tmp_path / "package.json").write_text("{}")
        assert find_export(str(tmp_path)).kind == "full"

    def test_trees_beside_data_files_are_not_searched(self, tmp_path, tiny):
        (tmp_path / "x.json").write_bytes(b"x\n")
        tiny(prefix="deeper").write(tmp_path)
        assert find_export(str(tmp_path)).kind == "bare"

    def test_ion_files(self, tmp_path):
        (tmp_path / "x.ion.gz").write_bytes(b"")
        with pytest.raises(SourceError, match="ION"):
            find_export(str(tmp_path))


class TestRealExports:
    def test_all_ten_types(self, real_exports):
        found = find_export(str(real_exports / "scylla-migrator"))
        assert found.kind == "full"
        assert found.item_count == len(lines_of(found)) == 3
        assert len(found.warnings) == 2  # it was published without checksums

    def test_with_an_empty_file_and_a_summary_that_was_reformatted(self, real_exports):
        found = find_export(str(real_exports / "purpom"))
        assert [file.item_count for file in found.files] == [1, 1, 0, 1]
        assert found.item_count == len(lines_of(found)) == 3
        assert len(found.warnings) == 1
        assert "manifest-summary.md5" in found.warnings[0]

    def test_incremental(self, real_exports):
        with pytest.raises(SourceError, match="dynamo2ch increment"):
            find_export(str(real_exports / "awslabs-incremental"))

    def test_the_folder_of_all(self, real_exports):
        with pytest.raises(UsageError, match="holds 3 exports"):
            find_export(str(real_exports))


def test_no_cloud_library_is_imported_for_local_files(tmp_path, tiny):
    code = (
        "import sys; from transformer.source.export import find_export; from transformer.source import blocks; "
        f"find_export({str(tiny().write(tmp_path))!r}); "
        "print({'s3fs', 'aiobotocore', 'botocore', 'boto3', 'aiohttp', 'numba', 'pyarrow'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"
