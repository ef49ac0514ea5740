import pytest

from pipeline.localaws.codebuild.buildspec import OnFailure, PhaseName
from pipeline.localaws.codebuild.phases import ORDER, Next, after

FOLLOWING = {"install": "PRE_BUILD", "pre_build": "BUILD", "build": "POST_BUILD", "post_build": "UPLOAD_ARTIFACTS"}
CHOICES: tuple[OnFailure | None, ...] = (None, "ABORT", "CONTINUE")


@pytest.mark.parametrize("phase", ORDER)
@pytest.mark.parametrize("on_failure", CHOICES)
def test_a_phase_that_went_well_is_followed_by_the_next(phase: PhaseName, on_failure: OnFailure | None) -> None:
    assert after(phase, failed=False, on_failure=on_failure) == Next(FOLLOWING[phase], build_fails=False)


@pytest.mark.parametrize(
    ("phase", "on_failure", "following", "build_fails"),
    [
        ("install", None, "FINALIZING", True),
        ("pre_build", None, "FINALIZING", True),
        ("build", None, "POST_BUILD", True),
        ("post_build", None, "UPLOAD_ARTIFACTS", True),
        ("install", "ABORT", "FINALIZING", True),
        ("pre_build", "ABORT", "FINALIZING", True),
        ("build", "ABORT", "FINALIZING", True),
        ("post_build", "ABORT", "FINALIZING", True),
        ("install", "CONTINUE", "PRE_BUILD", False),
        ("pre_build", "CONTINUE", "BUILD", False),
        ("build", "CONTINUE", "POST_BUILD", False),
        ("post_build", "CONTINUE", "UPLOAD_ARTIFACTS", False),
    ],
)
def test_a_failed_phase_is_followed_as_the_table_says(
    phase: PhaseName, on_failure: OnFailure | None, following: str, build_fails: bool
) -> None:
    assert after(phase, failed=True, on_failure=on_failure) == Next(following, build_fails)
