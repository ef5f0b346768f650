"""Manifests are read strictly, and their keys lead nowhere but into the data folder."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.errors import SourceError
from transformer.source import manifest

ID = "01795392000622-0a1b2c3d"
NAME = "aaaaaaaaaaaaaaaaaaaaaaaaaa.json.gz"
TABLE_ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/my.table-1_x"

# Written out as the format's description has them, apart from the builder that the other tests use.
SUMMARY = (
    '{"version":"2020-06-30","exportArn":"' + TABLE_ARN + "/export/" + ID + '","startTime":"2026-11-23T00:00:00.622Z",'
    '"endTime":"2026-11-23T00:06:08.984Z","tableArn":"'
    + TABLE_ARN
    + '","tableId":"0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",'
    '"exportTime":"2026-11-23T00:00:00.622Z","s3Bucket":"my-exports","s3Prefix":"nightly","s3SseAlgorithm":"AES256",'
    '"s3SseKmsKeyId":null,"manifestFilesS3Key":"nightly/AWSDynamoDB/' + ID + '/manifest-files.json",'
    '"billedSizeBytes":198,"itemCount":3,"outputFormat":"DYNAMODB_JSON"}'
)


def summary(**changes: object) -> bytes:
    fields = json.loads(SUMMARY) | changes
    return json.dumps({name: value for name, value in fields.items() if value is not ...}, indent=2).encode()


def parsed(**changes: object) -> manifest.Summary:
    return manifest.parse_summary(summary(**changes), "S")


def line(key: str = f"nightly/AWSDynamoDB/{ID}/data/{NAME}", count: object = 3, **changes: object) -> bytes:
    fields = {"itemCount": count, "md5Checksum": "FjvgqIxwymKf1RbbqtrZag==", "etag": "x-1", "dataFileS3Key": key}
    return json.dumps({name: value for name, value in (fields | changes).items() if value is not ...}).encode() + b"\n"


def files(*lines: bytes, items: int = 3) -> tuple[manifest.FileLine, ...]:
    return manifest.parse_files(b"".join(lines), parsed(itemCount=items), "F")


class TestSummary:
    def test_as_aws_writes_it(self):
        result = manifest.parse_summary(SUMMARY.encode(), "S")
        assert result == manifest.Summary(
            export_arn=f"{TABLE_ARN}/export/{ID}",
            export_id=ID,
            table_arn=TABLE_ARN,
            table_name="my.table-1_x",
            export_time=datetime(2026, 11, 23, 0, 0, 0, 622000, tzinfo=UTC),
            item_count=3,
            output_format="DYNAMODB_JSON",
            incremental=False,
        )
        manifest.check_loadable(result, "S")

    def test_white_space_and_unknown_members_are_accepted(self):
        assert parsed(newMember={"x": [1]}, s3Prefix=None, exportType="FULL_EXPORT").item_count == 3

    def test_a_time_may_have_second_precision_or_be_missing(self):
        assert parsed(exportTime="2026-11-23T01:00:00+01:00").export_time == datetime(2026, 11, 23, tzinfo=UTC)
        assert parsed(exportTime=...).export_time is None

    def test_the_china_and_gov_partitions(self):
        arn = "arn:aws-us-gov:dynamodb:us-gov-west-1:123456789012:table/t"
        assert parsed(tableArn=arn, exportArn=f"{arn}/export/{ID}").table_name == "t"

    def test_a_filter_is_warned_about(self):
        assert "FilterSpecification" in parsed(FilterSpecification={"x": 1}).warnings[0]
        assert not parsed(filterSpecification=None).warnings

    @pytest.mark.parametrize(
        "changes",
        [
            {"version": "2030-01-01"},
            {"version": ...},
            {"exportType": "DIFFERENTIAL"},
            {"exportType": "FULL_EXPORT", "exportFromTime": "2026-11-22T23:59:00.000Z"},
            {"itemCount": -1},
            {"itemCount": "3"},
            {"itemCount": True},
            {"itemCount": 3.0},
            {"itemCount": ...},
            {"outputFormat": None},
            {"exportArn": "arn:aws:s3:::bucket"},
            {"exportArn": TABLE_ARN},
            {"exportArn": f"{TABLE_ARN}/export/../{ID}"},
            {"exportArn": f"{TABLE_ARN}x/export/{ID}"},
            {"tableArn": f"{TABLE_ARN}/index/i"},
            {"exportTime": "yesterday"},
            {"exportTime": "2026-11-23T00:00:00"},
            {"exportTime": 1795392000},
        ],
        ids=str,
    )
    def test_what_contradicts_the_format_is_refused(self, changes):
        with pytest.raises(SourceError) as caught:
            parsed(**changes)
        assert caught.value.remedy

    @pytest.mark.parametrize(
        "data",
        [b"", b"[]", b"{", b'"x"', b"\xff{}", SUMMARY.encode()[:-1], b"[" * 100_000, b'{"version":1,"version":2}'],
    )
    def test_what_is_no_object_is_refused(self, data):
        with pytest.raises(SourceError):
            manifest.parse_summary(data, "S")

    @given(st.binary(max_size=60))
    def test_any_bytes_give_a_source_error(self, data):
        with pytest.raises(SourceError):
            manifest.parse_summary(data, "S")


class TestKind:
    def test_ion_is_refused(self):
        with pytest.raises(SourceError, match="'ION'") as caught:
            manifest.check_loadable(parsed(outputFormat="ION"), "S")
        assert caught.value.exit_code == 3

    @pytest.mark.parametrize(
        "changes",
        [
            {"exportType": "INCREMENTAL_EXPORT"},
            {"exportFromTime": "2026-11-22T23:59:00.000Z"},
            {"outputView": "NEW_IMAGE", "exportTime": ...},
        ],
    )
    def test_incremental_is_refused_and_the_command_named(self, changes):
        with pytest.raises(SourceError, match="dynamo2ch increment") as caught:
            manifest.check_loadable(parsed(version="2023-08-01", **changes), "S")
        assert caught.value.exit_code == 3


class TestFiles:
    def test_sorted_by_name_whatever_the_order(self):
        names = [f"{letter * 26}.json.gz" for letter in "cab"]
        lines = [line(f"AWSDynamoDB/{ID}/data/{name}", 1) for name in names]
        assert [file.name for file in files(*lines)] == sorted(names)

    def test_blank_lines_missing_last_newline_and_extra_members(self):
        assert files(b"\n", line(other=1).strip(), b"\n\n")[0] == manifest.FileLine(
            NAME, 3, "FjvgqIxwymKf1RbbqtrZag==", "x-1"
        )

    def test_no_file_at_all(self):
        assert files(items=0) == ()
        with pytest.raises(SourceError, match="its files hold 0 items"):
            files(items=3)

    def test_the_sum_must_agree(self):
        with pytest.raises(SourceError, match=r"its files hold 4 items, manifest-summary.json says 3"):
            files(line(count=4))

    @pytest.mark.parametrize(
        "changes",
        [
            {"md5Checksum": "zzz"},
            {"md5Checksum": "163be0a88c70ca629fd516dbaadad96a"},
            {"md5Checksum": ...},
            {"md5Checksum": "FjvgqIxwymKf1RbbqtrZa\u00e9=="},
            {"etag": 5},
            {"itemCount": None},
            {"itemCount": -3},
            {"dataFileS3Key": None},
            {"dataFileS3Key": ""},
            {"dataFileS3Key": ["x"]},
        ],
        ids=str,
    )
    def test_a_malformed_line_is_refused_by_number(self, changes):
        with pytest.raises(SourceError, match="F, line 2"):
            files(line(f"AWSDynamoDB/{ID}/data/{'b' * 26}.json.gz", 0), line(**changes))

    @pytest.mark.parametrize("text", [b"{}{}", b"[]", b"null", b"{", b'{"itemCount":1,"itemCount":1}'])
    def test_a_line_that_is_no_object(self, text):
        with pytest.raises(SourceError, match="F, line 1"):
            files(text)

    def test_an_etag_is_not_needed(self):
        assert files(line(etag=...))[0].etag is None


class TestKeys:
    @pytest.mark.parametrize(
        "prefix",
        [
            "",
            "nightly/",
            "foo/",
            "a/b/c/",
            "foo//",
            "moved bucket/",
            "data/",
            "AWSDynamoDB/",
            f"AWSDynamoDB/{ID}/data/",
            "…/",
        ],
    )
    def test_any_prefix_leads_to_the_same_name(self, prefix):
        assert manifest.data_name(f"{prefix}AWSDynamoDB/{ID}/data/{NAME}", ID, "F") == NAME

    def test_plain_json(self):
        assert manifest.data_name(f"AWSDynamoDB/{ID}/data/x-1.json", ID, "F") == "x-1.json"

    @pytest.mark.parametrize(
        "key",
        [
            f"/AWSDynamoDB/{ID}/data/{NAME}",
            f"//AWSDynamoDB/{ID}/data/{NAME}",
            f"../AWSDynamoDB/{ID}/data/{NAME}",
            f"x/../AWSDynamoDB/{ID}/data/{NAME}",
            f"./AWSDynamoDB/{ID}/data/{NAME}",
            f"AWSDynamoDB/{ID}/data/../../{NAME}",
            f"AWSDynamoDB/{ID}/data/../data/{NAME}",
            f"AWSDynamoDB/{ID}/data/..",
            f"AWSDynamoDB/{ID}/data/../{NAME}",
            f"AWSDynamoDB/{ID}/data/sub/{NAME}",
            f"AWSDynamoDB/{ID}/data//{NAME}",
            f"AWSDynamoDB/{ID}/data/",
            f"AWSDynamoDB/{ID}/{NAME}",
            f"AWSDynamoDB/01795392000622-ffffffff/data/{NAME}",
            f"AWSDynamoDB/data/{NAME}",
            f"awsdynamodb/{ID}/data/{NAME}",
            f"data/{NAME}",
            NAME,
            f"s3://other-bucket/AWSDynamoDB/{ID}/data/{NAME}",
            f"file:///etc/AWSDynamoDB/{ID}/data/{NAME}",
            f"AWSDynamoDB\\{ID}\\data\\{NAME}",
            f"x\\y/AWSDynamoDB/{ID}/data/{NAME}",
            f"AWSDynamoDB/{ID}/data/..\\..\\{NAME}",
            f"AWSDynamoDB/{ID}/data/{NAME}\0",
            f"\0/AWSDynamoDB/{ID}/data/{NAME}",
            f"AWSDynamoDB/{ID}/data/{NAME}\n",
            f"AWSDynamoDB/{ID}/data/.{NAME}",
            f"AWSDynamoDB/{ID}/data/*.json.gz",
            f"AWSDynamoDB/{ID}/data/x?versionId=1.json.gz",
            f"AWSDynamoDB/{ID}/data/x::zip.json.gz",
            f"AWSDynamoDB/{ID}/data/%2e%2e%2f{NAME}",
            f"AWSDynamoDB/{ID}/data/x.ion.gz",
            f"AWSDynamoDB/{ID}/data/passwd",
        ],
    )
    def test_hostile_keys_are_refused(self, key):
        with pytest.raises(SourceError) as caught:
            files(line(key))
        assert caught.value.exit_code == 3
        assert "\0" not in str(caught.value)

    @given(st.text(max_size=30), st.text(max_size=20))
    def test_whatever_is_accepted_is_one_plain_name(self, start, end):
        for key in (start + end, f"{start}AWSDynamoDB/{ID}/data/{end}", f"{start}/AWSDynamoDB/{ID}/data/{end}.json.gz"):
            try:
                name = manifest.data_name(key, ID, "F")
            except SourceError:
                continue
            assert name.isascii()
            assert not set(name) & set("/\\:?*%\0")
            assert name[0] != "."
            assert key.endswith(f"/data/{name}")

    def test_the_same_file_twice(self):
        with pytest.raises(SourceError, match=r"line 2: the file .* a second time"):
            files(line(count=1), line(count=2))
        with pytest.raises(SourceError, match="a second time"):  # under another prefix it is the same file still
            files(line(count=1), line(f"AWSDynamoDB/{ID}/data/{NAME}", count=2))


def test_md5():
    assert manifest.md5_of(bytes.fromhex("1f8b08000000000000ff03000000000000000000")) == "FjvgqIxwymKf1RbbqtrZag=="
    assert manifest.is_md5("FjvgqIxwymKf1RbbqtrZag==")
    assert not manifest.is_md5("")


def test_the_id_tells_the_start():
    assert manifest.started_at("01725803054816-222a3242") == datetime(2024, 9, 8, 13, 44, 14, 816000, tzinfo=UTC)
