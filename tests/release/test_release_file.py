import json
from dataclasses import replace

from pipeline.release import release_file
from tests.release.values import ARN, deployment


def test_it_says_all_a_dag_helper_needs_to_start_a_container() -> None:
    assert json.loads(release_file.content(deployment("b"))) == {
        "format": 1,
        "environment": "dev",
        "region": "eu-west-1",
        "cluster": "etl-dev",
        "subnets": ["subnet-1", "subnet-2"],
        "security_groups": ["sg-1"],
        "data_bucket": "data",
        "containers": {
            "ingest": {
                "task_definition": ARN.format(1),
                "container": "ingest",
                "log_group": "/etl/dev",
                "log_stream_prefix": "ingest",
            }
        },
    }


def test_the_order_in_which_stacks_list_containers_does_not_change_it() -> None:
    one = replace(deployment("b"), task_definitions={"a": ARN.format(1), "b": ARN.format(2)})
    other = replace(deployment("b"), task_definitions={"b": ARN.format(2), "a": ARN.format(1)})
    assert release_file.content(one) == release_file.content(other)


def test_a_new_revision_changes_it() -> None:
    assert release_file.content(deployment("b", 1)) != release_file.content(deployment("b", 2))
