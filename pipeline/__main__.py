"""`python -m pipeline`: the command where it is not installed, as in the pipeline's own builds."""

from pipeline.cli import main

main()
