"""Try what MWAA would do with requirements.txt, plugins/ and startup.sh."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pipeline.console import step
from pipeline.dagtest import requirements as checks
from pipeline.dagtest.airflow_environment import (
    DOWNLOADS,
    LOCKS,
    AirflowEnvironment,
    ensure,
    has_requirements,
    python_of,
)
from pipeline.dagtest.constraints import Constraints, constraints_for, expanded
from pipeline.dagtest.importing import WORKER
from pipeline.dagtest.rules import Problem, Verdict
from pipeline.errors import PipelineError
from pipeline.process import CommandError, run
from pipeline.pythons import find_uv, mwaa_python

REQUIREMENTS = "dags/requirements.txt"
PLUGINS = "dags/plugins"
STARTUP = "dags/startup.sh"
COMPONENTS = ("scheduler", "worker", "webserver")  # that run startup.sh and install (MWAA user guide, "startup script")
LOADING = 120.0  # seconds that loading the plugins may take
UNREACHED = ("Failed to fetch", "error sending request", "Could not connect", "Network connectivity is disabled")


def run_test(
    project: Path,
    version: str,
    region: str,
    options: Mapping[str, str],
    variables: Mapping[str, str],
    *,
    run_startup: bool = False,
) -> tuple[Verdict, ...]:
    """Every check that applies; what the project does not have is not checked.

    Args:
        project: The project's folder.
        version: Airflow's.
        region: Of the environment that it is for.
        options: Its `airflow_options`, as environment variables.
        variables: Environment variables that plugins find.
        run_startup: Run startup.sh, which is only read otherwise.

    Raises:
        PipelineError: The package index cannot be reached: nothing can be said.
    """
    return (
        *_requirements(project, version),
        *_plugins(project, version, region, options, variables),
        *_startup(project, run_startup=run_startup),
    )


def _requirements(project: Path, version: str) -> Iterator[Verdict]:
    path = project / REQUIREMENTS
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    names = [str(found.relative_to(project / "dags")) for found in (project / "dags").rglob("*") if found.is_file()]
    wrong = tuple(checks.wrong_constraints(text, version, mwaa_python(version), names))
    yield checks.verdict(REQUIREMENTS, "constraints", wrong)
    if wrong:
        yield Verdict(REQUIREMENTS, "resolves", skipped="its constraints are wrong")
        return
    constraints = constraints_for(project, version, LOCKS)
    if checks.comes_from_files_only(constraints.requirements.read_text(encoding="utf-8")):
        problems: tuple[Problem, ...] = ()
        yield Verdict(
            REQUIREMENTS, "resolves", skipped="--no-index: what is not in MWAA's image is installed from files"
        )
    else:
        with step(f"resolve {REQUIREMENTS} as MWAA does"):
            problems = tuple(checks.missing_files(text, names)) or tuple(_conflicts(path, constraints, version))
        yield checks.verdict(REQUIREMENTS, "resolves", problems, note=checks.part_of(constraints))
    if problems:
        yield Verdict(REQUIREMENTS, "installs", skipped="it does not resolve")
        return
    if not has_requirements(text):
        yield Verdict(REQUIREMENTS, "installs")
        return
    try:
        ensure(project, version)
        yield Verdict(REQUIREMENTS, "installs")
    except PipelineError as error:
        yield checks.verdict(REQUIREMENTS, "installs", [Problem(error.what, error.mend)])


def _conflicts(path: Path, constraints: Constraints, version: str) -> Iterator[Problem]:
    text = path.read_text(encoding="utf-8", errors="replace")
    together = _refused(constraints.requirements, constraints, version)
    if together is None:
        return
    unreadable = checks.unreadable(constraints.requirements.read_text(encoding="utf-8"), together, text)
    if unreadable:
        yield unreadable
        return
    held = {problem.line: problem for problem in checks.against_pins(text, constraints.pins(), constraints.essential)}
    known, alone = [], {}
    with tempfile.TemporaryDirectory(prefix="requirements-") as folder:
        for requirement in (*checks.asked(text), *checks.unnamed(text)):
            single = Path(folder, "requirements.txt")
            single.write_text(expanded(path, requirement.text), encoding="utf-8")
            problem = held.get(requirement.line)
            if problem and not requirement.is_conditional:
                known.append(problem)
            elif (reason := _refused(single, constraints, version)) is None:
                continue  # also a line for another Python or system than MWAA's
            elif problem:
                known.append(problem)
            else:
                alone[requirement.line] = reason
    yield from known
    if alone or not known:
        yield from checks.unresolved(text, alone, together, constraints.source)


def _refused(requirements: Path, constraints: Constraints, version: str) -> str | None:
    """Why a file's packages cannot be installed, None when they can."""
    command = [
        *(find_uv(), "pip", "compile", "--quiet", "--no-header", str(requirements), *constraints.options),
        # For MWAA's Python and system, by the Python at hand: else uv looks at all there are.
        *("--python", sys.executable, "--python-version", mwaa_python(version), "--python-platform", "linux"),
    ]
    try:
        run(command, timeout=DOWNLOADS)
    except CommandError as error:
        said = " ".join(error.output.split())  # uv breaks its lines where a terminal's would end
        if any(words in said for words in UNREACHED):
            raise PipelineError(
                "the package index cannot be reached", where=REQUIREMENTS, mend=f"Try again.\n{error.output.strip()}"
            ) from None
        return error.output
    return None


