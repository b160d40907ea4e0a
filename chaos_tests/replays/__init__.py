"""The dead letters of a broken handler, replayed in bulk once it is restored."""
