"""Actions of experiments: Chaos Toolkit providers that inject, restore, and probe the steady state.

An action that injects a fault first records how to restore it (chaos_tests/runners/rollback_journal.py). A restoring
action is idempotent. Each action returns its evidence as `{"took_effect": true, "evidence": "..."}`; `took_effect` is
null if it is unknown.
"""
