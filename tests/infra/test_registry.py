"""The repositories: what they keep for ever, and who may read the secrets of builds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.infra import registry_secrets
from pipeline.settings import parse
from tests.infra.conftest import ACCOUNT, SETTINGS, Assembly, compose
from tests.infra.test_access import listed, statements


@dataclass(frozen=True)
class Stored:
    """An image in a repository, `age` days after its push."""

    tags: tuple[str, ...]
    age: int


def expired(images: Sequence[Stored], rules: Sequence[Mapping[str, Any]]) -> list[Stored]:
    """What ECR expires (ECR user guide, "Lifecycle policy evaluation rules"), for the two ways of counting."""
    gone = []
    for rule in sorted(rules, key=lambda rule: rule["rulePriority"]):
        selection = rule["selection"]
        status = selection["tagStatus"]
        assert status in ("untagged", "any"), "a rule for some tags: extend this twin of ECR's evaluation"
        chosen = [image for image in images if status == "any" or not image.tags]
        if selection["countType"] == "sinceImagePushed":
            gone += [image for image in chosen if image.age > selection["countNumber"]]
        else:
            gone += sorted(chosen, key=lambda image: image.age)[selection["countNumber"] :]
    return gone


IMAGES = st.lists(
    st.builds(
        Stored,
        st.lists(st.sampled_from(["1" * 32, "2" * 32, "2" * 32 + "-arm64"]), max_size=2).map(tuple),
        st.integers(0, 4000),
    ),
    max_size=80,
)


def rules(assembly: Assembly) -> list[list[Mapping[str, Any]]]:
    found = assembly.resources("AWS::ECR::Repository").values()
    return [json.loads(each["Properties"]["LifecyclePolicy"]["LifecyclePolicyText"])["rules"] for each in found]


def test_no_image_that_a_release_can_reference_is_ever_removed(assembly: Assembly) -> None:
    # A release names images by the content tags of its commit; whichever they are, and however many came after.
    @given(images=IMAGES, referenced=st.sampled_from(["1" * 32, "2" * 32]))
    def holds(images: list[Stored], referenced: str) -> None:
        for each in rules(assembly):
            assert not [image for image in expired(images, each) if referenced in image.tags]

    holds()
    assert len(rules(assembly)) == 3


def test_the_rule_it_replaces_would_have_removed_them() -> None:
    count = {"rulePriority": 1, "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 50}}
    images = [Stored((str(number),), number) for number in range(51)]
    assert expired(images, [count]) == [images[50]]


def test_what_was_untagged_by_hand_goes_after_a_while(assembly: Assembly) -> None:
    for each in rules(assembly):
        assert expired([Stored((), 31), Stored((), 29)], each) == [Stored((), 31)]


def test_builds_may_read_their_secrets_and_no_others() -> None:
    sources = {
        "pip.conf": {"secret": "etl/pip"},
        "npmrc": {"secret": "arn:aws:secretsmanager:r:1:secret:npm-a1B2c3"},
        "ca.pem": {"file": "certs/ca.pem"},
        "mirror": {"secret": "arn:aws:secretsmanager:s:2:secret:mirror"},
    }
    settings = parse({**SETTINGS, "images": {"build_secrets": sources}})
    right, *keys = registry_secrets.reading(settings, "1", "r")
    here = ["arn:aws:secretsmanager:r:1:secret:npm-a1B2c3", "arn:aws:secretsmanager:r:1:secret:etl/pip-??????"]
    there = ["arn:aws:secretsmanager:s:2:secret:mirror-??????"]
    assert right.actions == ("secretsmanager:GetSecretValue",)
    assert sorted(right.resources) == sorted([*here, *there])
    assert [(each.actions, each.resources) for each in keys] == [
        (("kms:Decrypt",), ("arn:aws:kms:r:1:key/*",)),
        (("kms:Decrypt",), ("arn:aws:kms:s:2:key/*",)),
    ]
    for key, place, secrets in zip(keys, ("r", "s"), (here, there), strict=True):
        assert key.conditions == {
            "StringEquals": {"kms:ViaService": f"secretsmanager.{place}.amazonaws.com"},
            "StringLike": {"kms:EncryptionContext:SecretARN": secrets},
        }
    assert registry_secrets.reading(parse(SETTINGS), "1", "r") == ()


def test_only_the_steps_that_build_images_may_decrypt_the_secrets_of_builds(tmp_path: Path) -> None:
    made = compose(tmp_path, {"images": {"build_secrets": {"pip.conf": {"secret": "etl/pip"}}}})
    secret = [f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:etl/pip-??????"]
    condition = {
        "StringEquals": {"kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com"},
        "StringLike": {"kms:EncryptionContext:SecretARN": secret},
    }
    for role, may in (("testcontainers", True), ("buildimages", True), ("testdags", False)):
        given = list(statements(made, "etl-pipeline", f"Role{role}"))
        reading = [listed(each["Resource"]) for each in given if each["Action"] == "secretsmanager:GetSecretValue"]
        assert reading == [secret] * may
        assert [each["Condition"] for each in given if "Condition" in each] == [condition] * may


@pytest.mark.parametrize("arn", ["arn:aws:s3:::bucket", "arn:", "arn:aws:secretsmanager:r:1:secret:x:KEY::"])
def test_an_arn_of_something_else_is_refused(arn: str) -> None:
    settings = parse({**SETTINGS, "images": {"build_secrets": {"x": {"secret": arn}}}})
    with pytest.raises(UsageError, match="no ARN of a secret") as error:
        registry_secrets.reading(settings, "1", "r")
    assert "build_secrets" in error.value.where
