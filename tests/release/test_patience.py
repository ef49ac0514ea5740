import pytest

from pipeline.release import patience
from pipeline.release.verify import Patience


@pytest.mark.parametrize(
    ("options", "settled", "deadline"),
    [
        ({}, 75, 600),
        ({"dag_processor.min_file_process_interval": "900"}, 75 + 870, 600 + 870),
        ({"dag_processor.refresh_interval": "1200"}, 75, 600 + 900),
        ({"dag_processor.min_file_process_interval": "60", "scheduler.parsing_cleanup_interval": "120"}, 105, 690),
        ({"dag_processor.min_file_process_interval": "5", "dag_processor.refresh_interval": "10"}, 75, 600),
        ({"dag_processor.min_file_process_interval": "86400"}, 5400, 5400),
        ({"dag_processor.refresh_interval": "inf"}, 75, 5400),
        ({"dag_processor.refresh_interval": "nan"}, 75, 600),
        ({"dag_processor.min_file_process_interval": "soon", "core.parallelism": "9000"}, 75, 600),
    ],
)
def test_what_airflow_does_more_slowly_is_waited_for(options: dict[str, str], settled: int, deadline: int) -> None:
    found = patience.of(options)
    assert (found.settled, found.deadline, found.copied) == (settled, deadline, Patience().copied)
    assert bool(found.because) == (deadline > 600)


def test_the_options_that_make_it_slow_are_named() -> None:
    options = {"dag_processor.min_file_process_interval": "900", "dag_processor.refresh_interval": "20"}
    assert patience.of(options).because == "dag_processor.min_file_process_interval is 900"
