"""S3 as boto3 sees it, answered by botocore's own Stubber: it checks every parameter against the API's model."""

import io
from collections.abc import Iterator

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from databucket.bucket import MemoryBucket, NoSuchObjectError, S3Bucket


@pytest.fixture
def s3() -> Iterator[Stubber]:
    client = boto3.client("s3", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_an_object_is_read(s3):
    answer = {"Body": StreamingBody(io.BytesIO(b"a,b"), 3)}
    s3.add_response("get_object", answer, {"Bucket": "data", "Key": "raw/orders/2026-01-02.csv"})
    assert S3Bucket("data", s3.client).read("raw/orders/2026-01-02.csv") == b"a,b"


def test_a_missing_object_is_named_with_what_to_look_at(s3):
    s3.add_client_error("get_object", "NoSuchKey")
    with pytest.raises(NoSuchObjectError, match=r"raw/x\.csv.*the step before"):
        S3Bucket("data", s3.client).read("raw/x.csv")


def test_another_error_of_s3_is_not_taken_for_a_missing_object(s3):
    s3.add_client_error("get_object", "AccessDenied")
    with pytest.raises(Exception, match="AccessDenied"):
        S3Bucket("data", s3.client).read("raw/x.csv")


def test_an_object_is_written(s3):
    s3.add_response("put_object", {}, {"Bucket": "data", "Key": "reports/x.json", "Body": b"{}"})
    S3Bucket("data", s3.client).write("reports/x.json", b"{}")


def test_a_listing_of_two_pages_comes_as_one_sorted_list(s3):
    first = {"Contents": [{"Key": "t/b"}], "IsTruncated": True, "NextContinuationToken": "more"}
    s3.add_response("list_objects_v2", first, {"Bucket": "data", "Prefix": "t/"})
    s3.add_response(
        "list_objects_v2",
        {"Contents": [{"Key": "t/a"}]},
        {"Bucket": "data", "Prefix": "t/", "ContinuationToken": "more"},
    )
    assert S3Bucket("data", s3.client).keys("t/") == ["t/a", "t/b"]


def test_the_twin_behaves_alike():
    bucket = MemoryBucket({"t/b": b"1"})
    bucket.write("t/a", b"2")
    bucket.write("t/a", b"3")
    assert bucket.keys("t/") == ["t/a", "t/b"]
    assert bucket.read("t/a") == b"3"
    with pytest.raises(NoSuchObjectError):
        bucket.read("t/c")
