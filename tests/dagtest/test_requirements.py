"""What MWAA would refuse of requirements.txt, plugins/ and startup.sh: the decisions, then the real resolver."""

import json
import os
import sys
from pathlib import Path
from xml.etree import ElementTree as ET
from zipfile import ZipFile

import pytest
from click.testing import CliRunner, Result

from pipeline.dagtest.commands import requirements, stacks
from pipeline.dagtest.importing import WORKER
from pipeline.dagtest.requirements import (
    against_pins,
    asked,
    crooked_startup,
    missing_files,
    slow_startup,
    unnamed,
    unresolved,
    wrong_constraints,
    wrong_plugins,
)
from pipeline.process import run as run_command
from pipeline.pythons import find_python
from tests.dagtest.projects import make_project, run

AIRFLOWS = "https://raw.githubusercontent.com/apache/airflow/constraints-{}/constraints-{}.txt"


def test_the_packages_asked_for_are_read_with_their_lines_and_versions() -> None:
    text = "# none\npandas==2.0\n\nRequests[socks] >=2 ; python_version > '3'\n-r x.txt\n./a.whl\nx @ https://h/x.whl\n"
    found = [(item.line, item.name, item.version, item.exact) for item in asked(text)]
    assert found == [(2, "pandas", "==2.0", "2.0"), (4, "requests", ">=2", None), (7, "x", "@ https://h/x.whl", None)]


def test_what_is_asked_for_by_address_file_or_folder_has_no_name() -> None:
    text = "pandas\n# no\n\n-r x.txt\n./a.whl  # a wheel\n-e ./pkg\ngit+https://h/x.git\n--no-index\n"
    assert [(item.line, item.text) for item in unnamed(text)] == [
        (5, "./a.whl"),
        (6, "-e ./pkg"),
        (7, "git+https://h/x.git"),
    ]


def test_a_file_with_more_requirements_must_be_in_the_dag_folder() -> None:
    text = "-r ./a.txt\n-r /usr/local/airflow/dags/sub/b.in\n--requirement c.txt\n-r https://h/x.txt\n"
    (problem,) = missing_files(text, ["a.txt", "sub/b.in"])
    assert (problem.what, problem.line) == ("the file 'c.txt' is not in the DAG folder", 3)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("пакет==1.0", "'пакет==1.0' cannot be read: Unexpected 'п'"),
        ("attrs ===", "'attrs ===' cannot be read: Unexpected end of version specifier"),
        ("./missing.whl", "./missing.whl cannot be installed under "),
        ("-e ./pkg", "-e ./pkg cannot be installed under "),
        ("-r more.txt", "the file 'more.txt' is not in the DAG folder"),
    ],
)
def test_a_line_that_cannot_be_read_or_got_is_named(tmp_path: Path, line: str, says: str) -> None:
    project = make_project(tmp_path, {"requirements.txt": f"attrs\n{line}\n"})
    _, told = check(project)
    assert told["dags/requirements.txt", "resolves"].startswith(f"dags/requirements.txt:2: {says}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pandas\n", None),
        (f"--constraint {AIRFLOWS.format('3.3.1', '3.12')}\n", None),
        (
            f"--constraint {AIRFLOWS.format('2.10.3', '3.11')}\n",
            "it names the constraints of Airflow 2.10.3 on Python 3.11",
        ),
        ("--constraint /usr/local/airflow/dags/c.txt\n", None),
        ("--constraint c.txt\n", None),
        ("--constraint d.txt\n", "the constraints file 'd.txt' is not in the DAG folder"),
    ],
)
def test_constraints_must_be_those_of_the_version_and_be_there(text: str, says: str | None) -> None:
    problems = list(wrong_constraints(text, "3.3.1", "3.12", ["c.txt", "requirements.txt"]))
    assert [problem.line for problem in problems] == ([1] if says else [])
    assert all(says and problem.what.startswith(says) for problem in problems)


def test_each_package_held_at_another_version_is_told_with_the_reason() -> None:
    held = {"celery": "5.6.3", "pandas": "2.2.3", "boto3": "1.2", "flask": "3.1.3"}
    celery, pandas = against_pins("celery==4.0\npandas==1.0\nboto3==1.2\nnew==1\nflask\n", held, {"celery"})
    assert (celery.line, pandas.line) == (1, 2)
    assert celery.what.startswith("celery is asked for in version 4.0 and held at 5.6.3: MWAA's image depends on it")
    assert pandas.what == "pandas is asked for in version 1.0 and held at 2.2.3: the constraints hold it there"


