"""Which images of the registry go: the table row by row, and how they are deleted."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.images.ecr_store import EcrStore
from pipeline.images.prune import PrunePlan, Stored, by_repository, carry_out, plan_prune
from pipeline.images.report import prune_document, prune_lines

NOW = datetime(2026, 11, 7, tzinfo=UTC)
OLD, YOUNG = 120, 12  # days
QUARTER = timedelta(days=90)
ONE, TWO, THREE = ("1" * 32, "2" * 32, "3" * 32)
INDEX = "application/vnd.oci.image.index.v1+json"


def image(tag: str, days: float = OLD, *members: str, pulled: float | None = None, size: int = 10) -> Stored:
    pull = None if pulled is None else NOW - timedelta(days=pulled)
    return Stored(
        f"sha256:{tag}", (tag,), size, NOW - timedelta(days=days), pull, tuple(f"sha256:{m}" for m in members)
    )


LATEST = image("f" * 32, 1)


def decide(*images: Stored, needed: Mapping[str, str] | None = None) -> PrunePlan:
    return plan_prune({"x": images}, {"x": needed or {}}, QUARTER, NOW)


def goes(plan: PrunePlan) -> set[str]:
    return {row.image.tags[0] for row in plan.deletions}


# image, who needs what, whether it goes, the reason
ROWS: list[tuple[Stored, dict[str, str], bool, str]] = [
    (image(ONE), {}, True, "nothing references it; pushed 120 days ago"),
    (image(ONE, pulled=100), {}, True, "nothing references it; pushed 120 days ago, pulled 100 days ago"),
    (image(ONE), {TWO: "release r of dev"}, True, "nothing references it"),
    (image(ONE), {ONE: "release r of dev"}, False, "release r of dev"),
    (image(ONE), {f"sha256:{ONE}": "release r of dev"}, False, "release r of dev"),
    (image(f"{ONE}-arm64"), {ONE: "release r of dev"}, False, "release r of dev"),
    (image("stable"), {}, False, "the tag stable is not the pipeline's"),
    (replace(image(ONE), tags=(ONE, "stable")), {}, False, "the tag stable is not the pipeline's"),
    (replace(image(ONE), tags=(ONE, f"{ONE}-keep-for-audit")), {}, False, f"the tag {ONE}-keep-for-audit is not the"),
    (image(f"{ONE}-signed"), {}, False, f"the tag {ONE}-signed is not the pipeline's"),
    (image(f"{ONE}-arm64"), {}, True, "nothing references it"),
    (image(ONE, YOUNG), {}, False, "pushed 12 days ago"),
    (image(ONE, 90), {}, False, "pushed 90 days ago"),
    (image(ONE, pulled=3), {}, False, "pushed 120 days ago, pulled 3 days ago"),
]


@pytest.mark.parametrize(("stored", "needed", "gone", "reason"), ROWS)
def test_what_becomes_of_an_image_is_what_the_table_says(
    stored: Stored, needed: dict[str, str], gone: bool, reason: str
) -> None:
    row = next(row for row in decide(stored, LATEST, needed=needed).rows if row.image == stored)
    assert row.goes is gone
    assert row.reason.startswith(reason)


def test_the_latest_image_is_kept_however_old_and_so_is_all_of_it() -> None:
    whole, parts = image(TWO, OLD, f"{TWO}-amd64", f"{TWO}-arm64"), [image(f"{TWO}-{a}") for a in ("amd64", "arm64")]
    assert goes(decide(image(ONE, OLD + 1), whole, *parts)) == {ONE}
    assert decide(image(ONE, OLD)).rows[0].reason == "the latest: the next build takes layers from it, and its reasons"


def test_what_an_index_that_is_kept_joins_is_kept_whatever_it_is_called() -> None:
    whole = image(TWO, YOUNG, ONE, f"{TWO}-arm64")
    plan = decide(whole, image(ONE), image(f"{TWO}-arm64"), image(THREE), LATEST)
    assert goes(plan) == {THREE}
    assert {row.reason for row in plan.rows if row.image.digest in whole.members} == {f"part of {TWO}, which is kept"}


def test_an_index_that_goes_takes_its_parts_with_it() -> None:
    parts = [image(f"{ONE}-amd64"), image(f"{ONE}-arm64", size=7)]
    plan = decide(image(ONE, OLD, f"{ONE}-amd64", f"{ONE}-arm64"), *parts, LATEST)
    assert goes(plan) == {ONE, f"{ONE}-amd64", f"{ONE}-arm64"}
    assert plan.freed == 17, "an index has no bytes of its own"


DIGITS = st.sampled_from("1234")


@given(
    wholes=st.lists(st.tuples(DIGITS, st.integers(0, 300), st.booleans()), max_size=8, unique_by=lambda each: each[0]),
    needed=st.sets(DIGITS),
)
def test_no_part_of_an_image_that_stays_ever_goes(wholes: list[tuple[str, int, bool]], needed: set[str]) -> None:
    images = []
    for digit, days, several in wholes:
        parts = [f"{digit * 32}-{name}" for name in ("amd64", "arm64")] if several else []
        images += [image(digit * 32, days, *parts), *(image(part, days + 1) for part in parts)]
    plan = decide(*images, needed=dict.fromkeys((digit * 32 for digit in needed), "a release"))
    gone = {row.image.digest for row in plan.deletions}
    for row in plan.rows:
        assert row.goes or not gone & set(row.image.members)
        assert not (row.goes and row.image.tags[0][:32] in {digit * 32 for digit in needed})


def test_references_are_read_as_task_definitions_name_images() -> None:
    found = by_repository(
        {
            "1.dkr.ecr.r.amazonaws.com/etl/x:one": "release 1",
            "127.0.0.1:4577/etl/x:two": "release 2",
            "1.dkr.ecr.r.amazonaws.com/etl/y@sha256:abc": "release 3",
            "1.dkr.ecr.r.amazonaws.com/etl/z:three@sha256:def": "release 4",
        }
    )
    assert found == {
        "etl/x": {"one": "release 1", "two": "release 2"},
        "etl/y": {"sha256:abc": "release 3"},
        "etl/z": {"three": "release 4", "sha256:def": "release 4"},
    }


@dataclass
class MemoryStore:
    """Images that are deleted, unless the registry refuses."""

    images: dict[str, list[Stored]]
    refuses: dict[str, str] = field(default_factory=dict)

    def stored(self, name: str) -> Sequence[Stored]:
        return self.images[name]

    def delete(self, name: str, images: Sequence[Stored]) -> dict[str, str]:
        self.images[name] = [each for each in self.images[name] if each not in images or each.digest in self.refuses]
        return {each.digest: self.refuses[each.digest] for each in images if each.digest in self.refuses}


def test_what_the_plan_says_is_deleted_and_what_the_registry_refuses_is_told() -> None:
    store = MemoryStore({"x": [image(ONE), image(TWO), LATEST], "y": [LATEST]}, {f"sha256:{TWO}": "KmsError: no"})
    plan = plan_prune(store.images, {}, QUARTER, NOW)
    failed = carry_out(plan, store)
    assert failed == {f"sha256:{TWO}": "KmsError: no"}
    assert store.images == {"x": [image(TWO), LATEST], "y": [LATEST]}
    assert {entry["tags"][0]: entry["failed"] for entry in prune_document(plan, failed, dry_run=False)["images"]} == {
        ONE: None,
        TWO: "KmsError: no",
        LATEST.tags[0]: None,
    }


def test_a_table_has_a_reason_in_each_row_and_a_sum() -> None:
    lines = prune_lines(decide(image(ONE, size=2_000_000), LATEST))
    assert lines == [
        f"x  keep    {LATEST.tags[0]}  0.0 MB  the latest: the next build takes layers from it, and its reasons",
        f"x  delete  {ONE}  2.0 MB  nothing references it; pushed 120 days ago",
        "1 of 2 images to delete: at most 2.0 MB",
    ]
    assert prune_lines(decide()) == ["0 of 0 images to delete: at most 0.0 MB"]


def test_indexes_are_deleted_first_and_each_tag_with_the_digest_it_had() -> None:
    store, stub = stubbed()
    parts = [image(f"{ONE}-amd64"), replace(image(TWO), tags=(TWO, THREE))]
    ids = [[(ONE, ONE)], [(f"{ONE}-amd64", f"{ONE}-amd64"), (TWO, TWO), (TWO, THREE)]]
    failures = [
        {"imageId": {"imageDigest": "sha256:a"}, "failureCode": "ImageNotFound", "failureReason": "gone"},
        {"imageId": {"imageDigest": "sha256:b"}, "failureCode": "ImageTagDoesNotMatchDigest", "failureReason": "moved"},
    ]
    for some, refused in zip(ids, ([], failures), strict=True):
        asked = [{"imageDigest": f"sha256:{digest}", "imageTag": tag} for digest, tag in some]
        expected = {"repositoryName": "etl/x", "imageIds": asked}
        stub.add_response("batch_delete_image", {"failures": refused}, expected)
    failed = store.delete("x", [*parts, image(ONE, OLD, f"{ONE}-amd64")])
    assert failed == {"sha256:b": "ImageTagDoesNotMatchDigest: moved"}
    stub.assert_no_pending_responses()


def test_a_hundred_tags_are_deleted_at_once() -> None:
    store, stub = stubbed()
    for _ in range(2):
        stub.add_response("batch_delete_image", {"failures": []})
    assert store.delete("x", [image(f"{number:032x}") for number in range(101)]) == {}
    stub.assert_no_pending_responses()


def test_an_index_that_the_registry_does_not_show_is_an_error() -> None:
    detail = {"imageDigest": "sha256:1", "imageTags": [ONE], "imagePushedAt": NOW, "imageManifestMediaType": INDEX}
    for images, error in (
        ([{"imageId": {"imageDigest": "sha256:1"}, "imageManifest": json.dumps({"manifests": []})}], ""),
        ([], "does not say which images sha256:1 joins"),
        ([{"imageId": {"imageDigest": "sha256:1"}, "imageManifest": "{}"}], "cannot be asked"),
    ):
        store, stub = stubbed()
        stub.add_response("describe_images", {"imageDetails": [detail]})
        stub.add_response("batch_get_image", {"images": images})
        if not error:
            assert [each.digest for each in store.stored("x")] == ["sha256:1"]
            continue
        with pytest.raises(PipelineError, match=error):
            store.stored("x")


def stubbed() -> tuple[EcrStore, Any]:
    store = EcrStore(boto3.Session("a", "b", region_name="eu-west-1"), lambda name: f"etl/{name}")
    stub = Stubber(store._ecr)
    stub.activate()
    return store, stub
