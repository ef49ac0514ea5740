"""Take a job, import every DAG file in a process of its own, print what was found."""

import json
import sys
from pathlib import Path

# Started by its folder's path, this folder is on sys.path; its modules are imported by their full name instead, so that
# a DAG's `import isolation` cannot find ours.
sys.path[0] = str(Path(__file__).resolve().parents[3])

from pipeline.dagtest.worker import inspection  # noqa: E402
from pipeline.dagtest.worker.isolation import in_processes  # noqa: E402


def main() -> None:
    """Run the job that the one argument names; results go to standard output as they come."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    dag_folder = Path(job["dag_folder"])
    inspection.prepare(dag_folder)
    files = [str(file) for path in job["paths"] for file in inspection.dag_files(Path(path))]
    # Python tells bytecode to be stale by second and size: good enough for packages, not for files being edited.
    sys.dont_write_bytecode = True
    # What we are made of is no business of the DAGs.
    del sys.path[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == "pipeline"]:
        del sys.modules[name]
    for result in in_processes(
        list(dict.fromkeys(files)),
        lambda path: inspection.inspect(Path(path), dag_folder),
        processes=job["processes"],
        seconds=job["seconds"],
        memory=job["memory"],
    ):
        print(json.dumps(result), flush=True)  # noqa: T201 - the answer


main()
