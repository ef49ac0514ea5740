"""Whether pip could install requirements.txt, read from its log: MWAA itself does not say. Pure."""

import re
from collections.abc import Iterable

# Logged by MWAA when pip fails (amazon-mwaa-docker-images, user_requirements.py); by the local AWS likewise.
_FAILED = re.compile(r"ERROR: (pip installation exited with a non-zero error code|the requirements were not installed)")
_ERROR = re.compile(r"\bERROR: (.+)")
# pip's remark about packages that were there before. It ends with 0.
_REMARK = "pip's dependency resolver does not currently take into account"
_TOLD = 12  # lines: pip explains a conflict in a few


def problems(lines: Iterable[str]) -> tuple[str, ...]:
    """What pip said went wrong; empty when it installed everything.

    | the log has                              | verdict                             |
    | ---------------------------------------- | ----------------------------------- |
    | MWAA's own line that pip failed          | failed: pip's errors, or last lines |
    | an error of pip's, and no such line      | failed: MWAA ended pip in its midst |
    | only pip's remark on its resolver        | installed                           |
    | neither                                  | installed                           |
    """
    told: list[str] = []
    said: list[str] = []
    failed = False
    for line in lines:
        if _FAILED.search(line):
            failed = True
        elif _REMARK not in line and line.strip():
            if not failed:
                said.append(line.strip())
            found = _ERROR.search(line)
            if found and found[1].strip() not in told:
                told.append(found[1].strip())
    if told:
        return tuple(told[-_TOLD:])
    return tuple(said[-_TOLD:]) or ("pip ended with an error and named none",) if failed else ()
