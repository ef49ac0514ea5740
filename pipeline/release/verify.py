"""Whether the running Airflow has taken a release over: what to look for, judging what is seen (pure), and looking.

No clock of ours is compared with one of Airflow's. That a DAG was parsed from the new file is proven by its source,
which Airflow keeps; that a DAG was parsed again since a helper it imports had changed, by `last_parsed_time` having
moved after MWAA had certainly copied the bucket. That no other file broke is proven by time alone: before MWAA has
copied the bucket, an Airflow in which nothing is wrong is the one of the former release.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any

from pipeline.errors import PipelineError
from pipeline.release.airflow import LONGEST_PATH, Airflow, AirflowAnswerError, pages

SOURCES_READ = 100  # beyond that many changed files, parse times must do: InvokeRestApi allows 10 requests a second
_TRACE_LINES = 12


@dataclass(frozen=True)
class Patience:
    """How long things take, in seconds.

    Attributes:
        copied: MWAA copies the bucket every 30 s (user guide): after this, every worker has the new files.
        settled: After this, an import error is no longer one of a half copied folder.
        deadline: A new DAG shows after up to 300 s (user guide), a removed one after a round of clearing up.
        poll: Between two looks.
        because: The options of Airflow, as far as it takes longer than usual for them; see `patience.py`.
    """

    copied: float = 35
    settled: float = 75
    deadline: float = 600
    poll: float = 5
    because: str = ""


@dataclass(frozen=True)
class Dag:
    """A DAG that Airflow knows and still finds in its file."""

    id: str
    file: str
    parsed: str
    paused: bool = False


@dataclass(frozen=True)
class Seen:
    """What Airflow says at one moment. Files are paths below the DAG folder."""

    dags: Mapping[str, Dag]
    errors: Mapping[str, str]


@dataclass(frozen=True)
class Expectation:
    """What a release should bring about in Airflow.

    Attributes:
        changed: Files that define DAGs, or look as if they did → their new text.
        affected: Files that import something that changed.
        removed: Files that are gone.
        defining: Files that certainly define a DAG: one must be there in the end.
        blamed: Files whose import errors count even if they were there before: a release that was interrupted may
            have brought them.
        settles: Something was changed that Airflow's DAGs do not show, so a look soon after proves nothing.
    """

    changed: Mapping[str, str] = field(default_factory=dict)
    affected: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    defining: frozenset[str] = frozenset()
    blamed: frozenset[str] = frozenset()
    settles: bool = False


@dataclass(frozen=True)
class Verdict:
    """What is wrong, what must still come, and what may come or not. Nothing of these: verified."""

    failures: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    hoped: tuple[str, ...] = ()


def judge(
    expectation: Expectation, before: Seen, mark: Seen | None, now: Seen, sources: Mapping[str, str], *, settled: bool
) -> Verdict:
    """Compare what is seen with what is expected.

    | a file                                          | has no DAG in Airflow                    |
    | ----------------------------------------------- | ---------------------------------------- |
    | certainly defines one                           | waited for                               |
    | changed, and had one before                     | fine: the new text took it away          |
    | changed, and only looks as if it defined one    | hoped for: perhaps it is a helper        |

    Args:
        expectation: What should come about.
        before: What was seen before anything was published.
        mark: What was seen when MWAA had copied the files; None before that.
        now: What is seen now.
        sources: DAG id → the text Airflow last parsed it from, as far as it was read.
        settled: Import errors count as final.
    """
    failures: list[str] = []
    waiting: list[str] = []
    hoped: list[str] = []
    for file, trace in sorted(now.errors.items()):
        if file not in before.errors or file in expectation.changed or file in expectation.blamed:
            problem = f"{file} has an import error:\n{_tail(trace)}"
            (failures if settled else waiting).append(problem)
    had_dags = {dag.file for dag in before.dags.values()}
    by_file: dict[str, list[Dag]] = {}
    for dag in now.dags.values():
        by_file.setdefault(dag.file, []).append(dag)
    missing = expectation.defining | (expectation.changed.keys() - had_dags)
    for file in sorted(missing - by_file.keys() - now.errors.keys()):
        (waiting if file in expectation.defining else hoped).append(f"no DAG of {file} has appeared")
    for file, text in sorted(expectation.changed.items()):
        if file in now.errors:
            continue
        waiting += [
            f"{dag.id} has not been parsed from the new {file}"
            for dag in by_file.get(file, [])
            if not (_same(sources[dag.id], text) if dag.id in sources else _parsed_since(dag, mark))
        ]
    for file in sorted(expectation.affected - set(now.errors)):
        waiting += [
            f"{dag.id} has not been parsed since what {file} imports changed"
            for dag in by_file.get(file, [])
            if not _parsed_since(dag, mark)
        ]
    for file in sorted(expectation.removed):
        waiting += [f"{dag.id} of the removed {file} is still there" for dag in by_file.get(file, [])]
    if expectation.settles and not settled:
        waiting.append("Airflow has not had the time to copy and read all of it")
    return Verdict(tuple(failures), tuple(waiting), tuple(hoped))


def observe(airflow: Airflow) -> Seen:
    """What Airflow says now.

    Raises:
        AirflowUnreachableError: There was no answer.
        AirflowAnswerError: The answer is an error.
    """
    dags = [_dag(item) for item in pages(airflow, "/dags", "dags") if not item.get("is_stale")]
    errors = {
        _below_dags(str(item.get("filename", ""))): str(item.get("stack_trace", ""))
        for item in pages(airflow, "/importErrors", "import_errors")
    }
    return Seen({dag.id: dag for dag in dags}, errors)


def verify(
    airflow: Airflow,
    expectation: Expectation,
    before: Seen,
    *,
    alive: Callable[[], None],
    tell: Callable[[str], None],
    patience: Patience | None = None,
    pause: Callable[[float], None] = sleep,
    clock: Callable[[], float] = monotonic,
) -> None:
    """Wait until Airflow has taken the release over.

    Args:
        airflow: The running Airflow.
        expectation: What should come about.
        before: What was seen before anything was published.
        alive: Called often; raises when the lock was lost.
        tell: Takes a sentence for people whenever what is waited for changes.
        patience: How long things take.
        pause: Waits for a number of seconds.
        clock: Counts the seconds.

    Raises:
        PipelineError: A DAG cannot be imported, or what was expected did not come about in time.
        AirflowUnreachableError: Airflow stopped answering, so nothing is proven.
        AirflowAnswerError: Airflow answers with errors, and to the end if it is only busy.
    """
    patience = patience or Patience()
    if patience.because:
        tell(f"Airflow may take up to {patience.deadline / 60:.0f} min to take it over, for {patience.because}")
    started, mark, said, proven = clock(), None, "", set[str]()
    while True:
        alive()
        elapsed = clock() - started  # before the look: a slow one shows what was there when it began
        try:
            now = observe(airflow)
            sources = _sources(airflow, expectation, before, now, proven)
        except AirflowAnswerError as error:
            if not error.is_busy or elapsed >= patience.deadline:
                raise
            tell(f"Airflow is asked again: {error.what}")
            pause(patience.poll)
            continue
        if mark is None and elapsed >= patience.copied:
            mark = now
        settled = mark is not None and elapsed >= patience.settled
        verdict = judge(expectation, before, mark, now, sources, settled=settled)
        if verdict.failures:
            raise PipelineError("\n".join(verdict.failures), where="Airflow", mend="Correct the DAG and push again.")
        to_come = verdict.waiting + verdict.hoped
        if not to_come:
            return
        if elapsed >= patience.deadline:
            _give_up(verdict, patience.deadline, tell)
            return
        if to_come[0] != said:
            said = to_come[0]
            tell(f"{len(to_come)} to come: {said.splitlines()[0]}")
        pause(patience.poll)


def _give_up(verdict: Verdict, seconds: float, tell: Callable[[str], None]) -> None:
    """A failure if something that must come did not; else a remark."""
    if verdict.waiting:
        raise PipelineError(
            f"not within {seconds:g} s: {'; '.join(verdict.waiting[:10])}",
            where="Airflow",
            mend="The DAG processor's log of the environment says what it does with these files.",
        )
    tell(f"remark: {'; '.join(verdict.hoped[:10])} within {seconds:g} s; the release stays, for it may define none")


def _sources(airflow: Airflow, expectation: Expectation, before: Seen, now: Seen, proven: set[str]) -> dict[str, str]:
    """The texts Airflow last parsed the changed DAGs from: asked for those only that were parsed since the start.

    `proven` are the DAGs of which the new text was seen; they are not asked for once more, and new ones are added.
    """
    if len(expectation.changed) > SOURCES_READ:
        return {}
    found: dict[str, str] = {}
    for dag in now.dags.values():
        path = f"/dagSources/{dag.id}"
        if dag.file not in expectation.changed or len(path) > LONGEST_PATH:
            continue
        if dag.id in proven:
            found[dag.id] = expectation.changed[dag.file]
            continue
        if dag.id in before.dags and before.dags[dag.id].parsed == dag.parsed:
            found[dag.id] = ""
            continue
        try:
            found[dag.id] = str(airflow.get(path).get("content", ""))
            if _same(found[dag.id], expectation.changed[dag.file]):
                proven.add(dag.id)
        except AirflowAnswerError as error:
            if error.status != 404:  # noqa: PLR2004 - HTTP: the DAG went between the two requests, or is not stored yet
                raise
            found[dag.id] = ""
    return found


def _dag(item: Mapping[str, Any]) -> Dag:
    file = item.get("relative_fileloc") or _below_dags(str(item.get("fileloc", "")))
    return Dag(
        id=str(item["dag_id"]),
        file=str(file),
        parsed=str(item.get("last_parsed_time") or ""),
        paused=bool(item.get("is_paused")),
    )


def _below_dags(path: str) -> str:
    """Airflow 3 says the path below the DAG folder; where a version says the whole path, what follows `dags/` is it."""
    return path.rpartition("/dags/")[2] if path.startswith("/") else path


def _same(parsed: str, published: str) -> bool:
    return parsed.splitlines() == published.splitlines()


def _parsed_since(dag: Dag, mark: Seen | None) -> bool:
    return mark is not None and (dag.id not in mark.dags or mark.dags[dag.id].parsed != dag.parsed)


def _tail(trace: str) -> str:
    return "\n".join(f"    {line}" for line in trace.strip().splitlines()[-_TRACE_LINES:])
