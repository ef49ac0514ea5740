"""What templates say of a run that has not been: computed from what only a run knows, it is no mistake."""

import re
from pathlib import Path

import pytest

from tests.dagtest.projects import Run, make_project, run

HEAD = "from airflow.sdk import DAG, Asset\nfrom fargate import fargate_task\nfrom pendulum import datetime\n"
TIMETABLES = (
    "from airflow.sdk import AssetOrTimeSchedule, CronPartitionTimetable, CronTriggerTimetable\n"
    "from airflow.sdk import PartitionedAssetTimetable\n"
)
# Each as the text of a task of its own.
GOOD = (
    "{{ (triggering_asset_events.values() | first | first).source_dag_run.data_interval_start }}",
    "{{ macros.json.loads(ti.xcom_pull('x')) }}",
    "{{ macros.ds_add(ti.xcom_pull('d'), 1) }}",
    "{{ '{:02d}'.format(ti.map_index) }}",
    "{{ params.hosts[var.value.env] }}",
    "{{ macros.timedelta(days=dag_run.conf['n']) }}",
    "{{ ti.xcom_pull('x') | first }}",
    "{{ ti.xcom_pull('x') // 2 + ti.try_number ** 2 }}",
    "{{ ti.xcom_pull('x') | round(1) }}",
    "{% for key, value in ti.xcom_pull('x') | items %}{{ key }}{% endfor %}",
    "{{ task_instance_key_str.split('__')[1] }}",
    "{{ task_reschedule_count + 1 }}",
    "{{ macros.dateutil.parser.parse(ti.xcom_pull('x')) }}",
    "{{ macros.json.loads(partition_key) }}",
    "{% if dag_run.conf.a == 1 %}{% set x = 1 %}{% endif %}{{ x }}",
)
BAD = {
    "{{ ti.xcom_pull('x') }} {{ dss }}": "UndefinedError: 'dss' is undefined",
    "{% for row in ti.xcom_pull('x') %}{{ rwo.id }}{% endfor %}": "UndefinedError: 'rwo' is undefined",
    "{{ ti.xcom_pull('x') | frist }}": "TemplateAssertionError: No filter named 'frist'",
    "{{ macros.ds_add(ds) }} {{ ti.task_id }}": "TypeError: ds_add() missing 1 required positional argument",
    "{{ params.host }}": "UndefinedError: 'dict object' has no attribute 'host'",
    "{{ execution_date }}": "UndefinedError: 'execution_date' is undefined",
    "{{ triggering_dataset_events }}": "UndefinedError: 'triggering_dataset_events' is undefined",
}


# Timetables that start runs without a date, and what to use in such a run.
WITHOUT_DATES = {
    "by_asset": ("[Asset('s3://orders')]", "use dag_run.run_after or triggering_asset_events"),
    "by_part": (
        "PartitionedAssetTimetable(assets=Asset('s3://x'))",
        "use dag_run.run_after or triggering_asset_events",
    ),
    "at_part": ("CronPartitionTimetable('@daily', timezone='UTC')", "use partition_date, partition_key or dag_run"),
    "either": (
        "AssetOrTimeSchedule(timetable=CronTriggerTimetable('@daily', timezone='UTC'), assets=[Asset('s3://x')])",
        "use dag_run.run_after or triggering_asset_events",
    ),
}


def dag(name: str, texts: list[str], schedule: str = "'@daily'") -> str:
    """A file with a DAG of these texts, a task each."""
    return (
        f"{HEAD}with DAG({name!r}, schedule={schedule}, start_date=datetime(2026, 1, 1), params={{'hosts': {{}}}}):\n"
        f"    for number, text in enumerate({texts!r}):\n"
        "        fargate_task('ingest', task_id=f't{number}', command=[text])\n"
    )


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Run:
    files = {
        "good.py": dag("good", list(GOOD)),
        **{
            f"{name}.py": TIMETABLES + dag(name, ["{{ ds }}"], schedule)
            for name, (schedule, _) in WITHOUT_DATES.items()
        },
        "guarded.py": TIMETABLES
        + dag("guarded", ["{% if dag_run.run_type != 'asset' %}{{ ds }}{% endif %}"], WITHOUT_DATES["either"][0]),
        **{f"bad_{number}.py": dag(f"bad_{number}", [text]) for number, text in enumerate(BAD)},
    }
    return run(make_project(tmp_path_factory.mktemp("project"), files))


def test_what_is_computed_from_what_only_a_run_knows_raises_no_alarm(rendered: Run) -> None:
    assert not {rule: said for (name, rule), said in rendered.said().items() if name == "good.py"}


