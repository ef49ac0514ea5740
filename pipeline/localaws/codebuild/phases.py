"""Which phase follows which, and when the build has failed."""

from dataclasses import dataclass
from typing import Final

from pipeline.localaws.codebuild.buildspec import OnFailure, PhaseName

ORDER: Final[tuple[PhaseName, ...]] = ("install", "pre_build", "build", "post_build")

UPLOAD_ARTIFACTS: Final = "UPLOAD_ARTIFACTS"
FINALIZING: Final = "FINALIZING"


@dataclass(frozen=True)
class Next:
    """What follows a phase: the next phase, and whether the build is now to end as FAILED."""

    phase: str
    build_fails: bool


def after(phase: PhaseName, *, failed: bool, on_failure: OnFailure | None) -> Next:
    """The phase after `phase`.

    | phase               | ended  | on-failure | next             | build fails |
    | ------------------- | ------ | ---------- | ---------------- | ----------- |
    | any but post_build  | well   | any        | the next         | no          |
    | post_build          | well   | any        | UPLOAD_ARTIFACTS | no          |
    | install, pre_build  | failed | not given  | FINALIZING       | yes         |
    | build               | failed | not given  | post_build       | yes         |
    | post_build          | failed | not given  | UPLOAD_ARTIFACTS | yes         |
    | any                 | failed | ABORT      | FINALIZING       | yes         |
    | any but post_build  | failed | CONTINUE   | the next         | no          |
    | post_build          | failed | CONTINUE   | UPLOAD_ARTIFACTS | no          |

    A phase's `finally` commands run in every one of these cases; a failing one fails the phase. With CONTINUE the phase
    itself still shows as FAILED, and CODEBUILD_BUILD_SUCCEEDING is 0 from then on.

    Source: CodeBuild user guide, "Build phase transitions" and "Buildspec syntax" (on-failure, finally). The guide does
    not say how a build ends after CONTINUE; that it is not failed by it is what public users of the option report.
    """
    position = ORDER.index(phase)
    following = ORDER[position + 1].upper() if position + 1 < len(ORDER) else UPLOAD_ARTIFACTS
    if not failed:
        return Next(following, build_fails=False)
    if on_failure == "CONTINUE":
        return Next(following, build_fails=False)
    if on_failure == "ABORT" or phase in ("install", "pre_build"):
        return Next(FINALIZING, build_fails=True)
    return Next(following, build_fails=True)
