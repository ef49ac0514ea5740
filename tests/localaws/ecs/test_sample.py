"""The sample project's containers, built by `pipeline images build` and run on Fargate: the right numbers come out."""

import csv
import json
import os
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from docker import DockerClient

from pipeline.localaws.machine.base_images import BaseImages
from pipeline.localaws.machine.engine import Engine
from tests.localaws.ecs.test_operator import release_file
from tests.localaws.ecs.whole_airflow import until, whole_airflow
from tests.localaws.ecs.world import World, open_world

pytestmark = pytest.mark.docker
ROOT = Path(__file__).resolve().parents[3]
CONTAINERS = ROOT / "containers"
TASKS = ("ingest", "transform", "report")
DAYS = ("2026-01-02", "2026-01-03", "2026-01-06")
COUNTRIES = {"DE", "FR", "IE", "NL", "PL", "SE"}


@pytest.fixture(scope="module")
def sample(
    engine: DockerClient, docker_engine: Engine, base_images: BaseImages, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[World, dict[str, str]]]:
    """A world with a data bucket, and a task definition for each container of the project."""
    folder = tmp_path_factory.mktemp("sample")
    world = open_world(folder / "local", engine)
    try:
        world.region.client("s3").create_bucket(
            Bucket=world.data, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        for name in ("base", *TASKS):
            world.region.client("ecr").create_repository(repositoryName=f"etl/{name}")
        base_images.ensure({"Dockerfile": (CONTAINERS / "base/Dockerfile").read_text()})
        built = _build(world, docker_engine.host, folder)
        yield world, {name: _register(world, name, built[name]) for name in TASKS}
    finally:
        world.server.stop()


def _build(world: World, docker_host: str, folder: Path) -> dict[str, str]:
    """Container → its tag."""
    images = folder / "images.json"
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("pipeline")), "images", "build", "--images-file", str(images)),
            *("--sbom-folder", str(folder / "sbom")),
        ],
        cwd=ROOT,
        env={**os.environ, **world.region.environment(), "DOCKER_HOST": docker_host},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {entry["name"]: entry["tag"] for entry in json.loads(images.read_text())}


def _register(world: World, name: str, tag: str) -> str:
    declared = tomllib.loads((CONTAINERS / name / "container.toml").read_text())
    container = {
        "name": name,
        "image": f"{world.region.account}.dkr.ecr.eu-west-1.amazonaws.com/etl/{name}:{tag}",
        "environment": [{"name": "DATA_BUCKET", "value": world.data}],
    }
    return world.register(container, cpu=str(declared.get("cpu", 256)), memory=str(declared.get("memory", 512)))


def _is_good(row: dict[str, str], day: str, seen: set[tuple[str, str]]) -> bool:
    """What the README of the data says is wrong, written once more."""
    try:
        amount, quantity = Decimal(row["unit_price_eur"]), int(row["quantity"])
    except (InvalidOperation, ValueError):
        return False
    key = (row["order_id"], row["line"])
    twice = key in seen
    seen.add(key)
    complete = all(row.values()) and row["ordered_at"].startswith(day) and row["country"] in COUNTRIES
    return complete and amount > 0 and quantity > 0 and not twice


def _good_rows(day: str) -> list[dict[str, str]]:
    seen: set[tuple[str, str]] = set()
    with (CONTAINERS / f"ingest/data/{day}.csv").open() as file:
        return [row for row in csv.DictReader(file) if _is_good(row, day, seen)]


def _amount(rows: list[dict[str, str]]) -> Decimal:
    return sum((int(row["quantity"]) * Decimal(row["unit_price_eur"]) for row in rows), Decimal(0))


def _run(world: World, definition: str, name: str, *command: str) -> list[str]:
    overrides = {"containerOverrides": [{"name": name, "command": list(command)}]}
    task = world.run(definition, overrides=overrides)
    lines = world.log(task["taskArn"], name)
    assert task["containers"][0].get("exitCode") == 0, (task["stoppedReason"], lines)
    assert task["containers"][0]["imageDigest"].startswith("sha256:")
    return lines


