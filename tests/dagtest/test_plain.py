"""Which files may share a process when they are imported: a truth table of what they say."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline.dagtest.worker.modules import module_folders
from pipeline.dagtest.worker.plain import is_plain

PLAIN = {
    "a DAG": """
        from airflow.sdk import DAG, chain
        from airflow.providers.standard.operators.empty import EmptyOperator
        from pendulum import datetime
        with DAG("a", start_date=datetime(2026, 1, 1), default_args={"retries": 2}) as dag:
            chain(EmptyOperator(task_id="b"), EmptyOperator(task_id="c"))
        dag.doc_md = __doc__
    """,
    "tasks do what they want: a run calls them": """
        from airflow.sdk import dag, task
        @task(retries=2)
        def say():
            import os, torch
            os.environ["A"] = "b"
        @task.branch
        async def choose():
            setattr(os, "sep", "")
        @dag
        def say_it():
            say() >> choose()
        say_it()
    """,
    "what is read": """
        import json, logging, os
        from pathlib import Path
        log = logging.getLogger(__name__)
        HOME = os.environ.get("HOME") or os.environ["USER"]
        STAGE = os.getenv("STAGE", "dev")
        SETTINGS = json.loads(Path(os.path.dirname(__file__), "settings.json").read_text())
    """,
    "what it made itself": """
        arguments = {"a": 1}
        arguments["b"] = 2
        names = [name.upper() for name in ("x", "y")]
        names.append("z")
        class Own:
            def __init__(self, **more):
                self.more = more
                more["c"] = 3
                super().__init__()
    """,
    "the team's module, which is imported anew for each": "import helper\nhelper.add()",
    "what a library makes, and what of it cannot be changed": """
        import json
        from datetime import datetime, timedelta, timezone
        from airflow.providers.standard.operators.python import PythonOperator
        def make(name, start, zone): ...
        make("a", datetime(2026, 1, 1), timezone.utc)
        DELAYS = [timedelta(minutes=1)]
        PythonOperator(task_id="a", python_callable=json.dumps)
        assert isinstance(DELAYS[0], (timedelta, datetime))
    """,
    "a library": "import pandas as pd\nframe = pd.DataFrame()\nframe.columns = ['a']",
}
NOT_PLAIN = {
    "no Python": "with DAG(",
    "a patched operator": "from airflow.sdk import BaseOperator\nBaseOperator.template_fields = ()",
    "a patched module": "import pendulum\npendulum.now = None",
    "a patched class in a loop": "from airflow.sdk import DAG, Asset\nfor each in (DAG, Asset):\n    each.x = 1",
    "a patch by another name": "import airflow.sdk as sdk\nD = sdk.DAG\nE = D\nE.x = 1",
    "a patch by its name": "from airflow.sdk import DAG\nsetattr(DAG, 'x', 1)",
    "a patch of what a call gave": "from airflow.sdk import DAG\ntype(DAG('a')).x = 1",
    "a patch through an object": "from airflow.sdk import DAG\ndag = DAG('a')\ndag.__class__.x = 1",
    "a patch by a function": "from airflow.sdk import DAG\ndef patch(owner):\n    owner.x = 1\npatch(DAG)",
    "an environment variable": "import os\nos.environ['A'] = 'b'",
    "an environment variable by a function": "import os\nos.environ.setdefault('A', 'b')",
    "an environment variable that is taken": "import os\na = os.environ.pop('A')",
    "the environment by another name": "from os import environ as e\ne['A'] = 'b'",
    "the environment that is handed on": "import os\ndict.update(os.environ, A='b')",
    "a deleted variable": "import os\ndel os.environ['A']",
    "the path of modules": "import sys\nsys.path.insert(0, 'x')",
    "a module handed on": "import sys\nstr(sys)",
    "what is printed": "print('a')",
    "an Airflow variable": "from airflow.models.variable import Variable as V\nA = V.get('a')",
    "warnings": "import warnings\nwarnings.filterwarnings('ignore')",
    "logging": "import logging\nlogging.basicConfig(level=10)",
    "a library's options": "import pandas as pd\npd.set_option('display.width', 9)",
    "a library's default": "import pandas as pd\npd.options.display.width = 9",
    "a library's class by another name": "import yaml\ndef f(l):\n    l.add_constructor('!a', g)\nf(yaml.SafeLoader)",
    "a library's class in a list": "import yaml\nfor l in [yaml.SafeLoader]:\n    l.add_constructor('!a', g)",
    "a library's class in a tuple": "import yaml\nfor l in yaml.SafeLoader, 1:\n    l.add_constructor('!a', g)",
    "a library's class as a default": "import yaml\ndef f(l=yaml.SafeLoader):\n    l.add_constructor('!a', g)\nf()",
    "a library's class that is returned": "import yaml\ndef get():\n    return yaml.SafeLoader\nget().add(1)",
    "a library's class as an attribute": "import yaml\nclass A:\n    pass\nA.l = yaml.SafeLoader\nA.l.add(1)",
    "a library's class, or another": "import yaml\nl = None or yaml.SafeLoader\nl.add_constructor('!a', g)",
    "a module of the team's that it changes itself": "import helper\nhelper.COUNT = 3",
    "a thread": "from threading import Thread\nThread(target=print).start()",
    "code from a text": "exec('x = 1')",
    "a loop that may not end": "while True:\n    pass",
    "a module nobody knows": "import monkeys",
    "Airflow's settings": "from airflow.configuration import conf\nconf.set('core', 'a', 'b')",
    "Airflow's plugins": "from airflow import plugins_manager",
    "every name of a module": "from airflow.sdk import *",
    "a relative module": "from . import helper",
    "a helper that is not plain": "import patches",
    "a helper of a helper": "from package import inner",
}
HELPERS = {
    "helper.py": "COUNT = 2\ndef add():\n    global COUNT\n    COUNT += 1",
    "patches.py": "import pendulum\npendulum.now = None",
    "package/__init__.py": "",
    "package/inner.py": "import patches",
}


def looked_at(folder: Path, text: str) -> bool:
    for name, content in {**HELPERS, "dag.py": _at_the_margin(text)}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return is_plain(folder / "dag.py", (folder,))


def _at_the_margin(text: str) -> str:
    lines = text.strip("\n").splitlines()
    margin = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[margin:] for line in lines)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [pytest.param(texts, expected, id=str(expected)) for texts, expected in ((PLAIN, True), (NOT_PLAIN, False))],
)
def test_a_file_is_plain_when_it_changes_nothing_that_others_use(
    tmp_path: Path, texts: Mapping[str, str], expected: bool
) -> None:
    # Each in a folder of its own: what a text says is remembered by its path.
    found = {name: looked_at(tmp_path / str(number), text) for number, (name, text) in enumerate(texts.items())}
    assert found == dict.fromkeys(texts, expected)


def test_of_modules_that_import_each_other_none_is_plain_if_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import b\nimport c")
    (tmp_path / "b.py").write_text("import a")
    (tmp_path / "c.py").write_text("import os\nos.environ['A'] = 'b'")
    assert [is_plain(tmp_path / f"{name}.py", (tmp_path,)) for name in "abc"] == [False] * 3


@pytest.mark.parametrize("name", ["fargate.py", "orders_daily.py", "orders_report.py", "orders_backfill.py"])
def test_the_projects_own_dags_and_the_helper_of_all_of_them_are_plain(name: str) -> None:
    dags = Path(__file__).parents[2] / "dags"
    assert is_plain(dags / name, module_folders(dags))
