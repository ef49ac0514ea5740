"""EKS's API as far as a machine without Kubernetes can answer it: there are no clusters, and none can be made.

Left to itself moto would create a cluster and call it ACTIVE; a pod would then fail on an address that leads nowhere.
"""

from pipeline.localaws.service import Call, Document, Service, ServiceError


class Eks(Service):
    """An account without clusters."""

    name = "eks"

    def list_clusters(self, _: Document, __: Call) -> Document:
        """None."""
        return {"clusters": []}

    def describe_cluster(self, request: Document, _: Call) -> Document:
        """Not there, whatever its name."""
        raise ServiceError(
            "ResourceNotFoundException",
            f"No cluster found for name: {request['name']}. The local AWS runs no Kubernetes, and so no pods.",
        )

    def create_cluster(self, request: Document, _: Call) -> Document:
        """Not done here."""
        raise ServiceError(
            "NotImplementedException",
            f"the local AWS does not implement eks:CreateCluster ({request['name']}): it runs no Kubernetes",
        )
