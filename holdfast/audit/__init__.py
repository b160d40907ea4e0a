"""The audit: are the promises kept, as seen from outside? It reads public interfaces only."""