def test_a_line_for_some_machines_only_is_known_as_one() -> None:
    found = asked('boto3==1.20.0; python_version < "3.8"\nboto3==1.20.0\n')
    assert [(item.exact, item.is_conditional) for item in found] == [("1.20.0", True), ("1.20.0", False)]


def test_a_conflict_is_told_of_the_packages_that_have_it_alone_else_of_all() -> None:
    text = "a\nb\n"
    alone = list(unresolved(text, {2: "error: No solution\n  cause: Because b needs c<1"}, "both", "the lock"))
    assert [(problem.line, problem.what) for problem in alone] == [
        (2, "b cannot be installed under the lock: Because b needs c<1")
    ]
    (together,) = unresolved(text, {}, "error: no\n cause: a and b differ", "the lock")
    assert together.what.endswith("together under the lock: a and b differ")


def test_plugins_are_measured_and_their_syntax_told(tmp_path: Path) -> None:
    assert list(wrong_plugins(tmp_path, {})) == [("size", None), ("syntax", None)]
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate(1_000_000_001)
    (_, large), (_, broken) = wrong_plugins(tmp_path, {"bad.py": ":1: '(' was never closed"})
    assert large is not None
    assert "1,000 MB" in large.what
    assert broken is not None
    assert broken.what == "bad.py:1: '(' was never closed"


