"""What ECR's scan says of images: by DescribeImageScanFindings, since DescribeImages knows only of older scanners."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import boto3

from pipeline.images.checks.scan import Scan
from pipeline.images.ecr import asking
from pipeline.images.image_index import DOCKER_INDEX, OCI_INDEX

if TYPE_CHECKING:
    from mypy_boto3_ecr.client import ECRClient


class EcrScan:
    """ECR's scans. One request for each image, and one more where an image is for several platforms.

    Args:
        session: Whose credentials, and the region.
        repository: Container → the name of its repository.
    """

    def __init__(self, session: boto3.Session, repository: Callable[[str], str]) -> None:
        self._ecr: ECRClient = session.client("ecr")
        self._repository = repository

    def parts(self, name: str, digest: str) -> dict[str, str]:
        """One BatchGetImage request for the index."""
        repository = self._repository(name)
        with asking(repository):
            answer = self._ecr.batch_get_image(
                repositoryName=repository,
                imageIds=[{"imageDigest": digest}],
                acceptedMediaTypes=[OCI_INDEX, DOCKER_INDEX],
            )
            members = json.loads(answer["images"][0]["imageManifest"])["manifests"]
            return {_platform(each["platform"]): str(each["digest"]) for each in members}

    def scan(self, name: str, digest: str) -> Scan:
        """One DescribeImageScanFindings request."""
        repository = self._repository(name)
        with asking(repository):
            try:
                answer = self._ecr.describe_image_scan_findings(
                    repositoryName=repository, imageId={"imageDigest": digest}
                )
            except (self._ecr.exceptions.ScanNotFoundException, self._ecr.exceptions.ImageNotFoundException):
                return Scan()
        counts = answer.get("imageScanFindings", {}).get("findingSeverityCounts", {})
        status = answer.get("imageScanStatus", {})
        return Scan(
            status.get("status", ""),
            {str(severity): count for severity, count in counts.items()},
            status.get("description", ""),
        )


def _platform(platform: Mapping[str, str]) -> str:
    return "/".join(platform[key] for key in ("os", "architecture", "variant") if platform.get(key))
