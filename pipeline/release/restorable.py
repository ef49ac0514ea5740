"""Whether everything that a plan restores is still in the bucket: S3 may have been told to let old versions expire."""

from concurrent.futures import ThreadPoolExecutor

from pipeline.errors import PipelineError
from pipeline.release.bucket import Bucket
from pipeline.release.plan import Action, Plan
from pipeline.release.record import ReleaseRecord
from pipeline.release.s3 import PARALLEL


def check(bucket: Bucket, target: ReleaseRecord, plan: Plan) -> None:
    """Look for every version that is to be restored: a request each, side by side, and none for what stays.

    Found out before anything is written: half of a release beside half of another is worse than either.

    Raises:
        PipelineError: One is gone; the file and the release are named.
    """
    wanted = [(row.key, row.version) for row in plan.rows if row.action is Action.RESTORE]
    wanted += [(target.parts[row.name].key, row.version) for row in plan.parts if row.action is Action.RESTORE]
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="restorable") as pool:
        found = pool.map(lambda each: bucket.head(*each), wanted)
        gone = [key for (key, _), there in zip(wanted, found, strict=True) if there is None]
    if gone:
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        raise PipelineError(
            f"{gone[0]}{more} of the release {target.id} has expired in the bucket, so it cannot be restored",
            where=f"s3://{bucket.name}",
            mend=f"Deploy its commit again: git checkout {target.commit}, then `pipeline sync {target.environment}`.",
        )
