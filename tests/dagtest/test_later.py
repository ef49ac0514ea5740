"""What is imported or built when it is used works as if it had been there from the start."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel, PydanticSchemaGenerationError, ValidationError

from pipeline.dagtest.airflow_environment import ensure
from pipeline.dagtest.worker.later import models_built_later
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

MODELS = """
import sys
from contextlib import nullcontext
from pipeline.dagtest.worker.later import models_built_later

with models_built_later() if sys.argv[1] == "later" else nullcontext():
    from airflow.dag_processing.dagbag import DagBag
from pydantic import BaseModel

def all_of(model):
    return [model, *(each for derived in model.__subclasses__() for each in all_of(derived))]

models = [model for model in all_of(BaseModel) if model.__module__.startswith("airflow.")]
late = [model for model in models if not model.__pydantic_complete__]
for model in late:
    model.model_rebuild(raise_errors=False)
print(len(late) > len(models) / 2, sorted(each.__name__ for each in models if each.__pydantic_complete__))
"""


def answer(folder: Path, code: str, python: str = sys.executable, *arguments: str) -> str:
    """What a program prints, which finds our modules and those in the folder."""
    paths = f"{ROOT}:{folder}"
    command = ["env", f"PYTHONPATH={paths}", "PYTHONDONTWRITEBYTECODE=1", python, "-c", code, *arguments]
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


def test_models_are_built_at_their_first_use_and_those_made_afterwards_at_once() -> None:
    with models_built_later():

        class Late(BaseModel):
            number: int

    class Own(Late):
        more: int

    assert (Late.__pydantic_complete__, Own.__pydantic_complete__) == (False, True)
    with pytest.raises(ValidationError, match="number"):
        Late.model_validate({"number": "none"})
    assert Late(number=1).model_dump() == {"number": 1}
    with pytest.raises(PydanticSchemaGenerationError):

        class Wrong(Late):
            of_no_known_type: object()  # type: ignore[valid-type]


def test_the_models_of_airflow_that_can_be_built_are_the_same_ones(tmp_path: Path) -> None:
    environment = ensure(ROOT, AIRFLOW)
    (tmp_path / "home").mkdir()
    code = f"import os; os.environ['AIRFLOW_HOME'] = {str(tmp_path / 'home')!r}{MODELS}"
    later, usual = (answer(tmp_path, code, str(environment.python), how) for how in ("later", "usual"))
    assert later.startswith("True ['")
    assert usual.startswith("False ['")
    assert later.removeprefix("True") == usual.removeprefix("False")