@pytest.mark.parametrize(("number", "text"), list(enumerate(BAD)))
def test_what_fails_in_every_run_is_told(rendered: Run, number: int, text: str) -> None:
    assert BAD[text] in rendered.said()[f"bad_{number}.py", "templates-render"]


PLUGIN = """from airflow.plugins_manager import AirflowPlugin
def shout(text):
    return text.upper()
class Mine(AirflowPlugin):
    name = "my_plug"
    macros = [shout]
"""


@pytest.mark.parametrize("airflow", ["3.3.1", "2.10.3"])
def test_macros_of_the_teams_plugins_are_there(tmp_path: Path, airflow: str) -> None:
    text = (
        "from airflow.decorators import dag, task\n@task(templates_dict={{'x': {!r}}})\ndef t(): ...\n"
        "@dag(dag_id={!r}, schedule=None)\ndef d():\n    t()\nd()\n"
    )
    files = {
        "plugins/mine.py": PLUGIN,
        "shouts.py": text.format("{{ macros.my_plug.shout('a') }} {{ macros.ds_add('2026-01-01', 1) }}", "shouts"),
        "whispers.py": text.format("{{ macros.my_plug.whisper('a') }}", "whispers"),
        "other.py": text.format("{{ macros.your_plug.shout('a') }}", "other"),
        "fargate.py": "",
    }
    said = run(make_project(tmp_path, files, airflow=airflow)).said()
    assert set(said) == {("whispers.py", "templates-render"), ("other.py", "templates-render")}, said
    assert "'module object' has no attribute 'your_plug'" in said["other.py", "templates-render"]


@pytest.mark.parametrize("name", WITHOUT_DATES)
def test_a_run_that_assets_or_partitions_start_has_no_day(rendered: Run, name: str) -> None:
    said = rendered.said()[f"{name}.py", "templates-render"]
    assert "'ds' is undefined" in said
    assert WITHOUT_DATES[name][1] in said


def test_a_day_that_the_template_itself_asks_for_in_some_runs_raises_no_alarm(rendered: Run) -> None:
    assert not {rule: said for (name, rule), said in rendered.said().items() if name == "guarded.py"}


def test_airflow_2_has_names_that_airflow_3_took_away_and_a_day_for_runs_that_datasets_start(tmp_path: Path) -> None:
    names = (
        *(
            "execution_date",
            "prev_execution_date",
            "next_execution_date",
            "prev_execution_date_success",
            "conf.get('x')",
        ),
        *("prev_ds", "next_ds_nodash", "yesterday_ds", "tomorrow_ds_nodash", "triggering_dataset_events"),
    )
    head = "from airflow import DAG, Dataset\nfrom airflow.operators.bash import BashOperator\nimport pendulum\n"
    body = "    BashOperator(task_id='t', bash_command={!r})\n"
    start = "start_date=pendulum.datetime(2026, 1, 1)"
    project = make_project(
        tmp_path,
        {
            "old.py": f"{head}with DAG('old', schedule='@daily', {start}):\n"
            + body.format(" ".join(f"{{{{ {name} }}}}" for name in names)),
            "by_dataset.py": f"{head}with DAG('d', schedule=[Dataset('s3://x')], {start}):\n" + body.format("{{ ds }}"),
            "new.py": f"{head}with DAG('new', schedule='@daily', {start}):\n"
            + body.format("{{ triggering_asset_events }}"),
            "fargate.py": "",
            ".airflowignore": "fargate.py\nplugins/\n",
        },
        airflow="2.10.3",
    )
    said = run(project).said()
    assert set(said) == {("new.py", "templates-render")}, said


def test_the_rehearsal_of_airflow_3_counts_what_only_airflow_2_has_as_breaking(tmp_path: Path) -> None:
    text = (
        "from airflow.models.dag import DAG\nfrom airflow.operators.bash import BashOperator\nimport pendulum\n"
        "with DAG('both', schedule='@daily', start_date=pendulum.datetime(2026, 1, 1)):\n"
        "    BashOperator(task_id='t', bash_command='{{ yesterday_ds }}')\n"
    )
    files = {"both.py": text, "fargate.py": "", ".airflowignore": "fargate.py\nplugins/\n"}
    output = run(make_project(tmp_path, files, airflow="2.10.3"), "--airflow", "3.3.1").result.output
    assert re.search(r"both\.py.*'yesterday_ds' is undefined", output.replace("\n", " ")), output