def _plugins(
    project: Path, version: str, region: str, options: Mapping[str, str], variables: Mapping[str, str]
) -> Iterator[Verdict]:
    folder = project / PLUGINS
    if not folder.is_dir():
        return
    found: dict[str, list[Problem]] = {}
    refused = json.loads(run([python_of(project, version), "-I", str(WORKER / "syntax.py"), str(folder)]))
    for check, problem in checks.wrong_plugins(folder, refused):
        found.setdefault(check, []).extend([problem] if problem else [])
    for check, problems in found.items():
        yield checks.verdict(PLUGINS, check, problems)
    if found["syntax"]:
        yield Verdict(PLUGINS, "loads", skipped="its syntax is wrong")
        return
    try:
        environment = ensure(project, version)
    except PipelineError as error:
        yield Verdict(PLUGINS, "loads", skipped=f"there is no Airflow to load it with: {error.what.splitlines()[0]}")
        return
    known = {**environment.variables((project / "dags").resolve(), region, options), **variables}
    with step(f"load {PLUGINS} as Airflow does"):
        yield checks.verdict(PLUGINS, "loads", list(_unloaded(environment, known)))


def _unloaded(environment: AirflowEnvironment, known: Mapping[str, str]) -> Iterator[Problem]:
    mend = "Airflow would start without it and say so on its page of plugins only."
    try:
        answer = run([*environment.alone(known), str(environment.python), str(WORKER / "plugins.py")], timeout=LOADING)
    except CommandError as error:
        last = error.last_lines
        what = f"loading it ends Airflow with code {error.code}: {last.splitlines()[-1] if last else 'without a word'}"
        yield Problem(what, "Airflow would not start.", details=last)
        return
    except PipelineError:
        yield Problem(f"loading it takes longer than {LOADING:g} s", "Airflow would not start in time.")
        return
    for file, message in json.loads(answer.splitlines()[-1]).items():
        yield Problem(f"{Path(file).name}: {message}", mend)


def _startup(project: Path, *, run_startup: bool) -> Iterator[Verdict]:
    path = project / STARTUP
    if not path.is_file():
        return
    content = path.read_bytes()
    crooked = tuple(checks.crooked_startup(content))
    yield checks.verdict(STARTUP, "syntax", crooked or tuple(_refused_by_bash(path)))
    slow = tuple(checks.slow_startup(content.decode("utf-8", "replace")))
    if slow or not run_startup:
        yield checks.verdict(STARTUP, "time", slow, note="it was read, not run: --run-startup runs it")
        return
    with step(f"run {STARTUP} as MWAA's {', '.join(COMPONENTS)} do"):
        yield checks.verdict(STARTUP, "time", tuple(_failing_runs(path)))


def _refused_by_bash(path: Path) -> Iterator[Problem]:
    try:
        run(["bash", "-n", str(path)])
    except CommandError as error:
        for text in error.output.strip().splitlines():
            match = checks.BASH_LINE.search(text)
            yield Problem(
                match[2] if match else text, "MWAA's workers would not start.", int(match[1]) if match else None
            )


def _failing_runs(path: Path) -> Iterator[Problem]:
    """Each way to fail once, with the components that fail so."""
    found: dict[Problem, list[str]] = {}
    with tempfile.TemporaryDirectory(prefix="startup-") as folder:
        for component in COMPONENTS:
            for problem in _failing_run(path, component, Path(folder, "home")):
                found.setdefault(problem, []).append(component)
    for problem, components in found.items():
        yield replace(problem, what=f"as {', '.join(components)} {problem.what}")


def _failing_run(path: Path, component: str, home: Path) -> Iterator[Problem]:
    """The script is really run, on this machine, in an empty folder that is its home."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    shutil.copy(path, home)
    known = (f"HOME={home}", "PATH=/usr/local/bin:/usr/bin:/bin", f"MWAA_AIRFLOW_COMPONENT={component}")
    try:
        run(["env", "-i", *known, "bash", path.name], cwd=home, timeout=checks.STARTUP_SECONDS)
    except CommandError as error:
        yield Problem(f"it ends with code {error.code}: {error.output.strip()[-500:]}", "MWAA logs this and goes on.")
    except PipelineError as error:
        yield Problem(error.what, f"MWAA ends it after {checks.STARTUP_SECONDS} s. Do less, or do it in a container.")
