import pytest

from pipeline.errors import LockedError, PipelineError
from pipeline.release.mwaa import RequirementsError, update
from tests.release.fakes import FakeMwaa


def run(mwaa: FakeMwaa, **versions: str) -> list[str]:
    said: list[str] = []
    update(
        mwaa,
        versions,  # type: ignore[arg-type]
        "GRACEFUL",
        renew=lambda: None,
        alive=lambda: None,
        tell=said.append,
        pause=lambda _: None,
    )
    return said


def test_it_waits_until_mwaa_runs_with_the_new_versions() -> None:
    mwaa = FakeMwaa(pinned={"requirements": "v1"}, looks=5)
    assert run(mwaa, requirements="v2", plugins="v9") == [
        "the workers of etl-dev are replaced (GRACEFUL), which takes a while",
        "etl-dev is AVAILABLE",
        "the pip log says that requirements.txt is installed",
    ]
    assert mwaa.calls == [({"requirements": "v2", "plugins": "v9"}, "GRACEFUL")]
    assert mwaa.pinned == {"requirements": "v2", "plugins": "v9"}


def test_versions_in_force_need_no_update() -> None:
    mwaa = FakeMwaa(pinned={"requirements": "v2"})
    run(mwaa, requirements="v2")
    assert mwaa.calls == []


def test_a_failed_update_is_explained_in_mwaa_s_words() -> None:
    mwaa = FakeMwaa(fails_with="INCORRECT_CONFIGURATION: the file is not there")
    with pytest.raises(PipelineError, match="INCORRECT_CONFIGURATION: the file is not there"):
        run(mwaa, requirements="v2")


def test_after_a_failed_update_the_versions_that_mwaa_restored_replace_no_worker() -> None:
    mwaa = FakeMwaa(fails_with="no")
    mwaa.pinned = {"requirements": "v1"}
    mwaa.pip = lambda _: ["ERROR: no matching distribution of what failed"]
    with pytest.raises(PipelineError):
        run(mwaa, requirements="v2")
    assert mwaa.status == "UPDATE_FAILED"
    assert run(mwaa, requirements="v1") == [
        "etl-dev runs with these versions: MWAA restored them when its last update failed"
    ]
    assert len(mwaa.calls) == 1


def test_a_lock_that_was_lost_replaces_no_worker() -> None:
    def lost() -> None:
        raise LockedError("taken over")

    mwaa = FakeMwaa()
    with pytest.raises(LockedError):
        update(mwaa, {"plugins": "v"}, "FORCED", renew=lost, alive=lambda: None, tell=lambda _: None)
    assert mwaa.calls == []


def test_after_a_failed_update_another_may_be_tried() -> None:
    mwaa = FakeMwaa(fails_with="no")
    with pytest.raises(PipelineError):
        run(mwaa, requirements="v2")
    mwaa.fails_with = ""
    run(mwaa, requirements="v3")
    assert mwaa.pinned == {"requirements": "v3"}


@pytest.mark.parametrize("status", ["UPDATING", "CREATING", "MAINTENANCE", "DELETING"])
def test_a_busy_environment_is_not_updated(status: str) -> None:
    mwaa = FakeMwaa(status=status)
    with pytest.raises(PipelineError, match=f"the environment is {status}"):
        run(mwaa, requirements="v2")
    assert mwaa.calls == []


def test_the_lock_is_kept_alive_while_mwaa_works() -> None:
    signs = []
    update(
        FakeMwaa(looks=6),
        {"requirements": "v"},
        "FORCED",
        renew=lambda: None,
        alive=lambda: signs.append(1),
        tell=lambda _: None,
        pause=lambda _: None,
    )
    assert len(signs) >= 6


def test_an_empty_pip_log_is_no_proof() -> None:
    assert "the pip log is empty: are the environment's logs switched on?" in run(
        FakeMwaa(pip=lambda _: []), requirements="v2"
    )


def test_without_requirements_there_is_no_pip_log() -> None:
    assert run(FakeMwaa(), plugins="v2")[1:] == ["etl-dev is AVAILABLE"]


@pytest.mark.parametrize("part", ["plugins", "startup"])
def test_new_workers_install_the_requirements_anew_whatever_they_are_new_for(part: str) -> None:
    mwaa = FakeMwaa(pinned={"requirements": "v1"}, pip=lambda _: ["ERROR: no nonsense"])
    with pytest.raises(RequirementsError, match="no nonsense"):
        run(mwaa, **{part: "v2"})


def test_versions_in_force_are_judged_by_the_pip_log_of_the_update_that_brought_them() -> None:
    mwaa = FakeMwaa(pip=lambda _: ["ERROR: no nonsense"])
    for _ in range(2):
        with pytest.raises(RequirementsError, match="no nonsense"):
            run(mwaa, requirements="v2")
    assert len(mwaa.calls) == 1
