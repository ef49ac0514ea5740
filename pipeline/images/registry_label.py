"""A label of an image in the registry, by the registry's own protocol: ECR's API has no shorter way to one."""

import json
import ssl
import urllib.request
from http.client import HTTPException
from typing import Any

import botocore.session

from pipeline.errors import PipelineError
from pipeline.images.image_index import DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from pipeline.images.registry import Login

SECONDS = 30
_ACCEPTED = f"{OCI_INDEX}, {DOCKER_INDEX}, {OCI_MANIFEST}, {DOCKER_MANIFEST}"


def image_label(login: Login, repository: str, tag: str, name: str) -> str:
    """A label's value, "" when the image has none: manifest, of an index its first image's, then configuration.

    Raises:
        PipelineError: The registry does not answer, or not as the distribution specification has it.
    """
    try:
        trusted = _trusted()
        manifest = _get(login, repository, f"manifests/{tag}", trusted)
        if "manifests" in manifest:
            manifest = _get(login, repository, f"manifests/{manifest['manifests'][0]['digest']}", trusted)
        configuration = _get(login, repository, f"blobs/{manifest['config']['digest']}", trusted)
        return str((configuration.get("config", {}).get("Labels") or {}).get(name, ""))
    except (OSError, HTTPException, ValueError) as error:
        raise PipelineError(f"the registry cannot be asked: {error}", where=f"{repository}:{tag}") from None
    except (LookupError, TypeError, AttributeError):
        raise PipelineError("its manifest or configuration is not as expected", where=f"{repository}:{tag}") from None


def _trusted() -> ssl.SSLContext:
    """Whom boto3 trusts: the CAs of AWS_CA_BUNDLE, or of `ca_bundle` in AWS's configuration; else the system's."""
    bundle = botocore.session.get_session().get_config_variable("ca_bundle")
    return ssl.create_default_context(cafile=bundle or None)


def _get(login: Login, repository: str, what: str, trusted: ssl.SSLContext) -> dict[str, Any]:
    request = urllib.request.Request(f"{login.endpoint}/v2/{repository}/{what}", headers={"Accept": _ACCEPTED})  # noqa: S310 - the endpoint is ECR's
    # Blobs are redirected to S3, which refuses a request with two kinds of authorization: this one is not repeated.
    request.add_unredirected_header("Authorization", f"Basic {login.basic}")
    with urllib.request.urlopen(request, timeout=SECONDS, context=trusted) as answer:  # noqa: S310 - see above
        document: dict[str, Any] = json.load(answer)
    return document
