"""Faults of the payment provider, injected into the sandbox (infrastructure/sandbox/README.md has the kinds)."""

from __future__ import annotations

from typing import Any

import requests

from chaos_tests.actions.evidence import result
from chaos_tests.runners.drivers.driver import driver_of

ASK_SECONDS = 10.0


def misbehave(fault: dict[str, Any], configuration: dict[str, Any]) -> dict[str, Any]:
    """Add a fault to the provider."""
    driver = driver_of(configuration)
    driver.journal.add(behave, {"kind": fault["kind"]})
    requests.post(_faults(configuration), json={"rate": 1.0, **fault}, timeout=ASK_SECONDS).raise_for_status()
    return result(f"the provider got the fault: {fault}")


def behave(kind: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Remove faults of that kind. Returns how often they took effect."""
    url, struck = _faults(configuration), 0
    known = requests.get(url, timeout=ASK_SECONDS)
    known.raise_for_status()
    for fault in known.json()["data"]:
        if fault["kind"] == kind:
            reply = requests.delete(f"{url}/{fault['id']}", timeout=ASK_SECONDS)
            reply.raise_for_status()
            struck += int(reply.json().get("struck") or 0)
    driver_of(configuration).journal.remove(behave, {"kind": kind})
    return result(f"{kind} affected {struck} requests", took_effect=struck > 0)


def _faults(configuration: dict[str, Any]) -> str:
    url = driver_of(configuration).target().ledger_url
    if url is None:
        raise LookupError("the payment provider is Stripe itself, which takes no orders from here")
    return f"{url}/faults"
