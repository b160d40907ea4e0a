"""The image, and the files for running it with compose: see the Dockerfile, and compose.yaml at the root."""
