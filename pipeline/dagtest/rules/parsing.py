"""Rules about what happens while a file is parsed."""

from collections.abc import Iterator
from typing import Final

from pipeline.dagtest.facts import DagFile
from pipeline.dagtest.rules.verdicts import Judge, Problem, Project
from pipeline.dagtest.worker.modules import GONE_IN_PYTHON_312

# kind of access → how to mend it
MENDS: Final = {
    "network": "The scheduler parses this file every 30 s, and a slow answer stops all its DAGs. Ask inside a task.",
    "database": "The scheduler parses this file every 30 s. Ask the database inside a task.",
    "variables": "Each parse asks the database. Use the template {{ var.value.NAME }}, or Variable.get inside a task.",
    "connections": "Each parse asks the database. Pass the connection's id to the operator, or ask inside a task.",
    "processes": "The scheduler parses this file every 30 s. Start processes inside a task, in a container.",
    "files": "A DAG file must leave the DAG folder as it is: every worker has its own copy. Write inside a task.",
}
# words of an import error → what to do about it, the first that fits
ADVICE: Final = {
    "cannot import name": "Import the name from the module that has it, in these versions of Airflow and its packages.",
    "SyntaxError": "Correct the syntax at this line, or just before it.",
    "IndentationError": "Indent the line as those around it.",
    "TabError": "Indent with spaces only.",
    "did not end": "Leave slow work to a task; what is at the top of the file runs at every parse.",
    "had used up": "Give the run more time (dag_tests.budget in cdk.json), or make the slow files faster.",
    "of memory": "Load the data inside a task, in a container that has the memory.",
    "ends the process": "Leave the file by an `if`, not by ending the process that parses it.",
    "ended its process": "Take the line out: it ends the process that parses the file.",
    "was killed by": "Do what ends the process (a library in C, too much memory) inside a task, in a container.",
    "is not registered": "Move its class to a module in plugins/, and name it in an AirflowPlugin: timetables = [...].",
    "ycle detected": "Remove one of the dependencies that lead in a circle.",
    "Timetable": "Correct the schedule: a cron expression, @daily and the like, a timedelta or a timetable.",
    "Invalid arguments were passed": "Take these arguments out, or spell them as this version's operator does.",
    "cannot be stored": "Give the DAG and its tasks only what JSON can hold, or what Airflow knows how to store.",
    "No such file": "Correct the path; on MWAA the DAG folder is /usr/local/airflow/dags.",
}
# words of an import error that Airflow would not show → what to do about it
ADVICE_UNSEEN: Final = {
    "it is not UTF-8": "Save it as UTF-8; if it is no DAG file, name it in .airflowignore.",
    "it is a broken zip": "Make the zip file anew, or name it in .airflowignore.",
}
# where AWS's SDK asks for credentials, on any machine that has none of its own
CREDENTIALS: Final = ("169.254.169.254", "169.254.170.2", "169.254.170.23")
# kind of access → what it is to
ALONE: Final = {
    "network": "the network",
    "database": "every database, Airflow's own too,",
    "variables": "Airflow's variables",
    "connections": "Airflow's connections",
    "processes": "other processes",
    "files": "the files of the project",
}


def imports(file: DagFile, project: Project) -> Iterator[Problem]:
    """Airflow imports the file.

    import                     problem
    succeeded                  none
    raised                     the error's last line, with the line in this file
    timed out                  that, with the limit, and the line it was at
    process ended              how: its exit code or signal, and the line that did it if it is known
    stopped by a denied access none, if the rule about that access tells
    passed over by Airflow     why: not UTF-8, or a broken zip file
    """
    failure = file.failure
    if failure:
        yield Problem(failure.message, _mend_import(failure.message, project), failure.line, details=failure.details)


def parse_time(file: DagFile, project: Project) -> Iterator[Problem]:
    """Importing takes no longer than the team's budget, `parse_seconds`."""
    budget = project.demands.parse_seconds
    if file.seconds > budget and not file.failure:
        yield Problem(
            f"importing it took {file.seconds:.1f} s; the budget is {budget:g} s",
            "Import heavy packages inside the tasks that use them; make fewer DAGs in one file.",
        )


def output(file: DagFile, project: Project) -> Iterator[Problem]:
    """Parsing prints no more than `printed_bytes`."""
    if file.printed > project.demands.printed_bytes:
        yield Problem(
            f"it printed {file.printed:,} bytes while it was parsed; {project.demands.printed_bytes:,} are allowed",
            "MWAA logs it at every parse, and CloudWatch bills it. Print inside a task.",
        )


def no(kind: str) -> Judge:
    """No access of that kind while the file is parsed: none of it was seen in the act."""

    def judge(file: DagFile, project: Project) -> Iterator[Problem]:  # noqa: ARG001 - every rule has this shape
        for event in file.events:
            if event.kind == kind:
                via = f", in {event.via}" if event.via else ""
                why = ", where AWS's SDK finds credentials" if any(map(event.what.__contains__, CREDENTIALS)) else ""
                yield Problem(f"{event.what}{why}{via}, while the file is parsed", MENDS[kind], event.line)

    judge.__doc__ = f"Parsing a file leaves {ALONE[kind]} alone: no such access is seen in the act."
    return judge


def modules(file: DagFile, project: Project) -> Iterator[Problem]:
    """Every import, in functions too, finds its module in MWAA's image, in requirements.txt or in the DAG folder.

    import                                        problem
    of a module that is there                     none
    in `try` with `except ImportError`            none
    under `if TYPE_CHECKING`                      none
    under `if __name__ == "__main__"`             none: Airflow never runs it
    in a function that runs in a Python of its own none
    any other                                     the module, with the line
    """
    for found in file.missing:
        where = "" if found.path == file.path else f", in {found.path}:{found.line}"
        yield Problem(
            f"the module {found.text!r} is neither in MWAA's image nor from dags/requirements.txt{where}",
            _mend_module(found.text, project),
            found.line if not where else None,
        )


def _mend_import(message: str, project: Project) -> str:
    if "No module named" in message:
        return _mend_module(message.partition("'")[2], project)
    unseen = next((advice for words, advice in ADVICE_UNSEEN.items() if message.startswith(words)), "")
    if unseen:
        return f"None of the file's DAGs would be there. {unseen}"
    advice = next((advice for words, advice in ADVICE.items() if words in message), "Correct what raises it.")
    return f"Airflow would show this as an import error and run none of the file's DAGs. {advice}"


def _mend_module(name: str, project: Project) -> str:
    if name.startswith("airflow.") and not name.startswith("airflow.providers."):
        return f"Airflow {project.airflow} has no such module. Import the name from where this version has it."
    if name in GONE_IN_PYTHON_312:
        return f"Python 3.12, which MWAA runs, no longer has it: use {GONE_IN_PYTHON_312[name]}."
    return "Add its package to dags/requirements.txt or its file to dags/, or do what needs it in a container."
