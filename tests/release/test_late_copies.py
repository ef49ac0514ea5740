"""MWAA copies the bucket every 30 seconds: until then, its Airflow is the one of the former release."""

from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256

import pytest
from werkzeug.wrappers import Response

from pipeline.errors import PipelineError
from pipeline.release import structure
from pipeline.release.deploy import Origin
from pipeline.release.structure import Structures
from pipeline.release.verify import SOURCES_READ, Patience
from tests.release.conftest import Aws
from tests.release.fakes import FakeAirflow
from tests.release.values import ORIGIN
from tests.release.world import Errors, World, broken, watching

DAG = "from airflow.sdk import DAG\nversion = {}\n"


def late(world: World, errors: Errors = lambda _: {}, *, finds_after: float = 0) -> None:
    world.patience = Patience()
    world.airflow = watching(world, errors, copies_every=30, finds_after=finds_after)


def breaks(file: str, because_of: str, text: str) -> Errors:
    """A file cannot be imported while another one holds a text."""

    def errors(files: Mapping[str, str]) -> dict[str, str]:
        return {file: f"Traceback\n{text}"} if text in files.get(because_of, "") and file in files else {}

    return errors


def with_structures(world: World, **dags: str) -> Origin:
    """What the tests of the DAGs found in the folder: DAG id → file."""
    files = {path.name: sha256(path.read_bytes()).hexdigest() for path in world.folder.iterdir()}
    found = {name: structure.Dag(file=file) for name, file in dags.items()}
    return Origin(commit=ORIGIN.commit, by=ORIGIN.by, structures=Structures(files=files, dags={"dev": found}))


def test_a_file_that_dags_read_and_that_breaks_one_is_taken_back(world: World) -> None:
    late(world, breaks("a.py", "conf.yaml", "bad"))
    assert world.sync({"a.py": DAG.format(1), "conf.yaml": "good"}).verified
    with pytest.raises(PipelineError, match=r"a\.py has an import error"):
        world.sync({"conf.yaml": "bad"})
    assert world.contents()["dags/conf.yaml"] == "good"


def test_a_new_file_whose_text_names_no_dag_and_that_fails_is_taken_back(world: World) -> None:
    late(world, breaks("made.py", "made.py", "make(bad)"))
    world.sync({"a.py": DAG.format(1)})
    with pytest.raises(PipelineError, match=r"made\.py has an import error"):
        world.sync({"made.py": "make(bad)\n"})
    assert set(world.contents()) == {"dags/a.py"}


def test_a_dag_that_was_parsed_beside_its_old_helper_is_not_proven(world: World) -> None:
    """The usual commit, a DAG and its helper, where MWAA copied the DAG first and is slow to parse it again."""
    world.patience = Patience()
    world.sync({"a.py": f"import h\n{DAG.format(1)}", "h.py": "old"})
    parsed: list[float] = []

    def look(airflow: FakeAirflow) -> None:
        text = world.contents()["dags/a.py"]
        if not parsed or (text != airflow.sources["a"] and len(parsed) == 1):
            airflow.parse("a.py", text, "a")
            parsed.append(world.clock())
        if len(parsed) > 1 and world.clock() - parsed[1] >= 155:
            airflow.parse("a.py", text, error="ImportError: h has changed")

    world.airflow = FakeAirflow(each_look=look)
    with pytest.raises(PipelineError, match="h has changed"):
        world.sync({"a.py": f"import h\n{DAG.format(2)}", "h.py": "new"})
    assert world.contents()["dags/h.py"] == "old"


def test_a_dag_and_its_helper_take_no_longer_than_the_helper_alone(world: World) -> None:
    late(world)
    world.sync({"a.py": f"import h\n{DAG.format(1)}", "h.py": "1"})
    taken: list[float] = []
    for files in ({"h.py": "2"}, {"h.py": "3", "a.py": f"import h\n{DAG.format(2)}"}):
        began = world.clock()
        assert world.sync(files).verified
        taken.append(world.clock() - began)
    assert taken == [Patience().settled] * 2


