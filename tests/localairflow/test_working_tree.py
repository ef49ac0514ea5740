"""A bucket that follows the files as they are edited."""

from pathlib import Path

import pytest

from pipeline.localairflow.working_tree import Difference, WorkingTree, difference
from pipeline.release.tree import gather
from pipeline.settings import Settings, parse
from tests.localaws.conftest import Serve, serve

__all__ = ["serve"]


def settings(name: str) -> Settings:
    return parse({
        "name": name,
        "region": "eu-west-1",
        "repository": name,
        "airflow": {"version": "3.3.1"},
        "environments": {"dev": {"airflow_class": "mw1.micro"}},
    })  # fmt: skip


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "orders.py").write_text("import helper\n")
    (folder / "helper.py").write_text("")
    (folder / "requirements.txt").write_text("# nothing\n")
    return folder


def test_the_first_look_sends_helpers_before_what_imports_them(dags: Path) -> None:
    assert difference({}, gather(dags)) == Difference(("dags/helper.py", "dags/orders.py"), (), ("requirements",))


def test_a_look_at_what_was_sent_already_sends_nothing(dags: Path) -> None:
    tree = gather(dags)
    sent = {source.key: source.sha256 for source in [*tree.files.values(), *tree.parts.values()]}
    assert not difference(sent, tree)


def test_a_file_that_went_is_deleted_but_requirements_stay_as_they_were(dags: Path) -> None:
    tree = gather(dags)
    sent = {source.key: source.sha256 for source in [*tree.files.values(), *tree.parts.values()]}
    (dags / "orders.py").unlink()
    (dags / "requirements.txt").unlink()
    assert difference(sent, gather(dags)) == Difference((), ("dags/orders.py",), ())


def test_the_bucket_follows_every_edit(serve: Serve, dags: Path) -> None:
    region = serve()
    told: list[str] = []
    tree = WorkingTree(region, settings("followed"), dags.parent, told.append)
    tree._make_bucket()
    tree._make_bucket()
    (dags / "requirements.txt").unlink()
    assert tree.look()
    assert not tree.look()
    (dags / "orders.py").write_text("import helper  # again\n")
    (dags / "helper.py").unlink()
    assert tree.look()
    found = region.client("s3").list_objects_v2(Bucket=tree.bucket)["Contents"]
    assert [item["Key"] for item in found] == ["dags/orders.py"]
    assert told == ["dags/helper.py sent", "dags/orders.py sent", "dags/orders.py sent", "dags/helper.py deleted"]
