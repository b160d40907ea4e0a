"""The dead letters of a broken handler, replayed in bulk after its repair."""