def test_new_task_revisions_that_break_a_dag_are_taken_back(world: World) -> None:
    late(world, breaks("a.py", "_release.json", "etl-ingest:2"))
    world.sync({"a.py": DAG.format(1)})
    world.revision = 2
    with pytest.raises(PipelineError, match=r"a\.py has an import error"):
        world.sync()
    assert "etl-ingest:1" in world.everything()["dags/_release.json"]


def test_a_rollback_of_a_helper_that_breaks_a_dag_is_taken_back(world: World) -> None:
    world.sync({"a.py": f"import h\n{DAG.format(1)}", "h.py": "old"})
    late(world, breaks("a.py", "h.py", "old"))
    world.sync({"h.py": "new"})
    with pytest.raises(PipelineError, match=r"a\.py has an import error"):
        world.roll_back()
    assert world.contents()["dags/h.py"] == "new"


def test_a_rollback_waits_for_a_deleted_dag_to_come_back(world: World) -> None:
    late(world, finds_after=200)
    (world.folder / "a.py").write_text(DAG.format(1))
    (world.folder / "b.py").write_text(DAG.format(1))
    world.sync(origin=with_structures(world, a="a.py", b="b.py"))
    world.sync({"b.py": None}, origin=with_structures(world, a="a.py"))
    assert world.airflow is not None
    assert set(world.airflow.dags) == {"a"}
    assert world.roll_back().verified
    assert set(world.airflow.dags) == {"a", "b"}


def test_where_a_release_knows_no_dags_a_rollback_waits_for_those_its_files_define_all_the_same(world: World) -> None:
    late(world, finds_after=200)
    world.sync({"a.py": DAG.format(1), "b.py": DAG.format(1)})
    world.sync({"a.py": DAG.format(2), "b.py": None})
    assert world.airflow is not None
    began = world.clock()
    assert world.roll_back().verified
    assert set(world.airflow.dags) == {"a", "b"}
    assert 200 < world.clock() - began < Patience().deadline
    assert any("/dagSources/b" in path for path in world.airflow.asked), "proven by its text"


def test_a_file_that_could_not_be_imported_before_and_still_cannot_is_taken_back(world: World) -> None:
    """Its DAGs are unknown to Airflow since then, and its text alone names none."""
    world.sync({"a.py": "import factory\nmake(broken)\n", "factory.py": ""})
    late(world, broken)
    with pytest.raises(PipelineError, match=r"a\.py has an import error"):
        world.sync({"a.py": "import factory\nmake(still_broken)\n"})
    assert world.sync({"a.py": "import factory\nmake(mended)\n"}).verified


@pytest.mark.parametrize("files", [1, SOURCES_READ + 1])
def test_a_rollback_waits_until_what_it_restores_can_be_imported_again(world: World, files: int) -> None:
    names = [f"made_{number}.py" for number in range(files)]
    first = world.sync(dict.fromkeys(names, "make(1)\n"))
    second = world.sync(dict.fromkeys(names, "make(2)  # broken\n"))
    still: list[str] = []
    late(world, lambda copy: {**broken(copy), **dict.fromkeys(still, "Traceback\nImportError: gone")})
    assert world.roll_back(first.id).verified
    still += names
    with pytest.raises(PipelineError, match=r"made_0\.py has an import error"):
        world.roll_back(second.id)


@pytest.mark.parametrize("days", [0, 7])
def test_what_fails_long_after_a_sync_that_failed_before_it_wrote_anything_is_not_of_its_making(
    aws: Aws, world: World, days: int
) -> None:
    failing: dict[str, str] = {}
    late(world, lambda _: failing)
    world.keep = ("theirs/*",)
    world.put_by_hand("dags/theirs/x.sql", "1")
    world.sync({"a.py": DAG.format(1), "b.py": DAG.format(1)})
    aws.before = lambda sent: Response(status=403) if sent.writes and sent.path.endswith("a.py") else None
    with pytest.raises(PipelineError, match="403"):
        world.sync({"a.py": DAG.format(2)})
    aws.before = lambda _: None
    failing["b.py"] = "Traceback\nKeyError: a variable that somebody deleted"
    world.clock.pause(60)
    aws.ahead = timedelta(days=days)
    if days:
        assert world.sync().verified
        return
    with pytest.raises(PipelineError, match=r"b\.py has an import error"):
        world.sync()


