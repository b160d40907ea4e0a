"""The failure matrix: each dependency, each way to fail, and the effects seen from outside."""
