"""The image, and what belongs to running it with compose: see the Dockerfile, and compose.yaml at the root."""