def zipped(world: World, *, parsed_after: float) -> FakeAirflow:
    """An Airflow that has a DAG of a zip file, and looks into that file again late."""
    airflow = FakeAirflow()
    airflow.parse("team.zip/a.py", "", "a")

    def look(airflow: FakeAirflow) -> None:
        text = world.everything().get("dags/team.zip", "")
        if world.clock() >= parsed_after and text:
            airflow.parse("team.zip/a.py", "", "a", error="Traceback\nbad" if "broken" in text else "")
        elif world.clock() >= parsed_after:
            airflow.remove("team.zip/a.py")

    airflow.each_look = look
    return airflow


@pytest.mark.parametrize("back", [False, True], ids=["sync", "rollback"])
def test_the_dags_of_a_zip_file_are_waited_for_as_well(world: World, back: bool) -> None:
    world.patience = Patience()
    first = world.sync({"team.zip": "PK 1"})
    if back:
        world.sync({"team.zip": "PK 2"})
    world.airflow = zipped(world, parsed_after=200)
    assert (world.roll_back(first.id) if back else world.sync({"team.zip": "PK 2"})).verified
    assert world.clock() >= 200
    world.airflow = zipped(world, parsed_after=400)
    with pytest.raises(PipelineError, match=r"team\.zip/a\.py has an import error"):
        world.sync({"team.zip": "PK broken"})
    world.airflow = zipped(world, parsed_after=world.clock() + 200)
    assert world.sync({"team.zip": None}).verified
    assert not world.airflow.dags


def test_dags_that_were_parsed_from_their_new_text_are_verified_at_once(world: World) -> None:
    late(world)
    world.sync({"a.py": DAG.format(1), "b.py": DAG.format(1)})
    began = world.clock()
    assert world.sync({"a.py": DAG.format(2)}).verified
    assert 0 < world.clock() - began < Patience().settled


def test_a_text_that_was_copied_between_parsing_and_storing_is_not_proven(world: World) -> None:
    """Airflow 3 reads the source of a DAG from the disk when it stores what it has parsed (`DagCode`)."""
    world.patience = Patience()
    world.sync({"a.py": DAG.format(1)})
    world.airflow = FakeAirflow()
    world.airflow.parse("a.py", DAG.format(1), "a")

    def look(airflow: FakeAirflow) -> None:
        if 10 <= world.clock() < 40:
            airflow.parse("a.py", DAG.format("broken"), "a")
        elif world.clock() >= 40:
            airflow.parse("a.py", DAG.format("broken"), error="Traceback\nNameError: broken")

    world.airflow.each_look = look
    with pytest.raises(PipelineError, match=r"a\.py has an import error"):
        world.sync({"a.py": DAG.format("broken")})


def test_the_canary_runs_on_the_new_files(world: World) -> None:
    late(world)
    world.canary = "smoke"
    world.sync({"smoke.py": DAG.format(1), "conf.yaml": "old"})
    began = world.clock()
    world.sync({"conf.yaml": "new"})
    assert world.clock() - began >= Patience().settled


def test_a_helper_that_only_looks_like_a_dag_file_is_a_remark_and_no_failure(world: World) -> None:
    late(world)
    world.sync({"a.py": DAG.format(1)})
    assert world.airflow is not None
    parse = world.airflow.each_look

    def look(airflow: FakeAirflow) -> None:
        parse(airflow)
        airflow.remove("typed.py")

    world.airflow.each_look = look
    assert world.sync({"typed.py": "from airflow.sdk import DAG\ndef tasks(dag: DAG): ...\n"}).verified
    assert any(line.startswith("remark: no DAG of typed.py has appeared within 600 s") for line in world.said)
