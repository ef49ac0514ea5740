"""What is imported again after a change: everything it can affect, and nothing else. With a real Airflow."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import settings
from pipeline.dagtest.airflow_environment import ensure
from pipeline.dagtest.importing import Importing
from pipeline.dagtest.results import Results
from pipeline.dagtest.testing import run_test
from pipeline.errors import PipelineError
from tests.dagtest.projects import AIRFLOW, ROOT, make_project, write

DAG = "from airflow.sdk import DAG\ndag = DAG('{}', description={})\n"
FILES = {
    "alone.py": DAG.format("alone", "'x'"),
    "helped.py": "import helper\n" + DAG.format("helped", "helper.TEXT"),
    "deep.py": "from package import inner\n" + DAG.format("deep", "inner.TEXT"),
    "tries.py": "try:\n    import extra\nexcept ImportError:\n    extra = None\n" + DAG.format("tries", "str(extra)"),
    "reads.py": "from pathlib import Path\n" + DAG.format("reads", "(Path(__file__).parent / 'data.json').read_text()"),
    "looks.py": "import os\n" + DAG.format("looks", "str(sorted(os.listdir('dags/tables')))"),
    "asks.py": "import os\n" + DAG.format("asks", "os.environ.get('STAGE', '-')"),
    "broken.py": "import nothing_like_it  # airflow DAG\n",
    "helper.py": "import deeper\nTEXT = deeper.TEXT\n",
    "deeper.py": "TEXT = 'one'\n",
    "package/__init__.py": "",
    "package/inner.py": "TEXT = 'one'\n",
    "data.json": "{}",
    "tables/a.sql": "",
    ".airflowignore": "fargate.py\nhelper.py\ndeeper.py\nextra.py\npackage/\nnothing_like_it.py\n",
}
UNUSUAL = {
    "resolves.py": "import os\n" + DAG.format("resolves", "open(os.path.abspath('dags/data.json')).read()"),
    "at_home.py": "import os\n" + DAG.format("home", "open(os.environ['AIRFLOW_HOME'] + '/dags/data.json').read()"),
    "globs.py": "import glob\n" + DAG.format("globs", "str(glob.glob('dags/tables/*.sql'))"),
    "walks.py": "from pathlib import Path\n" + DAG.format("walks", "str(list(Path('dags/tables').glob('*.sql')))"),
    "is_there.py": "import os\n" + DAG.format("is_there", "str(os.path.exists('dags/extra.py'))"),
    "sizes.py": "import os\n" + DAG.format("sizes", "str(os.stat('dags/data.json').st_size)"),
    "accesses.py": "import os\n" + DAG.format("accesses", "str(os.access('dags/extra.py', os.R_OK))"),
    "globs_in_all.py": "import glob\n" + DAG.format("globs_in_all", "str(glob.glob('dags/*/conf.py'))"),
    "finds_itself.py": "from pathlib import Path\n" + DAG.format("finds", "str(Path(__file__).resolve().parent)"),
    "renders.py": "from airflow.sdk import DAG, BaseOperator\nclass Submit(BaseOperator):\n    job = 'job.py'\n"
    "    template_fields, template_ext = ('job',), ('.py',)\nwith DAG('renders'):\n    Submit(task_id='submit')\n",
    "elsewhere.py": "import sys\nsys.path.insert(0, 'dags/lib')\nimport common\n" + DAG.format("else", "common.X"),
    "a_while.py": "import sys\nsys.path.append('dags/lib')\nimport common\nsys.path.pop()\n"
    + DAG.format("a_while", "common.X"),
}
DAG_FILES = {"alone.py", "helped.py", "deep.py", "tries.py", "reads.py", "looks.py", "asks.py", "broken.py"}


def imported(project: Path, **dag_tests: Any) -> set[str]:
    """Test the project; the DAG files that were imported, not taken from an earlier run."""
    configured = settings.load(project)
    if dag_tests:
        configured = replace_tests(configured, dag_tests)
    outcome = run_test(ensure(project, AIRFLOW), project, configured)
    assert {Path(file.path).name for file in outcome.files} >= DAG_FILES - {"gone.py"}
    return {Path(file.path).name for file in outcome.files if not file.is_kept}


def replace_tests(configured: settings.Settings, dag_tests: Mapping[str, Any]) -> settings.Settings:
    return configured.model_copy(update={"dag_tests": settings.DagTests(**dag_tests)})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = make_project(tmp_path, FILES)
    assert imported(project) == DAG_FILES
    assert imported(project) == set()
    return project


def test_only_what_a_change_can_affect_is_imported_again(project: Path) -> None:
    for changes, affected in (
        ({"alone.py": FILES["alone.py"] + "# more\n"}, {"alone.py"}),
        ({"deeper.py": "TEXT = 'two'\n"}, {"helped.py"}),
        ({"package/inner.py": "TEXT = 'two'\n"}, {"deep.py"}),
        ({"data.json": "[]"}, {"reads.py"}),
        ({"extra.py": "x = 1\n"}, {"tries.py"}),
        ({"extra.py": "x = 2\n"}, {"tries.py"}),
        ({"nothing_like_it.py": "\n"}, {"broken.py"}),
        ({"new.py": DAG.format("new", "'x'")}, {"new.py"}),
    ):
        write(project, changes)
        assert imported(project) == affected, changes
        assert imported(project) == set(), changes


LOOKING = {
    "in_task.py": DAG.format("in_task", "'x'") + "def t():\n    from team_helper import f\n",
    "by_helper.py": "import helping\n" + DAG.format("by_helper", "'x'"),
    "helping.py": "def t():\n    import team_helper\n    import common.x\n",
    "if_found.py": "import importlib.util\nfrom airflow.sdk import DAG\na = DAG('a')\n"
    "if importlib.util.find_spec('extras_mod'):\n    has = DAG('has')\n",
    "in_folder.py": "from common.x import A\n" + DAG.format("in_folder", "A"),
    "team_helper.py": "f = 1\n",
    "extras_mod.py": "",
    "common/x.py": "A = '1'\n",
    "common/y.py": "",
    ".airflowignore": FILES[".airflowignore"] + "team_helper.py\nextras_mod.py\nhelping.py\ncommon*\n",
}


def test_a_module_that_was_found_and_not_executed_is_missed_when_it_is_gone(tmp_path: Path) -> None:
    project = make_project(tmp_path, {**FILES, **LOOKING})
    assert imported(project) >= {"in_task.py", "by_helper.py", "if_found.py", "in_folder.py"}
    assert imported(project) == set()
    for name, affected in (
        ("team_helper.py", {"in_task.py", "by_helper.py"}),
        ("extras_mod.py", {"if_found.py"}),
        ("common/x.py", {"in_folder.py", "by_helper.py"}),
    ):
        (project / "dags" / name).unlink()
        assert imported(project) == affected, name
        assert imported(project) == set(), name
        write(project, {name: LOOKING[name]})
        assert imported(project) == affected, name
    write(project, {"team_helper.py": "f = 2\n"})
    assert imported(project) == set()  # only whether it is there was asked
    write(project, {"common.py": "a module goes before a package that is only a folder = 1\n"})
    assert imported(project) == {"in_folder.py", "by_helper.py"}


def test_a_change_is_seen_whichever_way_it_is_read(tmp_path: Path) -> None:
    ignored = f"{FILES['.airflowignore']}lib/\ncommon.py\nconf.py\njob.py\n"
    library = {"lib/common.py": "X = '1'\n", ".airflowignore": ignored}
    project = make_project(tmp_path, {**FILES, **UNUSUAL, **library})
    never_kept = {"elsewhere.py", "a_while.py"}  # they change where modules are found
    imported(project)
    for changes, affected in (
        ({"alone.py": FILES["alone.py"] + "# more\n"}, {"alone.py"}),
        ({"data.json": '{"a": 1}'}, {"reads.py", "resolves.py", "at_home.py", "sizes.py"}),
        ({"extra.py": "x = 1\n"}, {"tries.py", "is_there.py", "accesses.py", "globs_in_all.py"}),
        ({"tables/conf.py": ""}, {"looks.py", "globs.py", "walks.py", "globs_in_all.py"}),
        ({"job.py": "{{ ds }}"}, {"renders.py", "globs_in_all.py"}),
        ({"tables/b.sql": ""}, DAG_FILES | {*UNUSUAL}),
        ({"common.py": "X = '2'\n"}, {"globs_in_all.py"}),
    ):
        write(project, changes)
        assert imported(project) == affected | never_kept, changes
        assert imported(project) == never_kept, changes


def test_a_file_that_reads_outside_the_project_is_never_kept(tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("1")
    reading = f"open({str(tmp_path / 'outside.txt')!r}).read()"
    project = make_project(tmp_path / "project", {**FILES, "far.py": DAG.format("far", reading)})
    assert imported(project) >= DAG_FILES
    assert imported(project) == {"far.py"}


def test_a_file_that_is_imported_alone_is_kept_as_well(tmp_path: Path) -> None:
    """By itself it imports what many share else, some of it written in C."""
    helped = (
        "from fargate import fargate_task\n" + DAG.format("helped", "'x'") + "with dag:\n    fargate_task('ingest')\n"
    )
    project = make_project(tmp_path, {"only.py": helped})
    configured, environment = settings.load(project), ensure(project, AIRFLOW)
    for kept in (False, True):
        assert [file.is_kept for file in run_test(environment, project, configured).files] == [kept]


def test_files_outside_the_dag_folder_are_listed_anew(tmp_path: Path) -> None:
    project = make_project(tmp_path, FILES)
    drafts = project / "drafts"
    drafts.mkdir()
    configured, environment = settings.load(project), ensure(project, AIRFLOW)
    assert not run_test(environment, project, configured, [drafts]).files
    (drafts / "new.py").write_text(DAG.format("new", "'x'"))
    assert [file.path for file in run_test(environment, project, configured, [drafts]).files] == ["drafts/new.py"]


def test_links_in_a_circle_end_in_a_sentence(tmp_path: Path) -> None:
    project = make_project(tmp_path, FILES)
    (project / "dags" / "loop").symlink_to(project / "dags")
    (project / "dags" / "package" / "loop").symlink_to(project / "dags")
    with pytest.raises(PipelineError, match="cannot list the DAG files"):
        run_test(ensure(project, AIRFLOW), project, settings.load(project))


def test_what_may_affect_anything_lets_all_be_imported_again(project: Path) -> None:
    for changes in (
        {"tables/b.sql": ""},  # a name that any file may look for
        {"plugins/mine.py": "x = 1\n"},
        {"plugins/mine.py": "x = 2\n"},
        {"helper/__init__.py": "TEXT = 'a package goes before a module'\n"},
    ):
        write(project, changes)
        assert imported(project) >= DAG_FILES, changes
        assert imported(project) == set(), changes


def test_the_settings_that_reach_a_file_are_a_part_of_its_result(project: Path) -> None:
    for dag_tests in (
        {"environment": {"STAGE": "dev"}},
        {"variables": {"x": "1"}},
        {"rules": {"no-network": "warn"}},  # what is not denied happens
        {"seconds": 20},
    ):
        assert imported(project, **dag_tests) >= DAG_FILES, dag_tests
        assert imported(project, **dag_tests) == set(), dag_tests


def test_rules_are_judged_anew_each_time(project: Path) -> None:
    configured = replace_tests(settings.load(project), {"rules": {"tags": "deny"}})
    outcome = run_test(ensure(project, AIRFLOW), project, configured)
    assert all(file.is_kept for file in outcome.files)
    assert [verdict.path for verdict in outcome.verdicts if verdict.rule == "tags" and verdict.fails]


def test_the_same_content_with_a_new_date_is_no_change(project: Path) -> None:
    for path in (project / "dags").rglob("*.py"):
        os.utime(path, (1, 1))
    assert imported(project) == set()


def test_a_file_that_did_more_than_read_files_is_never_kept(tmp_path: Path) -> None:
    asks = "from airflow.sdk import Variable\n" + DAG.format("var", "Variable.get('x', default='-')")
    project = make_project(tmp_path, {**FILES, "var.py": asks, "ends.py": "import os  # airflow DAG\nos._exit(0)\n"})
    assert imported(project) >= DAG_FILES
    assert imported(project) == {"var.py", "ends.py"}


def test_a_file_that_is_gone_is_gone(project: Path) -> None:
    write(project, {"new.py": DAG.format("new", "'x'")})
    assert imported(project) == {"new.py"}
    (project / "dags" / "new.py").unlink()
    outcome = run_test(ensure(project, AIRFLOW), project, settings.load(project))
    assert "dags/new.py" not in {file.path for file in outcome.files}


def test_an_airflow_inside_the_project_is_no_part_of_what_a_file_reads() -> None:
    configured, environment = settings.load(ROOT), ensure(ROOT, AIRFLOW)
    assert environment.folder.is_relative_to(ROOT)
    run_test(environment, ROOT, configured)
    assert all(file.is_kept for file in run_test(environment, ROOT, configured).files)


def test_results_of_another_airflow_or_other_requirements_are_others(tmp_path: Path) -> None:
    project = make_project(tmp_path, {})
    environment = ensure(project, AIRFLOW)
    importing = Importing(environment, project, project / "dags", "eu-west-1", {}, {}, {}, 30, 60)
    other = replace(importing, environment=replace(environment, folder=tmp_path / "other"))
    assert Results.load(importing).path != Results.load(other).path


def test_results_that_cannot_be_read_are_none(project: Path) -> None:
    (path,) = (project / ".airflow" / "results").iterdir()
    path.write_text("{")
    assert imported(project) == DAG_FILES


def test_what_changed_while_it_was_imported_is_not_kept(tmp_path: Path) -> None:
    project = make_project(tmp_path, {"a.py": "x = 1\n"})
    file = project / "dags" / "a.py"
    importing = Importing(ensure(project, AIRFLOW), project, project / "dags", "eu-west-1", {}, {}, {}, 30, 60)
    results = Results.load(importing)
    result = {"own": [], "read": [str(file)], "listed": [], "sought": [], "foreign": False}
    document = {"path": str(file), "outcome": "done", "events": [], "result": result}
    file.write_text("x = 2\n")
    results.take((project / "dags",), (str(file),), [document])
    assert not results.entries
    again = Results.load(importing)
    again.take((project / "dags",), (str(file),), [document])
    assert list(again.entries) == [str(file)]


@pytest.mark.parametrize(("plugin", "matters"), [("from airflow import x\nimport os, h_x as h\n", True), ("", False)])
def test_what_plugins_import_of_the_dag_folder_is_a_part_of_every_result(
    tmp_path: Path, plugin: str, *, matters: bool
) -> None:
    project = make_project(tmp_path, {"plugins/mine.py": plugin, "h_x.py": "import y\n", "y.py": "X = 1\n"})
    importing = Importing(ensure(project, AIRFLOW), project, project / "dags", "eu-west-1", {}, {}, {}, 30, 60)
    before = Results.load(importing).path
    write(project, {"y.py": "X = 2\n"})
    assert (Results.load(importing).path != before) is matters
