"""Events from one context's transaction to the effect in another.

Guarantee: an event that was committed is published at least once, in order per subject; a consumer's effect happens
once per event; what cannot be handled is retried, parked or dead-lettered, and is acknowledged only after that.
Not promised: order between subjects, or delivery of each event exactly once (the inbox drops the second delivery).
"""
