"""One file per group of subcommands; holdfast/cli.py lists them."""
