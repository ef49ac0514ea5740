"""CodeBuild that really runs buildspecs, on this machine."""
