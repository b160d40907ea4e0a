"""Holdfast with one guarantee taken away: each mutant must be caught."""
