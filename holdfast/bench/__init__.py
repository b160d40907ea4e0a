"""Measuring: how many orders are accepted and confirmed a second, and how long an answer takes."""
