"""Whatever a storage library raises becomes one of three errors, with something to do next and without secrets."""

from __future__ import annotations

import errno
import http.client
import types

import aiohttp
import botocore.exceptions as boto
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.errors import Dynamo2chError, InternalError, RetryError, SourceError, UsageError
from transformer.source.faults import public_url, scrub, storage_errors


def told(error: Exception, options: dict[str, object] | None = None) -> Dynamo2chError:
    with pytest.raises(Dynamo2chError) as caught, storage_errors("reading x", options):
        raise error
    assert caught.value.message.startswith("reading x: ")
    assert caught.value.remedy
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    return caught.value


def answer(code: str) -> boto.ClientError:
    return boto.ClientError({"Error": {"Code": code, "Message": "message"}}, "GetObject")


def response(status: int) -> aiohttp.ClientResponseError:
    request = types.SimpleNamespace(real_url="https://host/x?X-Amz-Signature=abc")
    return aiohttp.ClientResponseError(request, (), status=status, message="message")


def called(name: str, **members: object) -> Exception:
    """An exception of a library that nobody knows."""
    return type(name, (Exception,), {"__module__": "some.library"} | members)("message")


@pytest.mark.parametrize(
    ("error", "family"),
    [
        (FileNotFoundError("x"), SourceError),
        (NotADirectoryError("x"), SourceError),
        (IsADirectoryError("x"), SourceError),
        (PermissionError(13, "denied", "x"), UsageError),
        (PermissionError("Forbidden"), UsageError),
        (ConnectionResetError(), RetryError),
        (BrokenPipeError(), RetryError),
        (TimeoutError(), RetryError),
        (OSError(errno.EBUSY, "slow down"), RetryError),
        (OSError(errno.ENETUNREACH, "x"), RetryError),
        (OSError(errno.ENAMETOOLONG, "x"), UsageError),
        (OSError(errno.EIO, "x"), SourceError),
        (OSError("x"), SourceError),
        (ImportError("Please install gcsfs"), UsageError),
        (ValueError("Protocol not known"), UsageError),
        (boto.NoCredentialsError(), UsageError),
        (boto.PartialCredentialsError(provider="env", cred_var="x"), UsageError),
        (boto.ProfileNotFound(profile="x"), UsageError),
        (boto.TokenRetrievalError(provider="sso", error_msg="expired"), UsageError),
        (boto.ParamValidationError(report="x"), UsageError),
        (boto.EndpointConnectionError(endpoint_url="http://x"), RetryError),
        (boto.ConnectTimeoutError(endpoint_url="http://x"), RetryError),
        (boto.ReadTimeoutError(endpoint_url="http://x"), RetryError),
        (boto.ConnectionClosedError(endpoint_url="http://x"), RetryError),
        (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), RetryError),
        (boto.SSLError(endpoint_url="http://x", error="x"), RetryError),
        (answer("NoSuchKey"), SourceError),
        (answer("NoSuchBucket"), SourceError),
        (answer("404"), SourceError),
        (answer("AccessDenied"), UsageError),
        (answer("403"), UsageError),
        (answer("ExpiredToken"), UsageError),
        (answer("SignatureDoesNotMatch"), UsageError),
        (answer("PermanentRedirect"), UsageError),
        (answer("InvalidBucketName"), UsageError),
        (answer("InvalidObjectState"), SourceError),
        (answer("SlowDown"), RetryError),
        (answer("503"), RetryError),
        (answer("SomethingNew"), SourceError),
        (boto.ClientError({}, "GetObject"), SourceError),
        (boto.ClientError({"ResponseMetadata": {"HTTPStatusCode": 503}}, "GetObject"), RetryError),
        (aiohttp.ServerDisconnectedError(), RetryError),
        (aiohttp.ClientPayloadError(), RetryError),
        (aiohttp.InvalidURL("x"), UsageError),
        (response(403), UsageError),
        (response(404), SourceError),
        (response(416), SourceError),
        (response(429), RetryError),
        (response(502), RetryError),
        (http.client.IncompleteRead(b""), RetryError),
        (called("HttpError", code=404), SourceError),
        (called("HttpError", code=401), UsageError),
        (called("HttpResponseError", status_code=503), RetryError),
        (called("RefreshError", __module__="google.auth.exceptions"), UsageError),
        (called("TransportError", __module__="google.auth.exceptions"), RetryError),
        (called("DefaultCredentialsError"), UsageError),
        (called("ClientAuthenticationError"), UsageError),
        (called("ResourceNotFoundError"), SourceError),
        (called("ServiceRequestError"), RetryError),
        (called("SSHException"), RetryError),
        (called("Odd"), SourceError),
    ],
    ids=repr,
)
def test_families(error, family):
    assert type(told(error)) is family


def test_the_code_that_s3fs_hides_is_found():
    error = PermissionError("The object is in Glacier")
    error.__cause__ = answer("InvalidObjectState")
    assert "restore" in told(error).remedy


def test_wrong_options_are_the_users():
    assert isinstance(told(TypeError("unexpected keyword"), {"nonsense": 1}), UsageError)


@pytest.mark.parametrize("error", [TypeError("x"), AttributeError("x"), MemoryError(), KeyError("x"), AssertionError()])
def test_bugs_stay_bugs(error):
    with pytest.raises(type(error)), storage_errors("reading x"):
        raise error


def test_errors_of_ours_pass():
    with pytest.raises(InternalError), storage_errors("reading x"):
        raise InternalError("x")


def test_a_long_text_is_cut_and_put_on_one_line():
    message = told(OSError("a\nb " * 1000)).message
    assert "\n" not in message
    assert len(message) < 400


class TestSecrets:
    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("s3://bucket/a@b?c#d", "s3://bucket/a@b?c#d"),
            ("ftp://user:password@host/x", "ftp://host/x"),
            ("https://user:password@host:8080/x?X-Amz-Signature=abc#d", "https://host:8080/x"),
            ("simplecache::https://u:p@host/x?q", "simplecache::https://host/x"),
            ("zip://a::ftp://u:p@ss@host/x.zip", "zip://a::ftp://host/x.zip"),
            ("http://[broken/secret", "http://…"),
            ("/a/path@x", "/a/path@x"),
            ("", ""),
        ],
    )
    def test_urls(self, url, shown):
        assert public_url(url) == shown

    def test_options_and_environment(self, monkeypatch):
        monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-the-environment")
        options = {
            "secret": "secret-of-options",
            "client_kwargs": {"aws_secret_access_key": "nested-secret", "region_name": "eu-west-1"},
            "connection": [{"password": b"bytes-secret"}],
            "sas_token": ("tuple-secret",),
            "profile": "shown-profile",
        }
        text = (
            "secret-of-options nested-secret bytes-secret tuple-secret token-of-the-environment shown-profile "
            "https://me:pw@host/a?X-Amz-Signature=abc /key?X-Amz-Security-Token=abc&X-Amz-Credential=def&x=1"
        )
        assert scrub(text, options) == (
            "*** *** *** *** *** shown-profile https://host/a /key?X-Amz-Security-Token=***&X-Amz-Credential=***&x=1"
        )

    @given(st.text(alphabet="abcXYZ019/+=", min_size=4, max_size=40), st.text(max_size=20), st.text(max_size=20))
    def test_no_secret_survives(self, secret, before, after):
        assert secret not in told(OSError(f"{before}{secret}{after}"), {"secret": secret, "key": secret[::-1]}).message
