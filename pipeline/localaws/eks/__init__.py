"""EKS: no Kubernetes runs here, so nothing pretends that one does."""
