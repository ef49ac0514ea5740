"""The command against a real S3, CloudFormation, STS and ECS (moto's), counted at the server."""

from tests.release.conftest import Project


def test_a_first_sync_publishes_everything_and_records_it(project: Project) -> None:
    said = project.sync()
    pointer = project.pointer()
    assert pointer["lock"] is None
    assert said.rstrip().endswith(f"RELEASE {pointer['release']}")
    assert set(project.contents()) == {
        "dags/_release.json",
        "dags/orders.py",
        "dags/common/s3.py",
        "dags/sql/a.sql",
    }
    record = project.json(f"releases/{pointer['release']}.json")
    assert set(record["files"]) == set(project.contents())
    assert record["tasks"]["ingest"]["image"] == "registry/etl/ingest:1"
