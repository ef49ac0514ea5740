"""Print which files of a folder are no Python, as JSON: file → what Python says of it. Run by Airflow's Python."""

import ast
import json
import sys
from pathlib import Path


def refused(folder: Path) -> dict[str, str]:
    """File, from the folder → `:LINE: reason`, for each that Python does not parse."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        try:
            ast.parse(path.read_bytes(), filename=str(path))
        except (SyntaxError, ValueError, OSError, RecursionError, MemoryError) as error:
            line = getattr(error, "lineno", None)
            reason = getattr(error, "msg", None) or str(error) or type(error).__name__
            found[str(path.relative_to(folder))] = f":{line}: {reason}" if line else f": {reason}"
    return found


if __name__ == "__main__":
    print(json.dumps(refused(Path(sys.argv[1]))))  # noqa: T201 - the answer
