"""The audit: checks the promises from outside, through public interfaces only."""
