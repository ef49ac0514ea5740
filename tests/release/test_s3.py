"""The adapter against moto's S3, which enforces If-Match and If-None-Match on PutObject."""

import hashlib
from collections.abc import Callable

import pytest
from werkzeug.wrappers import Response

from pipeline.errors import PipelineError
from pipeline.release.bucket import ABSENT, ConflictError, Written
from pipeline.release.s3 import S3Bucket
from tests.release.conftest import Aws, Sent, make_bucket


def put(bucket: S3Bucket, key: str, content: bytes, expected: str | None = None) -> Written:
    return bucket.put(key, content, hashlib.sha256(content).hexdigest(), expected=expected)


def test_what_is_put_can_be_read_by_key_and_by_version(bucket: S3Bucket) -> None:
    one, two = put(bucket, "dags/ä b.py", b"one"), put(bucket, "dags/ä b.py", b"two")
    now, before = bucket.get("dags/ä b.py"), bucket.get("dags/ä b.py", one.version)
    assert now is not None
    assert before is not None
    assert (now.content, now.etag, before.content) == (b"two", two.etag, b"one")
    assert bucket.head("dags/ä b.py") == two


def test_what_is_not_there_is_none(bucket: S3Bucket) -> None:
    assert bucket.get("nothing") is None
    assert bucket.head("nothing") is None


def test_a_listing_takes_one_request_for_a_thousand_keys(aws: Aws, bucket: S3Bucket) -> None:
    for number in range(3):
        put(bucket, f"dags/{number} ü.py", b"x")
    put(bucket, "other", b"x")
    aws.forget()
    assert sorted(bucket.listing("dags/")) == ["dags/0 ü.py", "dags/1 ü.py", "dags/2 ü.py"]
    assert len(aws.sent) == 1


def test_a_key_that_must_be_absent_is_not_overwritten(bucket: S3Bucket) -> None:
    put(bucket, "k", b"one", ABSENT)
    with pytest.raises(ConflictError):
        put(bucket, "k", b"two", ABSENT)


def test_a_key_that_changed_is_not_overwritten(bucket: S3Bucket) -> None:
    seen = put(bucket, "k", b"one")
    put(bucket, "k", b"by hand")
    with pytest.raises(ConflictError) as error:
        put(bucket, "k", b"two", seen.etag)
    assert error.value.where == f"s3://{bucket.name}/k"


def test_a_key_that_went_is_a_conflict(bucket: S3Bucket) -> None:
    seen = put(bucket, "k", b"one")
    bucket.delete(["k"])
    with pytest.raises(ConflictError):
        put(bucket, "k", b"two", seen.etag)


def test_a_write_whose_answer_got_lost_is_no_conflict(aws: Aws, bucket: S3Bucket) -> None:
    lost = Once(lambda sent: sent.method == "PUT", Response("", status=500))
    aws.after = lost
    written = put(bucket, "k", b"one", ABSENT)
    assert lost.done
    assert bucket.head("k") == written


def test_a_slow_down_is_waited_out(aws: Aws, bucket: S3Bucket) -> None:
    aws.before = Once(lambda sent: sent.method == "PUT", Response("", status=503))
    assert put(bucket, "k", b"one").version
    assert bucket.requests == 2


def test_an_earlier_version_becomes_current_without_a_download(aws: Aws, bucket: S3Bucket) -> None:
    one = put(bucket, "dags/ä b.py", b"one")
    put(bucket, "dags/ä b.py", b"two")
    aws.forget()
    copied = bucket.copy("dags/ä b.py", one.version)
    assert [sent.method for sent in aws.sent] == ["PUT"]
    assert copied.version != one.version
    stored = bucket.get("dags/ä b.py")
    assert stored is not None
    assert (stored.content, stored.etag) == (b"one", copied.etag)


def test_a_version_that_is_gone_is_named(bucket: S3Bucket) -> None:
    put(bucket, "k", b"one")
    with pytest.raises(PipelineError) as error:
        bucket.copy("k", "b2b6a0b5-0000-0000-0000-000000000000")
    assert error.value.where == f"s3://{bucket.name}/k"


def test_a_thousand_keys_are_deleted_by_one_request(aws: Aws, bucket: S3Bucket) -> None:
    keys = [f"dags/{number} ü.py" for number in range(1001)]
    for key in keys[:3]:
        put(bucket, key, b"x")
    aws.forget()
    bucket.delete(keys)
    assert len(aws.sent) == 2
    assert bucket.listing("dags/") == {}


def test_keys_are_deleted_in_the_given_order(aws: Aws, bucket: S3Bucket) -> None:
    put(bucket, "dags/a.py", b"helper")
    put(bucket, "dags/z.py", b"dag")
    left: list[set[str]] = []
    aws.after = lambda sent: left.append(_keys(aws, bucket)) if sent.method == "POST" else None
    bucket.delete(["dags/z.py", *(f"dags/{number}" for number in range(999)), "dags/a.py"])
    assert left == [{"dags/a.py"}, set()]


