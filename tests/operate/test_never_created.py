"""Which stacks are deleted so that the next commit can create them."""

import pytest

from pipeline.operate.never_created import never_created


@pytest.mark.parametrize(
    ("status", "deleted"),
    [
        ("ROLLBACK_COMPLETE", True),
        ("UPDATE_ROLLBACK_COMPLETE", False),
        ("ROLLBACK_FAILED", False),
        ("CREATE_COMPLETE", False),
        ("REVIEW_IN_PROGRESS", False),
        ("", False),
    ],
)
def test_only_a_stack_whose_creation_was_undone_is_deleted(status: str, deleted: bool) -> None:
    assert never_created({"etl-dev-tasks": status}) == (["etl-dev-tasks"] if deleted else [])
