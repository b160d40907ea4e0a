"""The checks: each model within its bounds, and the mutants that must be found, as tables. The test suite uses the
quick bounds.

The wide ones take some minutes.
"""

from __future__ import annotations

from chaos_tests.model.batch_cases import BATCH_MUTANTS, BATCH_QUICK, BATCH_WIDE
from chaos_tests.model.case import Case, Mutant
from chaos_tests.model.checking import Kind

# Spin's description of a violation, and the property's name in the header of its model.
PROPERTIES = {
    "accepted[e])||row": "kept",
    "(queue[e]||place": "kept",
    "failed[e]>0": "blame",
    "(effect[e]==1)||": "quiet",
    "effect[e]<=1": "once",
    "overtakes": "order",
    "failed[e]>1": "blame",
    "charged[e]<=": "blame",
    "down": "alone",
    "looks[e]<=1": "bounded",
    "accepted[e]&&(effect": "quiet",
    "(taken<=2)": "one-capture",
    "made[0]<=1": "no-excess",
    "made[at]<=1": "no-excess",
    "(taken==2)": "paid",
    "(taken==(given+elsewhere))": "balanced",
    "((given+elsewhere)<=taken)": "no-excess",
    "(tries<=2)": "bounded",
    "reserved==held": "conserved",
    "(order[o]==2)&&": "balanced",
    "reservation[o]!=2)": "never-both",
    "violated  !(cancel[o])": "never-both",
    "violated  !(confirmed[o])": "never-both",
    "(reservation[o]==1)||(reservation[o]==2)": "never-both",
    "(payment[o]==1)&&(reservation[o]==1)": "paid",
    "acceptance cycle": "ends",
}
_FREE = {"BLOCKS": 0, "UNDECIDEDS": 0}
_ONE = {"EVENTS": 1, "CRASHES": 1, **_FREE}
_CALM = {"EVENTS": 1, "WORKERS": 1, "CRASHES": 0, "LOSSES": 0, "FAILURES": 0, "OUTAGES": 0, "TAKEOVERS": 0, **_FREE}
_TWO = {"SETTLERS": 2, "DUPLICATES": 0, "REFUNDS": 0}
_SOLE = {"SETTLERS": 1, "DUPLICATES": 0, "REFUNDS": 0}
_SOLE_REFUND = {"SETTLERS": 1}
_REFUSED = _SOLE | {"REFUSES": 1, "RETRIES": 1}
_UNREPLAYED = {"REPLAYS": 0, "DUPLICATES": 0, "RIVALS": 0}