def _keys(aws: Aws, bucket: S3Bucket) -> set[str]:
    found = aws.client("s3", backstage=True).list_objects_v2(Bucket=bucket.name).get("Contents", [])
    return {item["Key"] for item in found}


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("PreconditionFailed", "someone else changed it meanwhile"),
        ("NoSuchKey", ""),
        ("AccessDenied", "did not delete it"),
    ],
)
def test_a_key_that_could_not_be_deleted_is_judged_by_its_own_error(
    aws: Aws, bucket: S3Bucket, code: str, outcome: str
) -> None:
    body = f"<DeleteResult><Error><Key>dags/a.py</Key><Code>{code}</Code><Message>no</Message></Error></DeleteResult>"
    aws.before = lambda _: Response(body, content_type="application/xml")
    if not outcome:
        bucket.delete(["dags/a.py"], {"dags/a.py": "etag"})
        return
    with pytest.raises(PipelineError, match=outcome) as error:
        bucket.delete(["dags/a.py"], {"dags/a.py": "etag"})
    assert error.value.where == f"s3://{bucket.name}/dags/a.py"


@pytest.mark.parametrize("status", [412, 409])
def test_a_copy_that_lost_to_another_write_is_a_conflict(aws: Aws, bucket: S3Bucket, status: int) -> None:
    one, two = put(bucket, "k", b"one"), put(bucket, "k", b"two")
    code = "PreconditionFailed" if status == 412 else "ConditionalRequestConflict"
    body = f"<Error><Code>{code}</Code></Error>"
    aws.before = Once(lambda sent: sent.method == "PUT", Response(body, status=status, content_type="application/xml"))
    with pytest.raises(ConflictError):
        bucket.copy("k", one.version, expected=two.etag)


def test_a_copy_whose_answer_got_lost_is_no_conflict(aws: Aws, bucket: S3Bucket) -> None:
    one, two = put(bucket, "k", b"one"), put(bucket, "k", b"two")
    body = "<Error><Code>PreconditionFailed</Code></Error>"
    # moto does not enforce conditions of a copy: this is what S3 would say to the second attempt
    aws.after = Once(lambda sent: sent.method == "PUT", Response(body, status=412, content_type="application/xml"))
    assert bucket.copy("k", one.version, expected=two.etag) == bucket.head("k")


def test_without_versions_a_write_is_an_error(aws: Aws) -> None:
    make_bucket(aws, "unversioned-bucket", versioned=False)
    plain = S3Bucket(aws.session(), "unversioned-bucket")
    assert not plain.keeps_versions()
    with pytest.raises(PipelineError, match="keeps no versions"):
        put(plain, "k", b"x")


def test_versions_are_noticed(bucket: S3Bucket) -> None:
    assert bucket.keeps_versions()


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("AccessDenied", 403, "S3 denies access"),
        ("KMS.DisabledException", 400, "KMS key is disabled"),
        ("InvalidAccessKeyId", 403, "AWS does not know these credentials"),
        ("SignatureDoesNotMatch", 403, "the secret key does not belong"),
        ("ExpiredToken", 400, "the credentials have expired"),
        ("RequestTimeTooSkewed", 403, "this machine's clock is wrong"),
        ("PermanentRedirect", 301, "the bucket is in another region"),
        ("AuthorizationHeaderMalformed", 400, "the bucket is in another region"),
        ("Strange", 400, "S3 refused: .*Strange"),
    ],
)
def test_what_s3_refuses_is_explained(aws: Aws, bucket: S3Bucket, code: str, status: int, said: str) -> None:
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
    answer = Response(body, status=status, content_type="application/xml")
    aws.before = lambda sent: answer if sent.method == "PUT" else None
    with pytest.raises(PipelineError, match=said) as error:
        put(bucket, "k", b"x")
    assert error.value.where == f"s3://{bucket.name}/k"


def test_a_key_that_denies_is_told_from_a_bucket_that_denies(aws: Aws, bucket: S3Bucket) -> None:
    message = "User is not authorized to perform: kms:GenerateDataKey on resource"
    body = f"<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>"
    aws.before = lambda _: Response(body, status=403, content_type="application/xml")
    with pytest.raises(PipelineError, match="the bucket's KMS key denies access") as error:
        put(bucket, "k", b"x")
    assert "kms:GenerateDataKey" in error.value.mend


def test_a_bucket_that_does_not_exist_is_named(aws: Aws) -> None:
    with pytest.raises(PipelineError, match="the bucket does not exist"):
        S3Bucket(aws.session(), "no-such-bucket").listing("dags/")


class Once:
    """A hook that answers the first request that fits."""

    def __init__(self, fits: Callable[[Sent], bool], answer: Response) -> None:
        self._fits = fits
        self._answer = answer
        self.done = False

    def __call__(self, sent: Sent) -> Response | None:
        if self.done or not self._fits(sent):
            return None
        self.done = True
        return self._answer
