"""What a release should bring about in Airflow, and judging what is seen there. Pure; `verify.py` does the looking.

No clock of ours is compared with one of Airflow's. That a DAG was parsed from the new file is proven by its source,
which Airflow keeps, and by `last_parsed_time` having moved after MWAA had certainly copied the bucket. The source alone
does not do: Airflow reads it when it stores what it has parsed, and MWAA may have copied the file in between; but a DAG
that was not there before comes from nowhere else. The time alone must do for a DAG that imports what changed. That no
other file broke is proven by time, too: before the copy, an Airflow in which nothing is wrong is the former release's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_TRACE_LINES = 12


@dataclass(frozen=True)
class Dag:
    """A DAG that Airflow knows and still finds in its file."""

    id: str
    file: str
    parsed: str
    paused: bool = False


@dataclass(frozen=True)
class Seen:
    """What Airflow says at one moment. Files are paths below the DAG folder.

    Attributes:
        errors: File → why it cannot be imported.
        found: File → when Airflow last found that it cannot be.
    """

    dags: Mapping[str, Dag]
    errors: Mapping[str, str]
    found: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Expectation:
    """What a release should bring about in Airflow.

    Attributes:
        changed: Files that define DAGs, or look as if they did → their new text.
        affected: Files that import something that changed.
        removed: Files that are gone.
        defining: Files that define a DAG where they were tested.
        blamed: Files whose import errors count even if they were there before: they were written, or a release that
            was interrupted may have brought the errors.
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
    """What is wrong, what must still come, and what may come or not. Nothing of these: verified.

    Attributes:
        absent: DAGs that must come, unless their file defines none in this environment.
        parses: Airflow has parsed a DAG since MWAA had copied the files, so it is at work.
    """

    failures: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    hoped: tuple[str, ...] = ()
    parses: bool = False

    @property
    def to_come(self) -> tuple[str, ...]:
        """Everything that is waited for."""
        return (*self.waiting, *self.absent, *self.hoped)


def judge(
    expectation: Expectation, before: Seen, mark: Seen | None, now: Seen, sources: Mapping[str, str], *, settled: bool
) -> Verdict:
    """Compare what is seen with what is expected.

    | a file                                          | has no DAG in Airflow, and no import error             |
    | ----------------------------------------------- | ------------------------------------------------------ |
    | defines one where it was tested                 | waited for; in the end a remark if Airflow has parsed  |
    |                                                 | others: it may define none in this environment         |
    | changed, and had one before                     | fine: the new text took it away                        |
    | changed, and only looks as if it defined one    | hoped for: perhaps it is a helper                      |

    | the import error of a file                      | is                                                     |
    | ----------------------------------------------- | ------------------------------------------------------ |
    | was there before; neither changed nor blamed    | none of this release's                                 |
    | any other, not `settled`                        | to go: perhaps of a half copied folder                 |
    | any other, not found again since the mark       | to go: perhaps of a folder before it was copied        |
    | any other                                       | a failure                                              |

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
    for file, trace in sorted(now.errors.items()):
        if file not in before.errors or file in expectation.changed or file in expectation.blamed:
            final = settled and _found_since(file, mark, now)
            (failures if final else waiting).append(f"{file} has an import error:\n{_tail(trace)}")
    by_file: dict[str, list[Dag]] = {}
    for dag in now.dags.values():
        by_file.setdefault(dag.file, []).append(dag)
    waiting += _unparsed(expectation, before, mark, now, by_file=by_file, sources=sources)
    for file in sorted(expectation.removed):
        waiting += [f"{dag.id} of the removed {file} is still there" for dag in by_file.get(file, [])]
    if expectation.settles and not settled:
        waiting.append("Airflow has not had the time to copy and read all of it")
    had_dags = {dag.file for dag in before.dags.values()}
    none_yet = (expectation.defining | (expectation.changed.keys() - had_dags)) - by_file.keys() - now.errors.keys()
    return Verdict(
        tuple(failures),
        tuple(waiting),
        absent=tuple(f"no DAG of {file} has appeared" for file in sorted(none_yet & expectation.defining)),
        hoped=tuple(f"no DAG of {file} has appeared" for file in sorted(none_yet - expectation.defining)),
        parses=any(_parsed_since(dag, mark) for dag in now.dags.values()),
    )


def _unparsed(
    expectation: Expectation,
    before: Seen,
    mark: Seen | None,
    now: Seen,
    *,
    by_file: Mapping[str, list[Dag]],
    sources: Mapping[str, str],
) -> Iterator[str]:
    """DAGs that Airflow has not parsed from their new text, or not beside what they import; each once."""
    for file in sorted(expectation.changed.keys() | expectation.affected):
        if file in now.errors:
            continue
        text = expectation.changed.get(file)
        for dag in by_file.get(file, []):
            since = _parsed_since(dag, mark)
            taken = since or (dag.id in sources and dag.id not in before.dags)
            if text is not None and not (taken and same(sources.get(dag.id, text), text)):
                yield f"{dag.id} has not been parsed from the new {file}"
            elif file in expectation.affected and not since:
                yield f"{dag.id} has not been parsed since what {file} imports changed"


def same(parsed: str, published: str) -> bool:
    """Whether two texts are one, whatever ends their lines."""
    return parsed.splitlines() == published.splitlines()


def _parsed_since(dag: Dag, mark: Seen | None) -> bool:
    return mark is not None and (dag.id not in mark.dags or mark.dags[dag.id].parsed != dag.parsed)


def _found_since(file: str, mark: Seen | None, now: Seen) -> bool:
    """Whether Airflow has tried the file since the mark; yes where it does not say when it did."""
    found = now.found.get(file)
    return not found or mark is None or mark.found.get(file) != found


def _tail(trace: str) -> str:
    return "\n".join(f"    {line}" for line in trace.strip().splitlines()[-_TRACE_LINES:])
