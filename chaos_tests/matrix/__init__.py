"""The failure matrix: each dependency, each way to fail, and what is seen of it from outside."""
