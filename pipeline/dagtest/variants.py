"""DAG files that are not the same in every environment, such as one whose DAG is there in production only. Pure."""

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from pipeline.dagtest.facts import DagFile
from pipeline.dagtest.rules import Problem, Verdict

# The name of the environment that `RELEASE` of dags/fargate.py tells where nothing is released.
OPTION = "release.environment"
_NAMES = re.compile(r"\.environment\b")  # perhaps in a comment


def varying(files: Sequence[DagFile], text: Callable[[str], str]) -> tuple[str, ...]:
    """The files that may be others elsewhere: they, or modules of the team's that they import, read `.environment`.

    Args:
        files: As they are in one environment.
        text: A file's text, by its path.
    """
    reading: dict[str, bool] = {}

    def reads(path: str) -> bool:
        if path not in reading:
            reading[path] = _reads_environment(text(path))
        return reading[path]

    return tuple(file.path for file in files if any(map(reads, (file.path, *file.own))))


def _reads_environment(text: str) -> bool:
    if not _NAMES.search(text):
        return False
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError):
        return True  # the same everywhere, most of the time; to look costs a second
    return any(isinstance(node, ast.Attribute) and node.attr == "environment" for node in nodes)


def everywhere(files: Mapping[str, Sequence[DagFile]]) -> tuple[DagFile, ...]:
    """Each file once, with the DAGs that it has in any environment.

    Args:
        files: Environment → all files, as they are there; they differ in DAGs only for those that vary.
    """
    *others, last = files.values()
    dags = {file.path: {dag.dag_id: dag for dag in file.dags} for file in last}
    for file in (file for other in others for file in other):
        for dag in file.dags:
            dags[file.path].setdefault(dag.dag_id, dag)
    return tuple(replace(file, dags=tuple(dags[file.path].values())) for file in last)


def together(verdicts: Mapping[str, Sequence[Verdict]]) -> tuple[Verdict, ...]:
    """One verdict for each file and rule; a problem that only some environments have says which.

    | in some environments        | in the others   | is                                    |
    | --------------------------- | --------------- | ------------------------------------- |
    | a problem                   | the same        | the problem                           |
    | a problem                   | anything else   | the problem, "in dev: …"              |
    | good                        | does not apply  | good                                  |

    Args:
        verdicts: Environment → all verdicts there; the same files and rules in each, in the same order.
    """
    places = tuple(verdicts)
    return tuple(_one(places, each) for each in zip(*verdicts.values(), strict=True))


def _one(places: Sequence[str], verdicts: Sequence[Verdict]) -> Verdict:
    last = verdicts[-1]
    if all(verdict == last for verdict in verdicts):
        return last
    skipped = last.skipped if all(verdict.skipped for verdict in verdicts) else ""
    return replace(last, problems=tuple(_problems(places, verdicts)), skipped=skipped)


def _problems(places: Sequence[str], verdicts: Sequence[Verdict]) -> Iterator[Problem]:
    for problem in dict.fromkeys(problem for verdict in reversed(verdicts) for problem in verdict.problems):
        having = [place for place, verdict in zip(places, verdicts, strict=True) if problem in verdict.problems]
        where = "" if len(having) == len(places) else f"in {', '.join(having)}: "
        yield replace(problem, what=f"{where}{problem.what}")
