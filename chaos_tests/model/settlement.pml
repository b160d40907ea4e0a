/* How the money of one order moves: facts that arrive in any order and twice, workers and sweeps that settle the payment
 * at the same time, a provider whose answers get lost, a customer who cancels (or a time-out) at any moment.
 *
 * Guarantees, for every interleaving within the bounds below:
 *   one-capture   at most one intent of the order ever succeeds (P2)
 *   no-excess     never is more given back than was taken, by the provider and another way together, and each refund is
 *                 made once (P4)
 *   bounded       a refund that is refused is tried TRIES times, and then not before an operator decides
 *   paid          an order is confirmed only with its money taken (P4)
 *   balanced      when nothing can move any more the order has ended: confirmed, with its total less the operator's
 *                 refund, or cancelled, with nothing kept but what came back another way, on record; and the row says
 *                 what the provider says (P1, P4)
 *   settles       (liveness, weakly fair) it gets there
 *
 * Not modelled: how events travel (delivery.pml; here a message is there until its handler ended, and may come again);
 * the inbox, which decides nothing here: a duplicate writes down what the provider said as well; stock (saga.pml). A
 * fault between any two steps is a crash, an outage and a lost answer in one. The provider forgets idempotency keys,
 * but not while somebody stands between looking for a refund and making it, and a refusal not at all: nobody asks for a
 * refund a day after it was refused.
 *
 * The same file is every mutant: -DNAME takes one guarantee away. docs/model.md maps the steps to the code.
 */
#ifndef SETTLERS
#define SETTLERS 2
#endif
#ifndef FAULTS
#define FAULTS 1
#endif
#ifndef DUPLICATES
#define DUPLICATES 1 /* events that come once more after they were handled */
#endif
#ifndef FORGETS
#define FORGETS 1 /* times that the provider forgets its keys */
#endif
#ifndef OUTSIDERS
#define OUTSIDERS 1 /* who act past us: pay a refused intent after all, or cancel an open one */
#endif
#ifndef REFUNDS
#define REFUNDS 1 /* 1: an operator may refund half */
#endif
#ifndef REFUSES
#define REFUSES 0 /* 1: the provider may refuse refunds, until it does not any more */
#endif
#ifndef RETRIES
#define RETRIES 1 /* times that an operator has it tried again */
#endif
#ifndef UNDECIDED
#define UNDECIDED 0 /* charges that the provider decides later */
#endif
#define TRIES 2 /* of a refund that is refused, until it stands */
#define TOTAL 2
#define REFUND_IDS 8
#define BIT(r) (1 << (r))

/* the order */
#define OPEN 0
#define CONFIRMED 1
#define CANCELLED 2
/* the payment (its row) */
#define PENDING 0
#define CAPTURED 1
#define DECLINED 2
#define VOID 3 /* cancelled: nothing was charged, nothing can be */
#define PARTLY 4
#define REFUNDED 5
/* an intent at the provider */
#define UNMADE 0
#define UNCONFIRMED 1
#define SUCCEEDED 2
#define REFUSED 3
#define CANCELED 4
#define PROCESSING 5 /* confirmed, and not decided; it cannot be canceled */
/* domain.Step */
#define NOTHING 0
#define CHARGE 1
#define CLOSE 2
#define RELEASE 3
#define REFUND 4
/* what wakes a settler */
#define PLACED 0
#define RESERVED 1
#define CANCEL 2
#define SWEEP 3
/* cards */
#define GOOD 0
#define BAD 1     /* the charge is declined */
#define INVALID 2 /* no intent is made of it */

byte faults = FAULTS, duplicates = DUPLICATES, forgets = FORGETS, outsiders = OUTSIDERS;

byte order = OPEN;
bool m_captured, m_declined; /* messages to orders */
bool message[3];             /* messages to payments: PLACED, RESERVED, CANCEL */
bool sent[3];

bool known, reserved, cancel; /* the facts */
byte status = PENDING;
byte intent; /* provider_id: 0 is none */
bool closed;
byte refunded;
/* refunds on record: the operator's, and ours, a fresh one for each try */
bool pending[REFUND_IDS];
byte amount[REFUND_IDS];
byte ours = 1; /* the one of ours that is tried, or will be next */
bool half_refunded, compensated;

