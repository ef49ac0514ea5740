"""Which results of a shared process are believed: real processes, and imports that are no Airflow's."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.dagtest.worker.isolation import Limits, Tell
from pipeline.dagtest.worker.sharing import WORTH_SHARING, results

MEMORY = 1 << 30
FILES = 40


def begin(tell: Tell) -> Callable[[Path], dict[str, Any]]:
    """What a file says happens; its document says where, and after which others."""
    before: list[str] = []

    def inspect(path: Path) -> dict[str, Any]:
        said = path.read_text()
        if said in DEEDS:
            DEEDS[said](tell)
        document = {"pid": os.getpid(), "before": list(before), "error": None, "warned": said == "'warns'"}
        before.append(path.name)
        return {**document, "error": {"message": "bad"} if said == "'errs'" else None}

    return inspect


# By text they are plain, all of them: strings.
DEEDS: dict[str, Callable[[Tell], object]] = {
    "'tells'": lambda tell: tell({"kind": "network"}),
    "'prints'": lambda _: os.write(1, b"x"),
    "'ends'": lambda _: os._exit(1),
    "'sleeps'": lambda _: time.sleep(60),
    "'sets'": lambda _: os.environ.update(A="b"),
    "'inserts'": lambda _: sys.path.insert(0, "x"),
    "'goes'": lambda _: os.chdir("/"),
    "'starts'": lambda _: threading.Thread(target=time.sleep, args=(60,), daemon=True).start(),
}


def run(folder: Path, texts: dict[str, str], seconds: float = 60) -> dict[str, dict[str, Any]]:
    for name, text in texts.items():
        (folder / name).write_text(text)
    found = results([str(folder / name) for name in texts], begin, folder, Limits(2, seconds, MEMORY))
    return {Path(result["path"]).name: decoded(result) for result in found}


def decoded(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "result": json.loads(document["result"])} if "result" in document else document


def texts(**others: str) -> dict[str, str]:
    """Forty files: all but a few of them plain, and harmless."""
    names = {f"f{number:02}.py": "'fine'" for number in range(FILES)}
    return names | {f"{name}.py": text for name, text in others.items()}


def test_plain_files_share_processes_and_each_has_its_result(tmp_path: Path) -> None:
    found = run(tmp_path, texts())
    assert found.keys() == texts().keys()
    assert {result["outcome"] for result in found.values()} == {"done"}
    assert len({result["result"]["pid"] for result in found.values()}) < FILES / 2
    assert found["f01.py"]["result"]["before"] == ["f00.py"]


def test_a_file_that_is_not_plain_has_a_process_of_its_own(tmp_path: Path) -> None:
    found = run(tmp_path, texts(f07="import os\nos.environ['A'] = 'b'"))
    assert found["f07.py"]["result"]["before"] == []
    pids = [result["result"]["pid"] for result in found.values()]
    assert pids.count(found["f07.py"]["result"]["pid"]) == 1


@pytest.mark.parametrize("said", [*DEEDS, "'warns'", "'errs'"])
def test_a_file_that_leaves_a_trace_is_done_again_by_itself_and_no_other_comes_after_it(
    tmp_path: Path, said: str
) -> None:
    found = run(tmp_path, texts(f02=said), seconds=1)
    assert found.keys() == texts().keys()
    outcomes = {name: result["outcome"] for name, result in found.items() if result["outcome"] != "done"}
    assert outcomes == {"'ends'": {"f02.py": "ended"}, "'sleeps'": {"f02.py": "timed out"}}.get(said, {})
    before = {name: result["result"]["before"] for name, result in found.items() if "result" in result}
    assert before.get("f02.py", []) == []
    assert "f02.py" not in {name for names in before.values() for name in names}
    assert found["f02.py"]["events"] == ([{"kind": "network"}] if said == "'tells'" else [])
    assert found["f02.py"]["printed"].startswith("x" if said == "'prints'" else "")
    printing = ("'prints'", "'sleeps'")  # what is printed is nobody's in a group; one that takes too long says where
    assert before["f01.py"] == ([] if said in printing else ["f00.py"])
    assert before["f39.py"] != []


def test_one_in_seven_that_leaves_a_trace_costs_the_others_nothing(tmp_path: Path) -> None:
    others = {f"f{number:02}": "'warns'" for number in range(3, FILES, 7)}
    found = run(tmp_path, texts(**others))
    for name, result in found.items():
        assert result["result"]["warned"] is (name.removesuffix(".py") in others)
        assert not {before.removesuffix(".py") for before in result["result"]["before"]} & others.keys()
    processes = {result["result"]["pid"] for result in found.values()}
    assert len(processes) < FILES / 2


def test_one_that_prints_costs_those_of_other_groups_nothing(tmp_path: Path) -> None:
    found = run(tmp_path, texts(f21="'prints'"))
    assert found["f21.py"]["result"]["before"] == []
    assert {name for name, result in found.items() if result["printed"]} == {"f21.py"}
    assert len({result["result"]["pid"] for result in found.values()}) < FILES / 2


def test_where_every_file_leaves_a_trace_sharing_is_given_up(tmp_path: Path) -> None:
    found = run(tmp_path, dict.fromkeys(texts(), "'warns'"))
    assert found.keys() == texts().keys()
    assert len({result["result"]["pid"] for result in found.values()}) == FILES


def test_few_files_share_nothing(tmp_path: Path) -> None:
    found = run(tmp_path, {f"f{number}.py": "'fine'" for number in range(WORTH_SHARING - 1)})
    assert {tuple(result["result"]["before"]) for result in found.values()} == {()}


def test_the_teams_modules_are_imported_anew_for_each_file(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "helper.py").write_text("")
    code = f"import sys\nif {str(tmp_path)!r} not in sys.path: sys.path.append({str(tmp_path)!r})\n"

    def importing(_: Tell) -> Callable[[Path], dict[str, Any]]:
        exec(code)  # noqa: S102 - our own
        return lambda _: {
            "there": "package.helper" in sys.modules or "package" in sys.modules,
            "imported": bool(__import__("package.helper")),
            "error": None,
            "warned": False,
        }

    for name in texts():
        (tmp_path / name).write_text("import package.helper")
    found = list(results([str(tmp_path / name) for name in texts()], importing, tmp_path, Limits(2, 10, MEMORY)))
    assert [decoded(result)["result"]["there"] for result in found] == [False] * FILES


def test_when_the_budget_is_used_up_the_rest_is_not_begun(tmp_path: Path) -> None:
    for name, text in texts(f02="'sleeps'", f20="'sleeps'").items():
        (tmp_path / name).write_text(text)
    limits = Limits(1, seconds=60, memory=MEMORY, budget=1)
    started = time.monotonic()
    found = list(results([str(tmp_path / name) for name in texts()], begin, tmp_path, limits))
    assert time.monotonic() - started < 5
    assert {result["outcome"] for result in found} == {"not begun"}
    assert {Path(result["path"]).name for result in found} == texts().keys()
