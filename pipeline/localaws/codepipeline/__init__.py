"""CodePipeline that really executes V2 pipelines.

A declaration (`definition`) and the state of its executions (`progress`) decide what happens next; the `engine` does
it: a worker for each running action, which calls CodeCommit, CodeBuild and CloudFormation by their APIs (`actions`).
What the API answers is read from the records by `answers`.
"""