byte card;
byte intents; /* made so far */
byte state[4];
byte key; /* the intent that the payment's key stands for, while it is remembered */
byte taken, given;
byte made[REFUND_IDS];
byte refund_keys, refused; /* bits: the keys that stand for a refund, or for a refusal */
bool asked = !REFUNDS; /* the operator has refunded, or given up */
byte looking; /* who stands between looking for a refund and making it */

bool refuses;        /* the provider, whatever refund it is asked for */
byte tries;          /* refusals on record since it was last decided about */
bool waits;          /* the pause until the next try */
bool standing;       /* an operator has to decide */
byte elsewhere;      /* came back another way, on record */
byte retries = RETRIES, undecided = UNDECIDED;
bool given_up;       /* by a mutant */

#define REMAINING ((status == CAPTURED || status == PARTLY) -> TOTAL - refunded : 0)
#define OWED ((pending[0] -> amount[0] : 0) + (pending[ours] -> amount[ours] : 0))
#ifdef DECLINED_STAYS_OPEN
#define NOT_CLOSED false
#else
#define NOT_CLOSED (status == DECLINED && intent && !closed)
#endif
#define IS_DUE (!waits && !standing && !given_up)
#define UNSETTLED                                                                                                      \
    ((status == PENDING && (cancel || (known && reserved))) ||                                                         \
     ((status == CAPTURED || status == PARTLY) && cancel && IS_DUE) || NOT_CLOSED || pending[0] || pending[ours])

inline send(what) { message[what] = true; sent[what] = true }

/* ---- orders ------------------------------------------------------------------------------------------------------ */

proctype Orders() {
end:
    do
    :: atomic { /* the customer cancels, or the time is over */
           order == OPEN -> order = CANCELLED; send(CANCEL)
       }
    :: atomic {
           m_captured -> m_captured = false;
           if
#ifdef NO_STATE_GUARD
           :: true -> order = CONFIRMED
#else
           :: order == OPEN -> order = CONFIRMED; assert(taken == TOTAL)
           :: order == CANCELLED -> send(CANCEL) /* too late: its end is told again */
           :: order == CONFIRMED
#endif
           fi
       }
    :: atomic {
           m_declined -> m_declined = false;
           if
           :: order == OPEN -> order = CANCELLED; send(CANCEL)
           :: else
           fi
       }
    od
}

/* What was sent once may come once more, long after: the inbox may be pruned by then. */
proctype Network() {
end:
    do
    :: atomic { duplicates > 0 && sent[PLACED] && !message[PLACED] -> duplicates--; message[PLACED] = true }
    :: atomic { duplicates > 0 && sent[RESERVED] && !message[RESERVED] -> duplicates--; message[RESERVED] = true }
    :: atomic { duplicates > 0 && sent[CANCEL] && !message[CANCEL] -> duplicates--; message[CANCEL] = true }
    od
}

/* ---- the provider ------------------------------------------------------------------------------------------------- */

inline charge_at_provider(i) {
    if
    :: state[i] == UNCONFIRMED && card == GOOD -> state[i] = SUCCEEDED; taken = taken + TOTAL
    :: state[i] == UNCONFIRMED && card != GOOD -> state[i] = REFUSED
#if UNDECIDED
    :: state[i] == UNCONFIRMED && undecided > 0 -> undecided--; state[i] = PROCESSING
#endif
    :: else
    fi;
    assert(taken <= TOTAL)
}

/* At any time later, also long after everybody else has given up. */
inline decide(i) {
    if
    :: state[i] = SUCCEEDED; taken = taken + TOTAL
    :: state[i] = REFUSED
    fi;
    assert(taken <= TOTAL)
}

proctype Provider() {
end:
    do
    :: atomic { forgets > 0 && key && !looking -> forgets--; key = 0; refund_keys = 0 }
    :: atomic {
           outsiders > 0 && state[1] == REFUSED -> outsiders--;
           state[1] = SUCCEEDED;
           taken = taken + TOTAL;
           assert(taken <= TOTAL)
       }
    :: atomic { outsiders > 0 && state[1] == UNCONFIRMED -> outsiders--; state[1] = CANCELED }
#if UNDECIDED
    :: atomic { state[1] == PROCESSING -> decide(1) }
#endif
#if REFUSES
    :: atomic { refuses -> refuses = false }
    :: atomic { waits -> waits = false } /* time goes by */
#endif
    od
}

