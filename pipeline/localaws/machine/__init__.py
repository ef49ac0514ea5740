"""What the local AWS needs of the machine itself: Debian packages, a Docker engine, a registry, base images."""
