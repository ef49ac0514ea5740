"""What ECR decides, with values alone: references, tokens, tags, identifiers, pages."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.localaws.ecr.images import Missing, page, select, with_tag_status
from pipeline.localaws.ecr.reference import image_reference
from pipeline.localaws.ecr.repositories import Repository
from pipeline.localaws.ecr.tokens import Tokens, Verdict, authorization_token, password_of
from pipeline.localaws.machine.registry_storage import OCI_MANIFEST, StoredImage
from pipeline.localaws.region import LocalRegion

NOW = datetime(2026, 11, 23, tzinfo=UTC)
ONE, TWO, NONE = (f"sha256:{letter * 64}" for letter in "abc")


def _image(digest: str, *tags: str) -> StoredImage:
    return StoredImage(digest, tags, OCI_MANIFEST, "", 1, NOW)


IMAGES = [_image(ONE, "v1", "v2"), _image(TWO)]


@pytest.mark.parametrize(
    ("written", "pulled"),
    [
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/etl/base:abc", "127.0.0.1:4566/etl/base:abc"),
        (f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/etl/base@{ONE}", f"127.0.0.1:4566/etl/base@{ONE}"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/a:1", "127.0.0.1:4566/a:1"),
        ("127.0.0.1:4566/etl/base:abc", "127.0.0.1:4566/etl/base:abc"),
        ("python:3.12", "python:3.12"),
        ("public.ecr.aws/docker/library/python:3", "public.ecr.aws/docker/library/python:3"),
    ],
)
def test_an_image_of_ecr_is_pulled_from_the_local_registry(written: str, pulled: str) -> None:
    assert image_reference(written, LocalRegion("http://127.0.0.1:4566", "eu-west-1", Path())) == pulled


@pytest.mark.parametrize(
    ("mutability", "tag", "immutable"),
    [
        ("MUTABLE", "v1", False),
        ("IMMUTABLE", "v1", True),
        ("IMMUTABLE_WITH_EXCLUSION", "cache-1", False),
        ("IMMUTABLE_WITH_EXCLUSION", "v1", True),
        ("MUTABLE_WITH_EXCLUSION", "cache-1", True),
        ("MUTABLE_WITH_EXCLUSION", "v1", False),
    ],
)
def test_which_tags_are_immutable(mutability: str, tag: str, immutable: bool) -> None:
    exclusions = ("cache*",) if "EXCLUSION" in mutability else ()
    assert Repository("r", mutability, exclusions).is_immutable(tag) is immutable


def test_a_token_is_good_for_twelve_hours(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "ecr" / "token.key")
    password, expires = tokens.issue(NOW)
    assert expires == NOW + timedelta(hours=12)
    assert tokens.judge(password, NOW + timedelta(hours=11, minutes=59)) == Verdict(good=True)
    assert tokens.judge(password, NOW + timedelta(hours=12)) == Verdict(good=False, expired=True)


def test_a_token_outlives_the_server(tmp_path: Path) -> None:
    password, _ = Tokens(tmp_path / "key").issue(NOW)
    assert Tokens(tmp_path / "key").judge(password, NOW).good


@pytest.mark.parametrize("forged", ["", ".", "guess", "99999999999.ab.cd", "é.é"])
def test_a_token_we_did_not_make_is_refused(tmp_path: Path, forged: str) -> None:
    assert Tokens(tmp_path / "key").judge(forged, NOW) == Verdict(good=False)


def test_a_token_whose_time_was_changed_is_refused(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "key")
    password, _ = tokens.issue(NOW)
    assert not tokens.judge("9" + password, NOW).good


def test_only_the_user_aws_with_basic_authentication_has_a_password() -> None:
    assert password_of(f"Basic {authorization_token('secret')}") == "secret"
    assert password_of("Bearer abc") is None
    assert password_of("Basic ???") is None
    assert password_of("Basic Ym9iOnNlY3JldA==") is None  # bob:secret
    assert password_of("") is None


@pytest.mark.parametrize(
    ("image_id", "meant"),
    [
        ({}, "MissingDigestAndTag"),
        ({"imageDigest": "v1"}, "InvalidImageDigest"),
        ({"imageDigest": TWO}, TWO),
        ({"imageTag": "v2"}, ONE),
        ({"imageTag": "v2", "imageDigest": ONE}, ONE),
        ({"imageTag": "v2", "imageDigest": TWO}, "ImageTagDoesNotMatchDigest"),
        ({"imageTag": "v9", "imageDigest": TWO}, "ImageNotFound"),
        ({"imageTag": "v9"}, "ImageNotFound"),
        ({"imageDigest": NONE}, "ImageNotFound"),
    ],
)
def test_which_image_an_identifier_means(image_id: dict[str, str], meant: str) -> None:
    found = select(IMAGES, image_id)
    assert (found.code if isinstance(found, Missing) else found.digest) == meant


@pytest.mark.parametrize(("status", "digests"), [("ANY", [ONE, TWO]), ("TAGGED", [ONE]), ("UNTAGGED", [TWO])])
def test_the_filter_by_tag_status(status: str, digests: list[str]) -> None:
    assert [image.digest for image in with_tag_status(IMAGES, status)] == digests


def test_pages_follow_one_another_to_the_end() -> None:
    first = page([1, 2, 3], None, 2)
    assert first is not None
    assert first.document("x") == {"x": [1, 2], "nextToken": "2"}
    second = page([1, 2, 3], first.next_token, 2)
    assert second is not None
    assert second.document("x") == {"x": [3]}


def test_a_page_token_that_is_not_ours_is_refused() -> None:
    assert page([1], "../1", 1) is None
