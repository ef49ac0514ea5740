"""Image references as templates write them, and as the Docker engine of this machine can reach them."""

import re

from pipeline.localaws.region import LocalRegion

_ECR = re.compile(r"\d{12}\.dkr\.ecr(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?/(?P<image>.+)")


def registry_host(region: LocalRegion) -> str:
    """HOST:PORT of the registry, as in `docker login HOST:PORT`."""
    return region.endpoint.partition("://")[2].rstrip("/")


def image_reference(uri: str, region: LocalRegion) -> str:
    """What the local engine can pull for an image a task definition names.

    | written | pulled |
    | --- | --- |
    | `ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG` or `…@DIGEST` | `127.0.0.1:PORT/NAME:TAG`, `…@DIGEST` |
    | anything else | the same |
    """
    ours = _ECR.fullmatch(uri)
    return f"{registry_host(region)}/{ours['image']}" if ours else uri
