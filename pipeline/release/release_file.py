"""The content of `dags/_release.json`: what the DAG helper needs to start a container. Pure.

It holds nothing that changes when nothing relevant changed (no commit, no time): otherwise every commit would write it,
and every DAG would be parsed again.
"""

import json
from typing import Any

from pipeline.release.environment import Deployment

RELEASE_FILE_FORMAT = 1


def content(deployment: Deployment) -> bytes:
    """The file, byte for byte the same for the same deployment."""
    document: dict[str, Any] = {
        "format": RELEASE_FILE_FORMAT,
        "environment": deployment.environment,
        "region": deployment.region,
        "cluster": deployment.cluster,
        "subnets": list(deployment.subnets),
        "security_groups": list(deployment.security_groups),
        "data_bucket": deployment.data_bucket,
        "containers": {
            name: {
                "task_definition": arn,
                "container": name,
                "log_group": deployment.log_group,
                "log_stream_prefix": name,
            }
            for name, arn in sorted(deployment.task_definitions.items())
        },
    }
    return (json.dumps(document, indent=2) + "\n").encode()
