import csv
import io
import json

import duckdb
import pytest
from databucket.bucket import MemoryBucket
from databucket.command import BAD_DATA, DONE, WRONG_USAGE, run
from transform.__main__ import parser, transform

RAW = "raw/orders/2026-01-02.csv"
HEADER = "order_id,line,ordered_at,customer_id,country,sku,category,quantity,unit_price_eur\n"
GOOD = "2026-01-02-0001,{line},2026-01-02T06:14:58Z,C00002,NL,TEA-SENCHA-100,tea,2,8.40\n"
BAD = "2026-01-02-0002,1,2026-01-02T06:25:57Z,C00207,SE,,kitchen,1,32.50\n"


def export(good: int, bad: int = 0) -> bytes:
    return (HEADER + "".join(GOOD.format(line=line) for line in range(1, good + 1)) + BAD * bad).encode()


def call(bucket: MemoryBucket, *arguments: str) -> int:
    return run(parser(), transform, [*arguments, "--day", "2026-01-02"], bucket)


def read_csv(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_good_rows_pass_and_bad_rows_are_kept_with_the_reason():
    bucket = MemoryBucket({RAW: export(19, bad=1)})
    assert call(bucket, "validate") == DONE
    assert len(read_csv(bucket.objects["valid/orders/2026-01-02.csv"])) == 19
    (rejected,) = read_csv(bucket.objects["rejected/orders/2026-01-02.csv"])
    assert (rejected["row"], rejected["wrong"], rejected["order_id"]) == ("21", "sku is missing", "2026-01-02-0002")
    quality = json.loads(bucket.objects["quality/orders/2026-01-02.json"])
    assert quality == {"day": "2026-01-02", "rows": 20, "valid": 19, "rejected": 1}


def test_too_many_bad_rows_fail_the_day_and_are_there_to_look_at(caplog):
    bucket = MemoryBucket({RAW: export(4, bad=1)})
    assert call(bucket, "validate") == BAD_DATA
    assert "1 of 5 rows of raw/orders/2026-01-02.csv are bad (20%, tolerated are 10%)" in caplog.text
    assert "row 6: sku is missing" in caplog.text
    assert "rejected/orders/2026-01-02.csv" in bucket.objects
    assert call(bucket, "validate", "--tolerate", "0.2") == DONE


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "has the columns"),
        (b"a,b\n1,2\n", "has the columns ['a', 'b']"),
        (HEADER.encode(), "has no good row"),
        (HEADER.encode() + b"\xff\xfe", "no CSV in UTF-8"),
    ],
    ids=["empty", "other columns", "no rows", "not utf-8"],
)
def test_a_file_that_is_no_export_is_bad_data(caplog, content, says):
    assert call(MemoryBucket({RAW: content}), "validate") == BAD_DATA
    assert says in caplog.text


def test_a_row_with_a_value_too_many_is_still_written():
    bucket = MemoryBucket({RAW: export(1).replace(b"8.40\n", b"8.40,more\n")})
    assert call(bucket, "validate") == DONE
    assert len(read_csv(bucket.objects["valid/orders/2026-01-02.csv"])) == 1


def test_valid_rows_become_a_typed_partition(tmp_path):
    bucket = MemoryBucket({RAW: export(3)})
    assert call(bucket, "validate") == DONE
    assert call(bucket, "parquet") == DONE
    path = tmp_path / "orders.parquet"
    path.write_bytes(bucket.objects["tables/orders/day=2026-01-02/orders.parquet"])
    with duckdb.connect() as database:
        described = database.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
        total = database.execute("SELECT sum(amount_eur) FROM read_parquet(?)", [str(path)]).fetchone()
    assert {column[0]: column[1] for column in described} == {
        "order_id": "VARCHAR",
        "line": "INTEGER",
        "ordered_at": "TIMESTAMP WITH TIME ZONE",
        "customer_id": "VARCHAR",
        "country": "VARCHAR",
        "sku": "VARCHAR",
        "category": "VARCHAR",
        "quantity": "INTEGER",
        "unit_price_eur": "DECIMAL(12,2)",
        "amount_eur": "DECIMAL(12,2)",
    }
    assert str(total[0]) == "50.40"


def test_a_day_done_again_replaces_the_same_objects_with_the_same_content():
    bucket = MemoryBucket({RAW: export(3)})
    for _ in range(2):
        assert call(bucket, "validate") == DONE
        assert call(bucket, "parquet") == DONE
        once, bucket = bucket, MemoryBucket(bucket.objects)
    assert bucket.objects == once.objects


def test_rows_that_were_never_validated_do_not_enter_the_table(caplog):
    bucket = MemoryBucket({"valid/orders/2026-01-02.csv": export(1).replace(b"8.40", b"n/a")})
    assert call(bucket, "parquet") == BAD_DATA
    assert "do not fit the table" in caplog.text
    assert list(bucket.objects) == ["valid/orders/2026-01-02.csv"]


def test_a_step_before_its_data_is_there_says_so(caplog):
    assert call(MemoryBucket(), "parquet") == BAD_DATA
    assert "valid/orders/2026-01-02.csv" in caplog.text


def test_a_share_above_one_is_wrong_usage(capsys):
    with pytest.raises(SystemExit) as stop:
        call(MemoryBucket(), "validate", "--tolerate", "10")
    assert stop.value.code == WRONG_USAGE
    assert "expected a number from 0 to 1" in capsys.readouterr().err
