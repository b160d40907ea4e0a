"""What experiments call: Chaos Toolkit providers that break and mend, and look whether the system is steady.

What breaks something writes down first how it is mended (chaos_tests/runners/broken.py). What mends may be called when
nothing is broken. Each answers what was seen, as `{"bit": true, "evidence": "..."}`; `bit` null: it could not tell.
"""