/* Ask for the refund on record `r`: look for it, make it under its key, write down how it ended. */
inline look_for_refund(r) {
#ifdef NO_REFUND_LOOK
    looking++; found = false
#else
    found = made[r] > 0;
    if
    :: !found -> looking++
    :: else
    fi
#endif
}

/* `no`: the provider refuses. */
inline make_refund(r) {
    looking--;
    if
#ifdef NO_REFUND_KEY
    :: true -> made[r]++; given = given + amount[r]
#else
    :: refused & BIT(r) -> no = true
    :: !(refused & BIT(r)) && (refund_keys & BIT(r))
    :: !(refused & BIT(r)) && !(refund_keys & BIT(r)) ->
       if
       :: refuses || given + amount[r] > taken -> refused = refused | BIT(r); no = true
       :: else -> refund_keys = refund_keys | BIT(r); made[r]++; given = given + amount[r]
       fi
#endif
    fi;
    assert(made[r] <= 1 && given + elsewhere <= taken)
}

inline write_given_back(r) {
    pending[r] = false;
    refunded = refunded + amount[r];
    status = (refunded < TOTAL -> PARTLY : REFUNDED);
    standing = standing && refunded < TOTAL
}

inline conclude_operators() {
    if
    :: !pending[0] /* somebody else has written it down */
    :: pending[0] && no -> pending[0] = false /* it is not tried again */
    :: pending[0] && !no -> write_given_back(0); half_refunded = true
    fi;
    no = false
}

inline conclude_ours(r) {
    if
    :: !pending[r]
    :: pending[r] && no ->
       pending[r] = false;
       ours++;
       tries++;
#ifdef TRIED_FOR_EVER
       waits = true;
#else
       waits = tries < TRIES;
#ifdef GIVEN_UP_WITHOUT_A_CASE
       given_up = tries >= TRIES;
#else
       standing = tries >= TRIES;
#endif
#endif
       assert(tries <= TRIES)
    :: pending[r] && !no ->
       write_given_back(r);
       compensated = true;
       ours++;
       tries = (tries < TRIES -> tries : TRIES - 1) /* another refusal lets it stand again */
    fi;
    no = false
}

/* ---- payments ----------------------------------------------------------------------------------------------------- */

/* domain.next_step of the row as it is now; the settler goes by this snapshot until its next statement. */
inline next_step() {
    if
    :: status == CAPTURED || status == PARTLY -> step = (cancel && IS_DUE -> REFUND : NOTHING)
    :: status == DECLINED -> step = (NOT_CLOSED -> RELEASE : NOTHING) /* it must not succeed later, by whatever way */
    :: status == PENDING && cancel -> step = (intent -> RELEASE : CLOSE)
    :: status == PENDING && !cancel -> step = (known && reserved -> CHARGE : NOTHING)
    :: status == VOID || status == REFUNDED -> step = NOTHING
    fi;
    mine = intent
}

/* settlement.Record.seen: under the row's lock, guarded by its state. `mine` is the intent that was looked at. */
inline write_seen() {
    if
    :: intent != mine /* the answer was about an intent that did not become this payment's */
#ifdef LATE_CAPTURE_IGNORED
    :: intent == mine && seen == SUCCEEDED && status == PENDING ->
#else
    :: intent == mine && seen == SUCCEEDED && (status == PENDING || status == DECLINED || status == VOID) ->
#endif
       status = CAPTURED;
       m_captured = true
    :: intent == mine && seen == CANCELED && status == PENDING && cancel -> status = VOID; closed = true
    :: intent == mine && seen == CANCELED && status == PENDING && !cancel ->
       status = DECLINED;
       closed = true;
       m_declined = true
    :: intent == mine && seen == CANCELED && (status == DECLINED || status == VOID) -> closed = true
    :: intent == mine && seen == REFUSED && status == PENDING -> status = DECLINED; m_declined = true
    :: else
    fi;
    seen = UNMADE;
    next_step()
}

inline forget() {
    step = NOTHING; mine = 0; seen = UNMADE; fresh = 0; cause = SWEEP; owed[0] = false; owed[1] = false; found = false;
    last = false; at = 1; no = false
}

/* The message is not acknowledged: it comes again. Facts that were committed stay. */
inline falls() {
    faults--;
    if
    :: cause != SWEEP -> message[cause] = true
    :: else
    fi;
    forget()
}

#define FAULT :: atomic { faults > 0 -> falls(); goto end }

