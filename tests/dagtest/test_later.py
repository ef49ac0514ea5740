"""A library that is imported when it is used: what derives from its classes works as if it had been there."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.dagtest.airflow_environment import ensure
from tests.dagtest.projects import AIRFLOW, ROOT

LIBRARY = """
class Base:
    def greet(self):
        return f"hello {self.name}"

def greet(it):
    return it.greet()
"""
USER = """
import library

class Derived(library.Base):
    name = "you"

def use():
    return library.greet(Derived())
"""
TASK = """
from pipeline.dagtest.worker.later import imported_later

with imported_later("libcst", "CSTTransformer"):
    import airflow
    from airflow.sdk.bases.decorator import remove_task_decorator
import sys

assert "libcst" not in sys.modules
print(remove_task_decorator("@task.virtualenv()\\n@keep\\ndef it():\\n    ...\\n", "@task.virtualenv"))
import libcst
from airflow.sdk.definitions._internal.decorators import _TaskDecoratorRemover
assert issubclass(_TaskDecoratorRemover, libcst.CSTTransformer)
"""


def answer(folder: Path, code: str, python: str = sys.executable) -> str:
    """What a program prints, which finds our modules and those in the folder."""
    paths = f"{ROOT}:{folder}"
    command = ["env", f"PYTHONPATH={paths}", "PYTHONDONTWRITEBYTECODE=1", python, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        ("print('library' in sys.modules)", "False"),
        ("print(user.use())", "hello you"),
        ("user.use(); import library; print(issubclass(user.Derived, library.Base))", "True"),
        ("import library; print(library is user.library, library.__file__ is not None)", "False True"),
        ("print(user.library.nothing)", ""),
        ("from user import library; print(library.Base.greet(user.Derived()))", "hello you"),
    ],
)
def test_a_stand_in_gives_way_to_the_library_when_it_is_used(tmp_path: Path, then: str, expected: str) -> None:
    (tmp_path / "library.py").write_text(LIBRARY)
    (tmp_path / "user.py").write_text(USER)
    code = f"""
import sys
from pipeline.dagtest.worker.later import imported_later

with imported_later("library", "Base"):
    import user
try:
    {then}
except AttributeError as error:
    assert "nothing" in str(error)
"""
    assert answer(tmp_path, code) == expected


def test_airflow_takes_decorators_off_a_tasks_source_as_ever(tmp_path: Path) -> None:
    environment = ensure(ROOT, AIRFLOW)
    (tmp_path / "home").mkdir()
    code = f"import os; os.environ['AIRFLOW_HOME'] = {str(tmp_path / 'home')!r}{TASK}"
    assert answer(tmp_path, code, str(environment.python)) == "@keep\ndef it():\n    ..."
