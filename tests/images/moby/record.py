"""Record what moby's own matcher says of generated trees and patterns, for a test that has no Go.

    apt-get install golang-go golang-github-moby-patternmatcher-dev
    python -m tests.images.moby.record

The answers in `answers.json` are those of patternmatcher 0.5.0, as BuildKit's client walks a folder.
"""

import json
import os
import random
import tempfile
from pathlib import Path
from typing import Any

from pipeline.process import run

HERE = Path(__file__).parent
ANSWERS = HERE / "answers.json"
CASES = 400
NAMES = ("a", "b", "ab", "a.md", "B", "docs", ".git", "a+b", "x y", "é")
PATTERNS = ("*", "**", "a*", "*.md", "[ab]", "[^a]?*", "**b", *NAMES)
EXCEPTIONS = ("*", "**", "*.md", "a*", "[ab]", "?", *NAMES)


def files(chance: random.Random, depth: int = 0) -> list[str]:
    """Paths of a tree of three levels."""
    found = []
    for name in chance.sample(NAMES, chance.randint(1, 4)):
        if depth < 2 and chance.random() < 0.5:
            found += [f"{name}/{path}" for path in files(chance, depth + 1)]
        else:
            found.append(name)
    return sorted(found)


def patterns(chance: random.Random) -> list[str]:
    """Lines of an ignore file, as moby's reader would hand them on: much is left out, and some of it comes back."""
    found = [chance.choice(PATTERNS) for _ in range(chance.randint(1, 2))]
    for _ in range(chance.randint(1, 3)):
        is_exception = chance.random() < 0.7
        parts = [chance.choice(EXCEPTIONS if is_exception else PATTERNS) for _ in range(chance.choice((1, 2, 2, 3)))]
        found.append("!" * is_exception + "/".join(parts))
    return found


def main() -> None:
    """Ask and write."""
    chance = random.Random(22)  # noqa: S311 - the same cases each time
    cases = [{"patterns": patterns(chance), "files": files(chance)} for _ in range(CASES)]
    with tempfile.TemporaryDirectory() as folder:
        judge = str(Path(folder, "judge"))
        go = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": folder, "GOFLAGS": ""}
        run(["go", "build", "-o", judge, str(HERE / "judge.go")], env={**os.environ, **go})
        answers: list[list[str]] = json.loads(run([judge], stdin=json.dumps(cases)))
    told: list[dict[str, Any]] = [{**case, "sent": sent} for case, sent in zip(cases, answers, strict=True)]
    lines = ",\n".join(json.dumps(each, ensure_ascii=False) for each in told)
    ANSWERS.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
