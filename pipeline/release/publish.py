"""Carrying out a plan's rows: uploads, restorations and deletions, phase by phase."""

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import groupby

from pipeline.errors import PipelineError
from pipeline.release.bucket import Bucket, Written
from pipeline.release.plan import Action, Plan, Row
from pipeline.release.s3 import PARALLEL
from pipeline.release.tree import Source

_SIGN_OF_LIFE = 2.0  # seconds between looks at the lock while S3 is slow


def publish(
    bucket: Bucket, plan: Plan, contents: Mapping[str, Source], alive: Callable[[], None]
) -> dict[str, Written]:
    """Do the rows of a plan. A phase begins when the one before is complete.

    Args:
        bucket: The environment's bucket.
        plan: The plan.
        contents: For each key to upload, its source.
        alive: Called often; raises when the lock was lost.

    Returns:
        What S3 says of every key that was written, restored or found to be there.

    Raises:
        PipelineError: The first failure. What was done until then stays; a new plan continues from there.
    """
    done: dict[str, Written] = {}
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="publish") as pool:
        for _, rows in groupby(plan.changes, key=lambda row: row.phase):
            alive()
            phase = list(rows)
            expected = {row.key: row.expected for row in phase if row.action is Action.DELETE}
            if expected:
                bucket.delete(expected.keys(), expected)
            done |= _side_by_side(
                pool, bucket, [row for row in phase if row.action is not Action.DELETE], contents, alive
            )
    return done


def _side_by_side(
    pool: ThreadPoolExecutor,
    bucket: Bucket,
    rows: list[Row],
    contents: Mapping[str, Source],
    alive: Callable[[], None],
) -> dict[str, Written]:
    running: dict[Future[Written | None], Row] = {pool.submit(_do, bucket, row, contents): row for row in rows}
    done: dict[str, Written] = {}
    waiting = set(running)
    try:
        while waiting:
            finished, waiting = wait(waiting, timeout=_SIGN_OF_LIFE, return_when=FIRST_COMPLETED)
            for future in finished:
                if (written := future.result()) is not None:
                    done[running[future].key] = written
            alive()
    except BaseException:
        for future in waiting:
            future.cancel()
        wait(waiting)  # nothing of ours may still write once the lock is let go
        raise
    return done


def _do(bucket: Bucket, row: Row, contents: Mapping[str, Source]) -> Written | None:
    if row.action is Action.RESTORE:
        return bucket.copy(row.key, row.version, expected=row.expected)
    if row.action is Action.ADOPT:
        return _adopt(bucket, row) if row.key in contents else None
    source = contents[row.key]
    with source.opened() as content:
        return bucket.put(row.key, content, source.sha256, expected=row.expected)


def _adopt(bucket: Bucket, row: Row) -> Written:
    written = bucket.head(row.key)
    if written is None or written.etag != row.expected:
        raise PipelineError(
            "it was changed by hand while this command ran",
            where=f"s3://{bucket.name}/{row.key}",
            mend="Run the command again.",
        )
    return written