proctype Settler() {
    byte step, mine, seen, fresh, at = 1, cause = SWEEP;
    bool owed[2], found, last, no;
end:
    do
    :: atomic { message[PLACED] -> message[PLACED] = false; cause = PLACED; known = true; next_step(); break }
    :: atomic { message[RESERVED] -> message[RESERVED] = false; cause = RESERVED; reserved = true; next_step(); break }
    :: atomic { message[CANCEL] -> message[CANCEL] = false; cause = CANCEL; cancel = true; next_step(); break }
#ifndef NO_SWEEP
    :: atomic { UNSETTLED -> cause = SWEEP; next_step(); break }
#endif
    od;

settle:
    if
    :: atomic { step == NOTHING && cause != SWEEP -> forget(); goto end } /* acknowledged */
    :: atomic { /* finish_refunds: whoever began them */
           step == NOTHING && cause == SWEEP ->
           owed[0] = pending[0];
           owed[1] = pending[ours];
           at = (owed[1] -> ours : 1);
           last = true;
           goto refunding
       }
    :: atomic { step == CLOSE -> seen = CANCELED; goto write }
    :: atomic { step == RELEASE -> /* cancel, or learn that it has succeeded */
           if
           :: state[mine] == SUCCEEDED -> seen = SUCCEEDED
#if UNDECIDED
#ifdef UNDECIDED_COUNTS_AS_CANCELED
           :: state[mine] == PROCESSING -> seen = CANCELED
#else
           :: state[mine] == PROCESSING -> goto wait
#endif
#endif
           :: state[mine] != SUCCEEDED && state[mine] != PROCESSING -> state[mine] = CANCELED; seen = CANCELED
           fi;
#ifdef CANCEL_IS_ENOUGH
           seen = CANCELED;
#endif
           goto write
       }
    :: atomic { step == REFUND -> /* Record.owe */
           if
           :: REMAINING - OWED > 0 && IS_DUE && !pending[ours] ->
              assert(ours < REFUND_IDS);
              amount[ours] = REMAINING - OWED;
              pending[ours] = true
           :: else
           fi;
           owed[0] = pending[0];
           owed[1] = pending[ours];
           at = (owed[1] -> ours : 1);
           next_step();
           goto refunding
       }
#ifdef NO_IDEMPOTENCY
    :: atomic { step == CHARGE && !mine && card != INVALID -> /* made and charged in one, under no key */
           intents++;
           fresh = intents;
           state[fresh] = UNCONFIRMED;
           charge_at_provider(fresh);
           goto attach
       }
#else
    :: atomic { step == CHARGE && !mine && card != INVALID -> /* the same key, the same intent */
           if
           :: key -> fresh = key
           :: else -> intents++; fresh = intents; state[fresh] = UNCONFIRMED; key = fresh
           fi;
#ifdef CONFIRM_BEFORE_ATTACH
           charge_at_provider(fresh);
#endif
           goto attach
       }
#endif
    :: atomic { step == CHARGE && !mine && card == INVALID -> seen = REFUSED; goto write }
#ifdef NO_RETRIEVE
    :: atomic { step == CHARGE && mine -> /* once more from the start, without a look at what became of it */
           intents++;
           fresh = intents;
           state[fresh] = UNCONFIRMED;
           intent = fresh;
           mine = fresh;
           seen = UNCONFIRMED;
           goto confirm
       }
#else
    :: atomic { step == CHARGE && mine -> seen = state[mine]; goto confirm } /* retrieve it and look */
#endif
    FAULT
    fi;

attach:
    if
    :: atomic { /* only an intent whose id is committed is ever confirmed, and none once the cancellation is known */
           if
           :: !intent && status == PENDING && !cancel -> intent = fresh
           :: else
           fi;
           next_step();
           if
#ifdef CONFIRM_THE_OVERTAKEN
           :: true -> mine = fresh; seen = UNCONFIRMED; fresh = 0; goto confirm
#else
           :: mine == fresh && step == CHARGE -> seen = UNCONFIRMED; fresh = 0; goto confirm
           :: else -> fresh = 0; goto settle /* overtaken: this intent is never confirmed */
#endif
           fi
       }
    FAULT
    fi;

confirm:
    if
    :: atomic { seen == UNCONFIRMED -> charge_at_provider(mine); seen = state[mine] };
       goto look
    :: atomic { seen != UNCONFIRMED -> goto look }
    FAULT
    fi;

look:
#if UNDECIDED
    if
    :: atomic { seen == PROCESSING -> goto wait }
    :: atomic { seen != PROCESSING -> goto write }
    fi;

wait: /* the message is parked; after a day it is a dead letter, and only the sweep goes on looking */
    if
    :: atomic {
           if
           :: cause != SWEEP -> message[cause] = true
           :: true
           fi;
           forget();
           goto end
       }
    fi;
#endif

write:
    if
    :: atomic { write_seen(); goto settle }
    FAULT
    fi;

refunding:
    if
    :: atomic { !owed[0] && !owed[1] && last -> forget(); goto end }
    :: atomic { !owed[0] && !owed[1] && !last -> goto settle }
    :: atomic { owed[0] -> look_for_refund(0) };
       if
       :: found
       :: atomic { !found -> make_refund(0) }
       fi;
       if
       :: atomic { owed[0] = false; found = false; conclude_operators(); next_step(); goto refunding }
       FAULT
       fi
    :: atomic { !owed[0] && owed[1] -> look_for_refund(at) };
       if
       :: found
       :: atomic { !found -> make_refund(at) }
       fi;
       if
       :: atomic { owed[1] = false; found = false; conclude_ours(at); at = 1; next_step(); goto refunding }
       FAULT
       fi
    FAULT
    fi
}

