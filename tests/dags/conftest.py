"""The DAGs, loaded once as Airflow loads them."""

from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

DAGS = Path(__file__).resolve().parents[2] / "dags"


@pytest.fixture(scope="session")
def dags():
    bag = DagBag(DAGS, load_op_links=False, bundle_name="dags")
    assert not bag.import_errors
    return bag.dags
