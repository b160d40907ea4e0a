"""Ids in Stripe's format: a prefix and random letters and digits. Unguessable, and unique without a disk access."""

import secrets
import string

ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str, length: int = 24) -> str:
    """`new_id("pi")` is something like pi_3MtwBwLkdIwHu7ix28a3tqPa."""
    return f"{prefix}_{random_text(length)}"


def random_text(length: int) -> str:
    # One call for all characters; the slight bias towards the first letters is harmless.
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in secrets.token_bytes(length))
