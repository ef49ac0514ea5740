import pytest

from pipeline.release.pip_log import problems

MWAA = (
    "ERROR: pip installation exited with a non-zero error code. This could be the result of package conflict. "
    "Notice that MWAA enforces a list of critical packages"
)
CONFLICT = "ERROR: Cannot install pandas==1.0 because these package versions have conflicting dependencies."
MISSING = "ERROR: No matching distribution found for no-such-package==1"
REMARK = "ERROR: pip's dependency resolver does not currently take into account all the packages that are installed."


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], ()),
        (["Collecting pandas", "Successfully installed pandas-2.2"], ()),
        ([REMARK, "Successfully installed pandas-2.2"], ()),
        (["Collecting x", MISSING, MWAA], (MISSING[7:],)),
        ([CONFLICT, CONFLICT, MISSING, MWAA], (CONFLICT[7:], MISSING[7:])),
        ([CONFLICT], (CONFLICT[7:],)),
        (["because boto3==1.0.0 conflicts", "", MWAA, "Starting"], ("because boto3==1.0.0 conflicts",)),
        ([MWAA], ("pip ended with an error and named none",)),
        ([REMARK, MWAA], ("pip ended with an error and named none",)),
        (
            ["[2026-11-07 10:00] ERROR: the requirements were not installed; Airflow starts without them"],
            ("pip ended with an error and named none",),
        ),
        ([f"[2026-11-07T10:00:00Z] {MISSING}", MWAA], (MISSING[7:],)),
    ],
)
def test_each_row_of_the_table(lines: list[str], told: tuple[str, ...]) -> None:
    assert problems(lines) == told