def test_the_syntax_of_plugins_is_that_of_the_python_that_airflow_runs_on(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text("x = 1\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "bad.py").write_text("x = (\n")
    (tmp_path / "null.py").write_bytes(b"x = 1\0")
    (tmp_path / "new.py").write_text("type X = int\n")
    python = find_python("3.12") or sys.executable
    knows_types = run_command([python, "-c", "import sys; print(sys.version_info >= (3, 12))"]).strip() == "True"
    answer = json.loads(run_command([python, "-I", str(WORKER / "syntax.py"), str(tmp_path)]))
    assert answer.pop("sub/bad.py") == ":1: '(' was never closed"
    assert "null bytes" in answer.pop("null.py")
    assert list(answer) == ([] if knows_types else ["new.py"])


@pytest.mark.parametrize(
    ("text", "line"),
    [("sleep 10\n", None), ("echo\nsleep 5m\n", 2), ("sleep 200\nsleep 1.7m\n", 1), ("# sleep 900\n", None)],
)
def test_a_startup_script_that_sleeps_longer_than_it_may_is_told(text: str, line: int | None) -> None:
    assert [problem.line for problem in slow_startup(text)] == ([] if line is None else [line])


def test_a_startup_script_with_the_line_ends_of_windows_is_told() -> None:
    assert [problem.line for problem in crooked_startup(b"#!/bin/sh\r\necho\r\n")] == [1]
    assert not list(crooked_startup(b"#!/bin/sh\necho\n"))


def check(project: Path, *arguments: str) -> tuple[Result, dict[tuple[str, str], str]]:
    """`pipeline test requirements` in the project; (file, check) → the message of what failed."""
    before = Path.cwd()
    os.chdir(project)
    try:
        result = CliRunner().invoke(requirements, arguments)
    finally:
        os.chdir(before)
    root = ET.parse(project / "reports" / "requirements.xml").getroot()  # noqa: S314 - written a moment ago
    failures = {
        (case.get("classname", ""), case.get("name", "")): failure.get("message", "")
        for case in root.iter("testcase")
        if (failure := case.find("failure")) is not None
    }
    return result, failures


def test_what_mwaa_takes_is_good(tmp_path: Path) -> None:
    project = make_project(tmp_path, {"startup.sh": "export X=1\n", "plugins/mine.py": "x = 1\n"})
    result, failures = check(project, "--run-startup")
    assert result.exit_code == 0, result.output
    assert not failures


def test_a_startup_script_runs_as_each_component_that_runs_it_on_mwaa(tmp_path: Path) -> None:
    script = "set -u\ntouch here\n[ $MWAA_AIRFLOW_COMPONENT != worker ] || { echo no room; exit 3; }\n"
    project = make_project(tmp_path, {"startup.sh": script})
    _, failures = check(project, "--run-startup")
    assert failures["dags/startup.sh", "time"].startswith("dags/startup.sh: as worker it ends with code 3: no room")


def test_plugins_find_the_environment_variables_that_dags_find(tmp_path: Path) -> None:
    plugin = {"plugins/mine.py": "import os\nSTAGE = os.environ['STAGE']\n"}
    assert not check(make_project(tmp_path, plugin, environment={"STAGE": "dev"}))[1]


def test_what_mwaa_would_hide_is_told_with_file_line_and_reason(tmp_path: Path) -> None:
    project = make_project(
        tmp_path,
        {
            "requirements.txt": "requests\ncelery==4.0\nboto3==1.20.0\n",
            "startup.sh": "if true; then\n",
            "plugins/mine.py": "raise RuntimeError('not today')\n",
        },
    )
    result, failures = check(project)
    assert result.exit_code == 1
    assert set(failures) == {("dags/requirements.txt", "resolves"), ("dags/startup.sh", "syntax")}
    assert (
        "dags/requirements.txt:2: celery is asked for in version 4.0" in failures["dags/requirements.txt", "resolves"]
    )
    assert "this cannot be overridden" in failures["dags/requirements.txt", "resolves"]
    assert "dags/requirements.txt:3: boto3 is asked for" in failures["dags/requirements.txt", "resolves"]
    assert failures["dags/startup.sh", "syntax"].startswith("dags/startup.sh:2: syntax error")


def test_a_plugin_that_airflow_cannot_load_is_told(tmp_path: Path) -> None:
    project = make_project(tmp_path, {"plugins/mine.py": "raise RuntimeError('not today')\n"})
    _, failures = check(project)
    assert failures["dags/plugins", "loads"].startswith("dags/plugins: mine.py: not today")


def wheel(path: Path) -> bytes:
    """A package of one empty module, as pip takes it."""
    with ZipFile(path, "w") as file:
        file.writestr("ours.py", "")
        file.writestr("ours-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: ours\nVersion: 1.0\n")
        file.writestr("ours-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr("ours-1.0.dist-info/RECORD", "")
    return path.read_bytes()


@pytest.mark.parametrize(
    "text",
    [
        "--no-index\n--find-links /usr/local/airflow/plugins\nours==1.0\nrequests\n",
        "/usr/local/airflow/plugins/ours-1.0-py3-none-any.whl\n",
        "-r /usr/local/airflow/dags/more/more.txt\n",
    ],
    ids=["find-links", "wheel", "included"],
)
def test_packages_among_the_plugins_and_files_that_are_included_are_installed(tmp_path: Path, text: str) -> None:
    files: dict[str, str | bytes] = {
        "requirements.txt": text,
        "plugins/ours-1.0-py3-none-any.whl": wheel(tmp_path / "ours.zip"),
        "more/more.txt": "-r again.txt\n",
        "more/again.txt": "/usr/local/airflow/plugins/ours-1.0-py3-none-any.whl\n",
        "orders.py": "from airflow.sdk import DAG\nimport ours\nDAG('orders')\n",
    }
    project = make_project(tmp_path / "project", files)
    result, failures = check(project)
    assert not failures, result.output
    assert not run(project).said()


def test_a_report_of_an_earlier_run_does_not_speak_for_one_that_ends_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make_project(tmp_path, {}))
    Path("reports").mkdir()
    for name in ("requirements.xml", "stacks.xml"):
        Path("reports", name).write_text("<testsuites/>")
    assert CliRunner().invoke(requirements, ["--airflow", "9.9.9"]).exit_code
    assert CliRunner().invoke(stacks).exit_code
    assert "<testsuites/>" not in [path.read_text() for path in Path("reports").iterdir()]


def test_the_check_of_another_version_uses_its_own_packages(tmp_path: Path) -> None:
    project = make_project(tmp_path, {"requirements.txt": "apache-airflow==3.3.1\n"})
    assert json.loads((project / "cdk.json").read_text())["context"]["pipeline"]["airflow"]["version"] == "3.3.1"
    _, failures = check(project, "--airflow", "2.10.3")
    assert (
        "apache-airflow is asked for in version 3.3.1 and held at 2.10.3"
        in failures["dags/requirements.txt", "resolves"]
    )
