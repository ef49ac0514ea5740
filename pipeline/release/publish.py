"""Carrying out a plan's rows: uploads, restorations and deletions, phase by phase."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import groupby, islice
from queue import Empty, SimpleQueue
from time import monotonic

from pipeline.errors import PipelineError
from pipeline.release.bucket import NO_VERSION, Bucket, Written
from pipeline.release.plan import Action, Plan, Row
from pipeline.release.s3 import PARALLEL
from pipeline.release.tree import Source

_SIGN_OF_LIFE = 2.0  # seconds between looks at the lock while S3 is slow
_AHEAD = 2 * PARALLEL  # handed to the threads at once
_TOLD_EVERY = 3.0  # seconds between lines of progress


def publish(
    bucket: Bucket,
    plan: Plan,
    contents: Mapping[str, Source],
    alive: Callable[[], None],
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Written]:
    """Do the rows of a plan. A phase begins when the one before is complete.

    Args:
        bucket: The environment's bucket.
        plan: The plan.
        contents: For each key to upload, its source.
        alive: Called often; raises when the lock was lost.
        tell: Takes a sentence for people every few seconds.

    Returns:
        What S3 says of every key that was written, restored or found to be there.

    Raises:
        PipelineError: The first failure. What was done until then stays; a new plan continues from there.
    """
    done: dict[str, Written] = {}
    progress = _Progress(len(plan.changes), tell)
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="publish") as pool:
        for _, rows in groupby(plan.changes, key=lambda row: row.phase):
            alive()
            phase = list(rows)
            expected = {row.key: row.expected for row in phase if row.action is Action.DELETE}
            if expected:
                bucket.delete(expected.keys(), expected)
                progress.add(len(expected))
            written = [row for row in phase if row.action is not Action.DELETE]
            done |= _side_by_side(written, lambda row: pool.submit(_do, bucket, row, contents), alive, progress)
    return done


class _Progress:
    """Says how far it is, now and then."""

    def __init__(self, total: int, tell: Callable[[str], None]) -> None:
        self._total = total
        self._tell = tell
        self._done = 0
        self._told = monotonic()

    def add(self, count: int) -> None:
        self._done += count
        if monotonic() - self._told >= _TOLD_EVERY:
            self._told = monotonic()
            self._tell(f"{self._done} of {self._total} files")


def _side_by_side(
    rows: Iterable[Row],
    begin: Callable[[Row], Future[Written | None]],
    alive: Callable[[], None],
    progress: _Progress,
) -> dict[str, Written]:
    done: dict[str, Written] = {}
    left = iter(rows)
    running: dict[Future[Written | None], Row] = {}
    ended: SimpleQueue[Future[Written | None]] = SimpleQueue()  # to wait for one of sixty takes longer each time

    def begin_more(most: int) -> None:
        for row in islice(left, most):
            future = begin(row)
            running[future] = row
            future.add_done_callback(ended.put)

    try:
        begin_more(_AHEAD)
        while running:
            with suppress(Empty):
                future = ended.get(timeout=_SIGN_OF_LIFE)
                row = running.pop(future)
                if (written := future.result()) is not None:
                    done[row.key] = written
                progress.add(1)
                begin_more(1)
            alive()
    except BaseException:
        for future in running:
            future.cancel()
        wait(running)  # nothing of ours may still write once the lock is let go
        raise
    return done


def _do(bucket: Bucket, row: Row, contents: Mapping[str, Source]) -> Written | None:
    if row.action is Action.RESTORE:
        return bucket.copy(row.key, row.version, expected=row.expected)
    if row.action is not Action.ADOPT:
        return _upload(bucket, row, contents[row.key])
    return _adopt(bucket, row, contents[row.key]) if row.key in contents else None


def _upload(bucket: Bucket, row: Row, source: Source) -> Written:
    with source.opened() as content:
        return bucket.put(row.key, content, source.sha256, expected=row.expected)


def _adopt(bucket: Bucket, row: Row, source: Source) -> Written:
    written = bucket.head(row.key)
    if written is None or written.etag != row.expected:
        raise PipelineError(
            "it was changed by hand while this command ran",
            where=f"s3://{bucket.name}/{row.key}",
            mend="Run the command again.",
        )
    # One from before the bucket kept versions could not be rolled back to.
    return written if written.version != NO_VERSION else _upload(bucket, row, source)
