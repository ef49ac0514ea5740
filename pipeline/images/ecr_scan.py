"""What ECR's scan says of images: by DescribeImageScanFindings, since DescribeImages knows only of older scanners."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from pipeline.errors import PipelineError
from pipeline.images.checks.scan import BusyError, Scan
from pipeline.images.ecr import asking
from pipeline.images.image_index import DOCKER_INDEX, OCI_INDEX

if TYPE_CHECKING:
    from mypy_boto3_ecr.client import ECRClient

# Of an enhanced scan ECR asks Amazon Inspector, with the rights of whoever asks ECR (ECR user guide, "IAM permissions
# required for enhanced scanning").
RIGHTS = (
    "Whoever builds images needs ecr:DescribeImageScanFindings and ecr:BatchGetImage; with enhanced scanning "
    "inspector2:ListFindings and inspector2:ListCoverage, too. The pipeline's own role has them."
)
_TOO_MANY_REQUESTS, _ITS_OWN_FAULT = 429, 500


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
        with _asking(repository):
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
        with _asking(repository):
            try:
                answer = self._ecr.describe_image_scan_findings(
                    repositoryName=repository, imageId={"imageDigest": digest}
                )
            except (self._ecr.exceptions.ScanNotFoundException, self._ecr.exceptions.ImageNotFoundException):
                return Scan()
        found = answer.get("imageScanFindings", {})
        status = answer.get("imageScanStatus", {})
        return Scan(
            _status(status.get("status", ""), status.get("description", "")),
            {str(severity): count for severity, count in found.get("findingSeverityCounts", {}).items()},
            status.get("description", ""),
            # Until Inspector has answered there is neither, only `"findings": []` (aws-cli issue 6759).
            result="imageScanCompletedAt" in found or "findingSeverityCounts" in found,
        )


def _status(status: str, description: str) -> str:
    """Of a system that it does not know, such as scratch, ECR's basic scan says that it failed; it always will."""
    unsupported = status == "FAILED" and description.startswith("UnsupportedImageError")
    return "UNSUPPORTED_IMAGE" if unsupported else status


@contextmanager
def _asking(repository: str) -> Iterator[None]:
    """As `asking`, but what is refused has its own mend.

    | refused | told |
    | --- | --- |
    | AccessDenied… | the rights that it takes |
    | throttled, or a fault of the registry's own | that it is busy |
    | anything else | as `asking` has it |
    """
    with asking(repository):
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            http = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            what = f"the registry refuses: {error}"
            if "AccessDenied" in code:
                raise PipelineError(what, where=repository, mend=RIGHTS) from None
            if "Throttl" in code or http == _TOO_MANY_REQUESTS or http >= _ITS_OWN_FAULT:
                raise BusyError(what, where=repository) from None
            raise


def _platform(platform: Mapping[str, str]) -> str:
    return "/".join(platform[key] for key in ("os", "architecture", "variant") if platform.get(key))
