"""Flower (https://flower.readthedocs.io), set up for this system: see main.py."""