/* ---- an operator gives half of it back ------------------------------------------------------------------------------ */

proctype Operator() {
    bool found, no;
end:
    if
    :: atomic { REMAINING - OWED > 0 -> amount[0] = 1; pending[0] = true }
    fi;
    if
    :: atomic { look_for_refund(0) }
    :: atomic { faults > 0 -> faults--; goto away }
    fi;
    if
    :: found
    :: atomic { !found -> make_refund(0) }
    fi;
    if
    :: atomic { conclude_operators() }
    :: atomic { faults > 0 -> faults-- }
    fi;
away:
    asked = true
}

/* ---- an operator decides about what stands --------------------------------------------------------------------------- */

#if REFUSES
proctype Decider() {
    byte left;
end:
    do
    :: atomic { retries > 0 && standing -> retries--; standing = false; tries = TRIES - 1 } /* once more */
#ifdef RECORD_WHILE_IT_IS_TRIED
    :: atomic { (standing || waits || pending[ours]) && REMAINING > 0 && cancel ->
#else
    :: atomic { standing && REMAINING - OWED > 0 ->
#endif
           left = REMAINING - (pending[0] -> amount[0] : 0);
           elsewhere = elsewhere + left;
           refunded = refunded + left;
           left = 0;
           status = (refunded < TOTAL -> PARTLY : REFUNDED);
           standing = standing && refunded < TOTAL;
           assert(given + elsewhere <= taken)
       }
    od
}
#endif

/* ---- what must hold when nothing moves any more ---------------------------------------------------------------------- */

#define RIGHT                                                                                                          \
    ((order == CANCELLED && taken == given + elsewhere) || (order == CONFIRMED && half_refunded && taken - given == TOTAL - 1) ||        \
     (order == CONFIRMED && !half_refunded && taken - given == TOTAL))

#ifndef LIVENESS
proctype Observer() {
    timeout;
    assert(RIGHT && !pending[0] && !pending[ours] && !standing && refunded == given + elsewhere && status != PENDING);
    assert(order == CANCELLED || !compensated)
}
#endif

init {
    atomic {
        if
        :: card = GOOD
        :: card = BAD
        :: card = INVALID
        fi;
        send(PLACED);
        if
        :: send(RESERVED)
        :: true /* out of stock */
        fi;
#if REFUSES
        if
        :: refuses = true
        :: true
        fi;
        run Decider();
#endif
        run Orders();
        run Network();
        run Provider();
        byte i;
        for (i : 1 .. SETTLERS) { run Settler() }
#if REFUNDS
        run Operator();
#endif
#ifndef LIVENESS
        run Observer()
#endif
    }
}

#ifdef LIVENESS
/* Not <>[]: a search under weak fairness misses a system that stands still where that is violated. */
#define AT_REST (!(UNSETTLED) && status != PENDING && !message[PLACED] && !message[RESERVED] && !message[CANCEL])
ltl settles { <> (RIGHT && AT_REST && (order == CANCELLED || asked)) }
#endif