QUICK = (
    Case("delivery", Kind.SAFETY, _ONE | {"TAKEOVERS": 0}),
    Case("delivery", Kind.SAFETY, {"EVENTS": 2, "WORKERS": 1, "CRASHES": 1, "FAILURES": 0, "OUTAGES": 0, **_FREE}),
    Case("delivery", Kind.SAFETY, _CALM | {"WORKERS": 2, "OUTAGES": 1, "BLOCKS": 1, "UNDECIDEDS": 1, "FAILURES": 1}),
    Case("delivery", Kind.LIVENESS, _ONE | {"FAILURES": 2, "TAKEOVERS": 0, "LOSSES": 0}),
    Case("delivery", Kind.LIVENESS, _CALM | {"OUTAGES": 1, "BLOCKS": 1, "UNDECIDEDS": 1, "CRASHES": 1}),
    *BATCH_QUICK,
    Case("settlement", Kind.SAFETY, _TWO),
    Case("settlement", Kind.SAFETY, _SOLE_REFUND),
    Case("settlement", Kind.SAFETY, _REFUSED | {"REFUNDS": 1, "FORGETS": 0, "OUTSIDERS": 0}),
    Case("settlement", Kind.LIVENESS, _REFUSED),
    Case("settlement", Kind.SAFETY, _TWO | {"UNDECIDED": 1, "FORGETS": 0, "OUTSIDERS": 0}),
    Case("settlement", Kind.LIVENESS, _SOLE | {"UNDECIDED": 1, "FORGETS": 0}),
    Case("settlement", Kind.LIVENESS, _TWO | {"FORGETS": 0, "OUTSIDERS": 0}),
    Case("saga", Kind.SAFETY, {"DUPLICATES": 1, "REPLAYS": 0}),
    Case("saga", Kind.SAFETY, {"DUPLICATES": 0, "REPLAYS": 1}),
    Case("saga", Kind.SAFETY, _UNREPLAYED | {"LETTERS": 4}),
    Case("saga", Kind.LIVENESS, _UNREPLAYED),
)
WIDE = (
    Case("delivery", Kind.SAFETY, {"EVENTS": 1, "CRASHES": 2, **_FREE}),
    Case("delivery", Kind.SAFETY, {"EVENTS": 1, "CRASHES": 1, "TAKEOVERS": 0}),
    Case("delivery", Kind.SAFETY, {"EVENTS": 2, "CRASHES": 1, "FAILURES": 2, "LOSSES": 0, "TAKEOVERS": 0, **_FREE}),
    Case("delivery", Kind.SAFETY, {"EVENTS": 2, "CRASHES": 0, "FAILURES": 0, "LOSSES": 0, "TAKEOVERS": 0}),
    Case("delivery", Kind.LIVENESS, _ONE | {"FAILURES": 1}),
    *BATCH_WIDE,
    Case("settlement", Kind.SAFETY, {"SETTLERS": 2, "FORGETS": 0}),
    Case("settlement", Kind.SAFETY, {"SETTLERS": 2, "OUTSIDERS": 0, "FAULTS": 2, "DUPLICATES": 0}),
    Case("settlement", Kind.SAFETY, {"SETTLERS": 3, "DUPLICATES": 0, "REFUNDS": 0, "FAULTS": 0, "OUTSIDERS": 0}),
    Case("settlement", Kind.SAFETY, {"SETTLERS": 1, "REFUSES": 1}),
    Case("settlement", Kind.SAFETY, {"SETTLERS": 1, "REFUSES": 1, "UNDECIDED": 1, "FORGETS": 0}),
    Case("settlement", Kind.SAFETY, _TWO | {"REFUSES": 1, "OUTSIDERS": 0}),
    Case("settlement", Kind.LIVENESS, {"SETTLERS": 1}),
    Case("saga", Kind.SAFETY, {"DUPLICATES": 2, "REPLAYS": 1}),
    Case("saga", Kind.SAFETY, {"DUPLICATES": 2, "REPLAYS": 1, "LETTERS": 2}),
    Case("saga", Kind.SAFETY, {"ORDERS": 2, "RIVALS": 0, "DUPLICATES": 1, "LETTERS": 0, "NO_ASKING": 1}),
    Case("saga", Kind.LIVENESS, {"DUPLICATES": 0}),
)
MUTANTS = (
    Mutant("delivery", "NO_INBOX", "the inbox", "once", _ONE),
    Mutant("delivery", "INBOX_SECOND_TRANSACTION", "inbox and effect in one transaction", "kept", _ONE),
    Mutant("delivery", "ACK_BEFORE_EFFECT", "to acknowledge after the commit", "kept", _ONE),
    Mutant("delivery", "OUTBOX_SECOND_TRANSACTION", "state and event in one transaction", "kept", _ONE),
    Mutant("delivery", "NO_CONFIRMS", "publisher confirms", "kept", _ONE),
    Mutant("delivery", "DELETE_BEFORE_CONFIRM", "to delete only what is confirmed", "kept", _ONE),
    Mutant("delivery", "NO_MANDATORY", "`mandatory`", "kept", _ONE),
    Mutant(
        "delivery",
        "UNCONFIRMED_IS_PASSED_BY",
        "to publish first what was not confirmed",
        "order",
        _CALM | {"EVENTS": 2, "LOSSES": 1},
    ),
    Mutant("delivery", "SET_ASIDE_FOR_EVER", "to try again what no queue took", "quiet", _CALM),
    Mutant("delivery", "LEASE_WITHOUT_END", "a lease that runs out", "quiet", _CALM | {"CRASHES": 2}),
    Mutant("delivery", "RETRY_WITHOUT_CONFIRM", "confirms of what is published again", "kept", _ONE),
    Mutant("delivery", "DROP_AFTER_RETRIES", "dead letters", "kept", _CALM | {"FAILURES": 2}),
    Mutant("delivery", "NO_REPLAY", "replaying dead letters", "quiet", _CALM | {"FAILURES": 2}),
    Mutant(
        "delivery",
        "OUTAGE_IS_AN_ERROR",
        "to count no attempt in an outage",
        "blame",
        _CALM | {"FAILURES": 1, "OUTAGES": 1},
    ),
    Mutant("delivery", "PAUSE_WITHOUT_END", "to subscribe again after an outage", "quiet", _CALM | {"OUTAGES": 1}),
    Mutant("delivery", "PARK_BEFORE_PAUSE", "to pause first, then park", "blame", _CALM | {"OUTAGES": 1, "BLOCKS": 1}),
    Mutant("delivery", "UNDECIDED_PAUSES", "to let an undecided item wait alone", "alone", _CALM | {"UNDECIDEDS": 1}),
    Mutant(
        "delivery",
        "UNDECIDED_IS_AN_ERROR",
        "to count no attempt while somebody else has not decided",
        "blame",
        _CALM | {"UNDECIDEDS": 1},
    ),
    Mutant(
        "delivery",
        "UNDECIDED_FOR_EVER",
        "a bound on the age of what is undecided",
        "bounded",
        _CALM | {"UNDECIDEDS": 1},
    ),
    *BATCH_MUTANTS,
    Mutant("settlement", "NO_IDEMPOTENCY", "an intent made first and under a key, then confirmed", "one-capture", _TWO),
    Mutant("settlement", "NO_RETRIEVE", "to look at the intent before repeating", "one-capture", _TWO),
    Mutant(
        "settlement", "CONFIRM_BEFORE_ATTACH", "to commit the intent's id before it is confirmed", "one-capture", _TWO
    ),
    Mutant("settlement", "CONFIRM_THE_OVERTAKEN", "to leave an intent alone that was overtaken", "one-capture", _TWO),
    Mutant("settlement", "CANCEL_IS_ENOUGH", "to refund what cannot be cancelled any more", "balanced", _SOLE),
    Mutant(
        "settlement",
        "LATE_CAPTURE_IGNORED",
        "to write down money that came after a decline",
        "ends",
        _SOLE,
        Kind.LIVENESS,
    ),
    Mutant("settlement", "DECLINED_STAYS_OPEN", "to cancel the intent of a declined payment", "balanced", _SOLE),
    Mutant("settlement", "NO_REFUND_LOOK", "to look for a refund before making it", "no-excess", _SOLE_REFUND),
    Mutant("settlement", "NO_REFUND_KEY", "a key for each refund", "no-excess", _SOLE_REFUND),
    Mutant("settlement", "TRIED_FOR_EVER", "a bound on the tries of a refused refund", "bounded", _REFUSED),
    Mutant(
        "settlement",
        "GIVEN_UP_WITHOUT_A_CASE",
        "to let a refused refund stand until an operator decides",
        "balanced",
        _REFUSED,
    ),
    Mutant(
        "settlement",
        "RECORD_WHILE_IT_IS_TRIED",
        "to record money as returned another way only when nothing is tried",
        "no-excess",
        _REFUSED,
    ),
    Mutant(
        "settlement",
        "UNDECIDED_COUNTS_AS_CANCELED",
        "to wait for an intent that cannot be cancelled yet",
        "balanced",
        _SOLE | {"UNDECIDED": 1},
    ),
    Mutant("settlement", "NO_SWEEP", "the sweep that finishes what was begun", "balanced", _SOLE_REFUND),
    Mutant("settlement", "NO_STATE_GUARD", "the guard by the order's state", "balanced", _SOLE),
    Mutant("saga", "NO_STATE_GUARD", "the guard by the order's state", "never-both", _UNREPLAYED),
    Mutant("saga", "CANCEL_THE_CONFIRMED", "to refuse to cancel a confirmed order", "never-both", _UNREPLAYED),
    Mutant(
        "saga",
        "NO_RESERVATION_GUARD",
        "the guard by the reservation's state",
        "conserved",
        _UNREPLAYED | {"DUPLICATES": 1},
    ),
    Mutant(
        "saga",
        "RESERVE_WITHOUT_LOCK",
        "the lock between looking at stock and holding it",
        "conserved",
        _UNREPLAYED | {"RIVALS": 1},
    ),
    Mutant("saga", "INVENTORY_GUESSES", "to release only what orders says has ended", "paid", _UNREPLAYED),
    Mutant("saga", "CHARGE_WITHOUT_STOCK", "to charge only when stock is reserved", "paid", _UNREPLAYED),
    Mutant("saga", "NO_REFUND", "to give back what was taken for a cancelled order", "balanced", _UNREPLAYED),
    Mutant(
        "saga",
        "LATE_CAPTURE_NOT_ANSWERED",
        "to tell the end again when a capture comes late (and without asking, which repairs it)",
        "balanced",
        _UNREPLAYED | {"NO_ASKING_ABOUT_CAPTURED": 1},
    ),
    Mutant("saga", "NO_ASKING", "to ask how an order ended", "balanced", _UNREPLAYED),
    Mutant(
        "saga",
        "NO_ASKING_ABOUT_CAPTURED",
        "to ask how an order ended whose money was taken",
        "balanced",
        _UNREPLAYED | {"LETTERS": 2},
    ),
    Mutant(
        "saga",
        "CANCELLATION_NOT_REMEMBERED",
        "to remember a cancellation that comes first (and without asking, which restores it)",
        "balanced",
        _UNREPLAYED | {"LETTERS": 0, "NO_ASKING": 1},
    ),
    Mutant("saga", "NO_TIME_OUT", "time-outs", "ends", _UNREPLAYED, Kind.LIVENESS),
)
