"""Keeping a dossier where an approval can link to it."""

from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    import boto3

_TYPES = {".html": "text/html; charset=utf-8", ".json": "application/json"}
_LONGEST_LINK = 7 * 24 * 3600  # seconds a signed link can last (S3 user guide)


def keep(session: "boto3.Session", place: str, name: str, content: bytes) -> str:
    """Store a file below `s3://BUCKET/PREFIX` and give a link to it for people.

    On AWS the link leads to the object in the console: it lasts, and asks for the reader's own rights. At another
    endpoint, which has no console, it is a signed one.

    Raises:
        PipelineError: The place is no S3 address, or S3 refuses.
    """
    where = urlsplit(place)
    if where.scheme != "s3" or not where.netloc:
        raise PipelineError(f"{place!r} is no place in S3; expected s3://BUCKET/PREFIX")
    bucket, key = where.netloc, str(PurePosixPath(where.path.strip("/"), name))
    s3 = session.client("s3")
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType=_TYPES[PurePosixPath(name).suffix])
    except (ClientError, BotoCoreError) as error:
        raise PipelineError(
            f"the dossier cannot be stored: {error}",
            where=f"s3://{bucket}/{key}",
            mend="The step that writes it needs s3:PutObject there, and kms:GenerateDataKey for the bucket's key.",
        ) from None
    host = urlsplit(s3.meta.endpoint_url).hostname or ""
    if host.endswith(("amazonaws.com", "amazonaws.com.cn")):
        region = s3.meta.region_name
        return f"https://{region}.console.aws.amazon.com/s3/object/{bucket}?region={region}&prefix={quote(key)}"
    return s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}, ExpiresIn=_LONGEST_LINK)
