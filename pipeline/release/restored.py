"""The texts of the files that a rollback brings back, read from the bucket, to know them again in Airflow."""

from concurrent.futures import ThreadPoolExecutor

from pipeline.release.bucket import Bucket
from pipeline.release.imports import imports_of
from pipeline.release.plan import Action, Plan
from pipeline.release.record import ReleaseRecord
from pipeline.release.s3 import PARALLEL
from pipeline.release.tree import DAGS_PREFIX, NO_TREE, Tree, generated
from pipeline.release.verify import SOURCES_READ

_IGNORES = "/.airflowignore"


def read(bucket: Bucket, plan: Plan, target: ReleaseRecord) -> Tree:
    """Every Python file that is restored, with the imports among them, and what the target has Airflow ignore.

    Of more files than Airflow is asked about later, none is read. A request each, side by side.

    Raises:
        PipelineError: The bucket refuses.
    """
    back = [row.key for row in plan.rows if row.action is Action.RESTORE and row.key.endswith(".py")]
    if len(back) > SOURCES_READ:
        return NO_TREE
    wanted = [*back, *(key for key in target.files if key.endswith(_IGNORES))]
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="restored") as pool:
        stored = list(pool.map(lambda key: bucket.get(key, target.files[key].version), wanted))
    contents = {key: found.content for key, found in zip(wanted, stored, strict=True) if found is not None}
    python = {key.removeprefix(DAGS_PREFIX): contents[key] for key in back if key in contents}
    return Tree({key: generated(key, content) for key, content in contents.items()}, {}, imports_of(python))
