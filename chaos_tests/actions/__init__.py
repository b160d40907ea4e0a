"""What experiments call: Chaos Toolkit providers that break and restore, and probe the steady state.

An action that breaks something first records how to restore it (chaos_tests/runners/rollback_journal.py). A restoring
action may be called when nothing is broken. Each action returns what it saw, as `{"bit": true, "evidence": "..."}`;
`bit` is null if it could not tell.
"""
