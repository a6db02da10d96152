"""What the operator can do from a shell: one file per kind of command, spelled out in graph/cli.py."""