def test_days_become_a_table_and_reports_with_the_right_numbers(sample: tuple[World, dict[str, str]]) -> None:
    world, definitions = sample

    def stored(key: str) -> bytes:
        body: bytes = world.region.client("s3").get_object(Bucket=world.data, Key=key)["Body"].read()
        return body

    for day in DAYS:
        _run(world, definitions["ingest"], "ingest", "--day", day)
        validated = _run(world, definitions["transform"], "transform", "validate", "--day", day)
        assert f"{len(_good_rows(day))} of " in validated[-1]
        _run(world, definitions["transform"], "transform", "parquet", "--day", day)
        _run(world, definitions["report"], "report", "publish", "--day", day)
        good = _good_rows(day)
        assert stored(f"tables/orders/day={day}/orders.parquet").startswith(b"PAR1")
        report: dict[str, Any] = json.loads(stored(f"reports/daily/{day}.json"))
        total = sum(1 for _ in (CONTAINERS / f"ingest/data/{day}.csv").open()) - 1
        assert report["orders"] == len({row["order_id"] for row in good})
        assert report["customers"] == len({row["customer_id"] for row in good})
        assert report["articles"] == sum(int(row["quantity"]) for row in good)
        assert Decimal(report["amount_eur"]) == _amount(good)
        assert report["rejected_rows"] == total - len(good)
    _run(world, definitions["report"], "report", "sales")
    sales = json.loads(stored("reports/sales.json"))
    assert {each["day"]: Decimal(each["amount_eur"]) for each in sales["days"]} == {
        day: _amount(_good_rows(day)) for day in DAYS
    }
    by_country: dict[str, list[dict[str, str]]] = defaultdict(list)
    for day in DAYS:
        for row in _good_rows(day):
            by_country[row["country"]].append(row)
    assert {each["country"]: Decimal(each["amount_eur"]) for each in sales["countries"]} == {
        country: _amount(rows) for country, rows in by_country.items()
    }


def test_a_step_whose_data_is_not_there_fails_with_a_sentence(sample: tuple[World, dict[str, str]]) -> None:
    world, definitions = sample
    overrides = {"containerOverrides": [{"name": "transform", "command": ["parquet", "--day", "2026-01-14"]}]}
    task = world.run(definitions["transform"], overrides=overrides)
    assert task["containers"][0]["exitCode"] == 1
    assert "has the step before this one run?" in world.log(task["taskArn"], "transform")[-1]


@pytest.mark.airflow
def test_airflow_loads_a_day_and_the_report_follows_by_itself(
    sample: tuple[World, dict[str, str]], tmp_path: Path
) -> None:
    world, definitions = sample
    dags = tmp_path / "dags"
    copytree(ROOT / "dags", dags)
    (dags / "_release.json").write_text(json.dumps(release_file(world, definitions)))
    day = "2026-01-05"
    with whole_airflow(tmp_path, dags, world.region.environment(), "orders_backfill") as airflow:
        airflow.unpause("orders_report")
        run = airflow.start("orders_backfill", first=day, last=day)
        ended = until(lambda: (state := airflow.runs("orders_backfill")[run]) in ("success", "failed") and state, 480)
        assert ended == "success", airflow.states("orders_backfill", run)
        report = until(lambda: airflow.runs("orders_report"), 240)
        (followed,) = report
        until(lambda: airflow.runs("orders_report")[followed] == "success", 240)
        published = until(lambda: airflow.log("orders_backfill", run, "load.publish", map_index=0), 240)
    good = _good_rows(day)
    assert f"{len({row['order_id'] for row in good})} orders, {_amount(good)} EUR" in published
    s3 = world.region.client("s3")
    daily = json.loads(s3.get_object(Bucket=world.data, Key=f"reports/daily/{day}.json")["Body"].read())
    assert Decimal(daily["amount_eur"]) == _amount(good)
    sales = json.loads(s3.get_object(Bucket=world.data, Key="reports/sales.json")["Body"].read())
    assert day in {each["day"] for each in sales["days"]}
