"""Looking at the running Airflow until it has taken a release over. What that means is judged by `verdict.py`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

from pipeline.errors import PipelineError
from pipeline.release.airflow import LONGEST_PATH, Airflow, AirflowAnswerError, AirflowUnreachableError, pages
from pipeline.release.verdict import Dag, Expectation, Seen, Verdict, judge, same

SOURCES_READ = 100  # beyond that many changed DAGs, parse times must do: InvokeRestApi allows 10 requests a second
_TOLD_EVERY = 60.0  # seconds between two lines while nothing but numbers changes
_NAMED = 10  # of what did not come


@dataclass(frozen=True)
class Patience:
    """How long things take, in seconds.

    Attributes:
        copied: MWAA copies the bucket every 30 s (user guide): after this, every worker has the new files.
        settled: After this, an import error is no longer one of a half copied folder. An Airflow that gets on with a
            release shows something new of it in this time.
        deadline: A new DAG shows after up to 300 s (user guide), a removed one after a round of clearing up. Where so
            many DAGs are parsed that it takes longer, it goes on for as long as Airflow gets on.
        longest: But not for longer than this: half of what the build of a release may take (`infra/steps.py`), so that
            there is time left to put the former release back.
        poll: Between two looks.
        because: The options of Airflow, as far as it takes longer than usual for them; see `patience.py`.
    """

    copied: float = 35
    settled: float = 75
    deadline: float = 600
    longest: float = 3600
    poll: float = 5
    because: str = ""


def observe(airflow: Airflow) -> Seen:
    """What Airflow says now.

    Raises:
        AirflowUnreachableError: There was no answer.
        AirflowAnswerError: The answer is an error.
    """
    dags = [_dag(item) for item in pages(airflow, "/dags", "dags") if not item.get("is_stale")]
    errors = {
        _below_dags(str(item.get("filename", ""))): item for item in pages(airflow, "/importErrors", "import_errors")
    }
    return Seen(
        {dag.id: dag for dag in dags},
        {file: str(item.get("stack_trace", "")) for file, item in errors.items()},
        {file: str(item.get("timestamp") or "") for file, item in errors.items()},
    )


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
        tell: Takes a sentence for people whenever what is waited for changes, and every minute.
        patience: How long things take.
        pause: Waits for a number of seconds.
        clock: Counts the seconds.

    Raises:
        PipelineError: A DAG cannot be imported, or what was expected did not come about in time.
        AirflowUnreachableError: Airflow may not be asked, or stopped answering to the end, so nothing is proven.
        AirflowAnswerError: Airflow answers with errors, and to the end if it is only busy.
    """
    patience = patience or Patience()
    if patience.because:
        tell(f"Airflow may take up to {patience.deadline / 60:.0f} min to take it over, for {patience.because}")
    started, mark, proven = clock(), None, set[str]()
    progress = _Progress(patience, tell)
    while True:
        alive()
        elapsed = clock() - started  # before the look: a slow one shows what was there when it began
        try:
            now = observe(airflow)
            sources = _sources(airflow, expectation, before, now, proven=proven, alive=alive)
        except (AirflowAnswerError, AirflowUnreachableError) as error:
            if not error.is_busy or elapsed >= progress.limit:
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
        if not verdict.to_come:
            return
        progress.look(elapsed, verdict)
        if elapsed >= progress.limit:
            progress.give_up(verdict)
            return
        pause(patience.poll)


class _Progress:
    """How far Airflow is: says so now and then, and knows when it is time to give up."""

    def __init__(self, patience: Patience, tell: Callable[[str], None]) -> None:
        self._patience = patience
        self._tell = tell
        self._most = 0
        self._least: int | None = None
        self._fell = 0.0
        self._said, self._told = "", 0.0

    @property
    def limit(self) -> float:
        """Seconds after which it is given up, as things are: fewer were to come a short while ago, or it is over."""
        patience = self._patience
        return max(patience.deadline, min(patience.longest, self._fell + patience.settled))

    def look(self, elapsed: float, verdict: Verdict) -> None:
        count, first = len(verdict.to_come), verdict.to_come[0].splitlines()[0]
        if self._least is None or count < self._least:
            self._least, self._fell = count, elapsed // 1
        self._most = max(self._most, count)
        if first != self._said or elapsed - self._told >= _TOLD_EVERY:
            self._said, self._told = first, elapsed
            self._tell(f"{self._count(count)} to come: {first}")

    def give_up(self, verdict: Verdict) -> None:
        """A failure if something that must come did not; else a remark."""
        within = f"within {self.limit:g} s"
        if not verdict.waiting and (verdict.parses or not verdict.absent):
            missing = (*verdict.absent, *verdict.hoped)
            self._tell(f"remark: {_named(missing)} {within}; the release stays, for it may define none")
            return
        missing = verdict.waiting + verdict.absent
        number = f", {self._count(len(verdict.to_come))} to come" if self._most > len(verdict.to_come) else ""
        raise PipelineError(
            f"not {within}{number}: {_named(missing)}",
            where="Airflow",
            mend="The DAG processor's log of the environment says what it does with these files.",
        )

    def _count(self, count: int) -> str:
        return f"{count} of {self._most}" if count < self._most else f"{count}"


def _named(missing: tuple[str, ...]) -> str:
    more = [f"and {len(missing) - _NAMED} more"] if len(missing) > _NAMED else []
    return "; ".join([*missing[:_NAMED], *more])


def _sources(
    airflow: Airflow, expectation: Expectation, before: Seen, now: Seen, *, proven: set[str], alive: Callable[[], None]
) -> dict[str, str]:
    """The texts Airflow last parsed the changed DAGs from: asked for those only that were parsed since the start.

    | DAGs of the changed files           | are asked for                                   |
    | ----------------------------------- | ----------------------------------------------- |
    | up to `SOURCES_READ`                | each                                            |
    | more, of up to `SOURCES_READ` files | one of each file; parse times do for the others |
    | more, of more files                 | none; parse times do                            |

    `proven` are the DAGs of which the new text was seen; they are not asked for once more, and new ones are added.
    """
    found: dict[str, str] = {}
    for dag in _to_ask_for(expectation, now):
        if dag.id in proven:
            found[dag.id] = expectation.changed[dag.file]
            continue
        if dag.id in before.dags and before.dags[dag.id].parsed == dag.parsed:
            found[dag.id] = ""
            continue
        alive()
        try:
            found[dag.id] = str(airflow.get(_source_of(dag)).get("content", ""))
            if same(found[dag.id], expectation.changed[dag.file]):
                proven.add(dag.id)
        except AirflowAnswerError as error:
            if error.status != 404:  # noqa: PLR2004 - HTTP: the DAG went between the two requests, or is not stored yet
                raise
            found[dag.id] = ""
    return found


def _to_ask_for(expectation: Expectation, now: Seen) -> list[Dag]:
    dags = [
        dag for dag in now.dags.values() if dag.file in expectation.changed and len(_source_of(dag)) <= LONGEST_PATH
    ]
    if len(dags) > SOURCES_READ:
        dags = list({dag.file: dag for dag in sorted(dags, key=lambda dag: dag.id, reverse=True)}.values())
    return dags if len(dags) <= SOURCES_READ else []


def _source_of(dag: Dag) -> str:
    return f"/dagSources/{dag.id}"


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
