"""What an error says first, and where: tracebacks as Python writes them."""

import traceback
from pathlib import Path

import pytest

from pipeline.dagtest.worker import watch
from pipeline.dagtest.worker.tracebacks import calls_from, error_line, message_of


def text_of(code: str) -> str:
    try:
        exec(compile(code, "/dags/a.py", "exec"), {})  # noqa: S102 - it raises what the test is about
    except BaseException:  # noqa: BLE001 - SystemExit, too
        return traceback.format_exc()
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("code", "message", "line"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero", 1),
        ("raise ValueError('first\\nsecond\\n  third')", "ValueError: first", 1),
        ("\nraise ValueError('1 error for X\\nsize\\n  Input should be less')", "ValueError: 1 error for X", 2),
        (
            "x = 1\nraise ExceptionGroup('two', [ValueError('a'), OSError('b')])",
            "ExceptionGroup: two (2 sub-exceptions)",
            2,
        ),
        ("try:\n    1 / 0\nexcept ArithmeticError as e:\n    raise KeyError('k') from e", "KeyError: 'k'", 4),
        ("e = ValueError('a')\ne.add_note('a note')\nraise e", "ValueError: a", 3),
        ("raise SystemExit(3)", "SystemExit: 3", 1),
        ("raise TypeError('these were wrong:\\n**kwargs: 1')", "TypeError: these were wrong: **kwargs: 1", 1),
        ("raise TypeError('nothing more:')", "TypeError: nothing more:", 1),
    ],
)
def test_the_message_is_the_first_line_after_the_last_call(code: str, message: str, line: int) -> None:
    text = text_of(code)
    assert message_of(text) == message
    assert error_line(text, Path("/dags/a.py")) == line
    assert 'File "/dags/a.py"' in calls_from(Path("/dags/a.py"), text).splitlines()[0]


def test_an_error_without_a_traceback_is_its_own_message() -> None:
    assert message_of("AirflowTimetableInvalid: no such day\nmore") == "AirflowTimetableInvalid: no such day"
    assert error_line("AirflowTimetableInvalid: no such day", Path("/dags/a.py")) is None


def test_what_we_called_on_the_way_is_left_out() -> None:
    ours = Path(watch.__file__)
    text = (
        'Traceback:\n  File "/airflow.py", line 1, in run\n    run()\n  File "/dags/a.py", line 2, in <module>\n'
        f'    open("x")\n    ^^^^^^^^^\n  File "{ours}", line 7, in __call__\n    return usual()\n           ^^^^^^^\n'
        '  File "/b.py", line 9, in b\n    c\nFileNotFoundError: x\n'
    )
    assert calls_from(Path("/dags/a.py"), text) == (
        '  File "/dags/a.py", line 2, in <module>\n    open("x")\n    ^^^^^^^^^\n'
        '  File "/b.py", line 9, in b\n    c\nFileNotFoundError: x\n'
    )
