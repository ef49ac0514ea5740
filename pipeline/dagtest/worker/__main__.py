"""Take a job, import every DAG file, tell what was found."""

import gc
import json
import os
import signal
import sys
from pathlib import Path

gc.disable()  # importing Airflow makes much and drops nothing: a quarter of the time would go into looking

# Started by its folder's path, this folder is on sys.path; its modules are imported by their full name instead, so that
# a DAG's `import isolation` cannot find ours.
sys.path[0] = str(Path(__file__).resolve().parents[3])

from pipeline.dagtest.worker import modules, plain  # noqa: E402 - found by the path above
from pipeline.dagtest.worker.ahead import read_ahead  # noqa: E402 - as above
from pipeline.dagtest.worker.isolation import Limits, Tell  # noqa: E402 - as above
from pipeline.dagtest.worker.later import imported_later, models_built_later  # noqa: E402 - as above
from pipeline.dagtest.worker.source import SourceLines  # noqa: E402 - as above


def main() -> None:
    """Run the job that the one argument names; results go to standard output as they come."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the processes of the files are ended, too
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    tell = _answers()
    dags, scratch = Path(job["dag_folder"]), Path(job["scratch"])
    folders = modules.module_folders(dags)

    def look_at(file: Path) -> None:
        """All that is asked of a file's text."""
        plain.by_itself(file, folders)
        modules.imported(file)
        modules.demanded(file)
        SourceLines.of(file)

    reading = read_ahead(job["paths"], set(job["known"]), look_at, scratch, job["memory"])
    with reading, imported_later("libcst", "CSTTransformer"), models_built_later():
        from pipeline.dagtest.worker import inspection, listing, sharing  # noqa: PLC0415 - imports Airflow, for a second
    home, environment, project = (Path(job[name]) for name in ("home", "environment", "project"))
    folder = inspection.Folder(dags, home, environment, scratch, project, job["deny"])
    try:
        listed = [str(file) for path in job["paths"] for file in listing.dag_files(Path(path), dags)]
    except RuntimeError as error:  # links that lead in a circle
        tell({"refused": str(error)})
        return
    # On MWAA the plugins are elsewhere.
    files = [file for file in dict.fromkeys(listed) if not Path(file).is_relative_to(dags / "plugins")]
    tell({"files": files})
    known = set(job["known"])
    wanted = [file for file in files if file not in known]
    inspection.prepare(folder, wanted)
    # What we are made of is no business of the DAGs.
    del sys.path[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == "pipeline"]:
        del sys.modules[name]
    gc.freeze()  # the forks share what is here, and need not write to it to look for garbage

    def begin(notice: Tell) -> sharing.Inspect:
        return inspection.Inspector(folder, notice).inspect

    limits = Limits(job["processes"], job["seconds"], job["memory"], job["budget"])
    for result in sharing.results(wanted, begin, dags, limits):
        tell(result)
    sys.stdout.flush()
    os._exit(0)  # taking Airflow apart, object by object, would take a tenth of a second


def _answers() -> Tell:
    """Tells over our standard output, which from here on is ours alone: what plugins print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    os.register_at_fork(after_in_child=answers.close)  # empty, and closed once: no DAG file tells for others

    def tell(document: dict[str, object]) -> None:
        answers.write(f"{json.dumps(document)}\n")
        answers.flush()

    return tell


main()
