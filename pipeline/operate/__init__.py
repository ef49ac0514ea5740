"""Watching and steering the pipeline: a client of the AWS APIs, on AWS or against the local AWS."""
