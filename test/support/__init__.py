"""What the black-box tests share: the binary, a checker of its logs, and pipelines."""
