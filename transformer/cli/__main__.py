"""`python -m transformer.cli`, for environments without the installed script."""

from transformer.cli.main import main

main()
