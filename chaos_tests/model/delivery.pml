/* How one context's event reaches another: outbox, relay, broker, consumer, delay queues, dead letters.
 *
 * Guarantees, for every interleaving within the bounds below:
 *   kept    an accepted event is at every moment in the outbox, with the broker, a dead letter, or has taken effect (P1, P5)
 *   once    it takes effect at most once (P2)
 *   order   none is published before an earlier one that waits, and was never published
 *   blame   only a handler that really failed so often, or an item that was undecided for so long, makes a dead letter;
 *           no outage does, and none uses up the deliveries that the broker's limit counts (P7)
 *   alone   a worker pauses for an outage, never for one item that is undecided
 *   bounded an undecided item is asked about a bounded number of times, then it is a dead letter
 *   quiet   when nothing can move any more, every accepted event has taken effect, and nothing is left over
 *   ends    (liveness, weakly fair) every accepted event takes effect
 *
 * Not modelled: what an event says; real time (a delay is any delay, so a delay queue is the queue itself; an age is a
 * number of looks); several consumers (each has its own queue and inbox). A batch of the relay is one row. A delivery
 * that the broker's limit ends may become a dead letter at its first crash already: that is more than what happens.
 *
 * The same file is every mutant: -DNAME takes one guarantee away. docs/model.md maps the steps to the code.
 */
#ifndef EVENTS
#define EVENTS 2
#endif
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef CRASHES
#define CRASHES 2 /* of any process, anywhere */
#endif
#ifndef LOSSES
#define LOSSES 1 /* connections cut, each with or without what was under way */
#endif
#ifndef FAILURES
#define FAILURES 2 /* attempts that fail for a reason of their own */
#endif
#ifndef OUTAGES
#define OUTAGES 1 /* of the consumer's database */
#endif
#ifndef TAKEOVERS
#define TAKEOVERS 1 /* leases that run out under a frozen holder */
#endif
#ifndef BLOCKS
#define BLOCKS 1 /* times that nothing can be parked: the way to the delay queues is away */
#endif
#ifndef UNDECIDEDS
#define UNDECIDEDS 1 /* times that somebody else has not decided about the first event */
#endif
#define LOOKS 1            /* at an undecided item, before it is a dead letter at the next */
#define CHARGES (WORKERS * BLOCKS) /* of an item by outages: fewer than the broker's delivery limit */
#define RETRY_ATTEMPTS 1
#define SLOTS 2 /* attempts that a message may carry: 0 .. RETRY_ATTEMPTS */
#define SLOT(e, a) ((e) * SLOTS + (a))
#define NOBODY 2
#define DEAD 3

byte crashes = CRASHES, losses = LOSSES, failures = FAILURES, outages = OUTAGES, takeovers = TAKEOVERS;
byte blocks = BLOCKS, undecideds = UNDECIDEDS;

bool accepted[EVENTS]; /* the caller has its 2xx */
bool row[EVENTS];      /* the outbox, by position */
bool aside[EVENTS];    /* its mark: no queue took it */
bool published[EVENTS]; /* some queue has it, or had it */
byte leader = NOBODY;  /* the lease of the outbox */
bool bound;            /* the consumer's queue is declared and bound */
byte queue[EVENTS * SLOTS];
byte held[EVENTS]; /* delivered, not acknowledged */
byte dead[EVENTS];
bool inbox[EVENTS];
byte effect[EVENTS];
byte failed[EVENTS]; /* attempts that really failed */
bool down;           /* the consumer's database */
bool blocked;        /* the way to the delay queues and to the dead letters */
bool undecided[EVENTS];
byte looks[EVENTS];   /* at what was undecided: a header of the message, so a replay does not set it back */
byte charged[EVENTS]; /* deliveries that an outage used up */
bool open[WORKERS];   /* the worker subscribes; false during its pause */

#define KEPT(e) \
    assert(!accepted[e] || row[e] || queue[SLOT(e, 0)] || queue[SLOT(e, 1)] || held[e] || dead[e] || effect[e])

/* ---- the service ------------------------------------------------------------------------------------------------ */

proctype Service(byte e) {
#ifdef OUTBOX_SECOND_TRANSACTION
    accepted[e] = true;
    if
    :: row[e] = true
    :: atomic { crashes > 0 -> crashes--; KEPT(e) }
    fi
#else
    atomic { accepted[e] = true; row[e] = true } /* a crash before it: nothing was accepted */
#endif
}

/* ---- the relay -------------------------------------------------------------------------------------------------- */

#define WAITS(e) (row[e] && !aside[e])

inline relay_falls() {
    crashes--;
    if
    :: leader == me -> leader = DEAD
    :: else
    fi;
    forget_row()
}

inline forget_row() { e = 0; d = 0; overtakes = false }

/* The row at position e+1 is chosen: does an earlier one wait that was never published? */
inline choose() {
    d = 0;
    do
    :: d < e -> overtakes = overtakes || (WAITS(d) && !published[d]); d++
    :: else -> break
    od
}

inline taken() {
    queue[SLOT(e, 0)]++;
    assert(!overtakes);
    published[e] = true
}

proctype Relay(byte me) {
    byte e, d;
    bool overtakes;
#ifdef UNCONFIRMED_IS_PASSED_BY
    byte after;
#endif
end:
    do
    :: atomic { leader == NOBODY -> leader = me }
    :: atomic {
           leader == me && (WAITS(0) || WAITS(EVENTS - 1)) ->
#ifdef UNCONFIRMED_IS_PASSED_BY
           e = after;
           after = 0;
#endif
           do
           :: e < EVENTS && !WAITS(e) -> e++
           :: else -> break
           od;
#ifdef UNCONFIRMED_IS_PASSED_BY
           if
           :: e == EVENTS -> forget_row(); goto end
           :: else
           fi;
#endif
           choose();
           goto publish
       }
#ifndef SET_ASIDE_FOR_EVER
    /* Now and then the oldest that is set aside, if none before it waits. */
    :: atomic { leader == me && aside[0] -> e = 0; goto publish }
    :: atomic { leader == me && !row[0] && aside[EVENTS - 1] -> e = EVENTS - 1; choose(); goto publish }
#endif
    od;
publish:
#ifdef DELETE_BEFORE_CONFIRM
    atomic { row[e] = false };
#endif
    if
    :: atomic { bound -> taken(); goto confirmed } /* taken for good, and said so */
#ifdef NO_MANDATORY
    :: atomic { !bound -> goto confirmed } /* no queue takes it, and the broker confirms it */
#else
    :: atomic { !bound -> aside[e] = row[e]; forget_row(); goto end } /* returned: it stays, the others go first */
#endif
    :: atomic { losses > 0 && bound -> losses--; taken(); goto unconfirmed } /* taken, the answer is lost */
    :: atomic { losses > 0 -> losses--; goto unconfirmed } /* cut on the way there */
    :: atomic { crashes > 0 -> relay_falls(); goto end }
    fi;
confirmed:
    if
    :: atomic {
           row[e] = false;
           KEPT(e);
           aside[0] = false; /* a queue takes it again: all are put back */
           aside[EVENTS - 1] = false;
           forget_row();
           goto end
       }
    :: atomic { crashes > 0 -> relay_falls(); goto end }
    fi;
unconfirmed: /* it goes first on the next turn */
#ifdef NO_CONFIRMS
    goto confirmed
#else
    atomic {
        KEPT(e);
#ifdef UNCONFIRMED_IS_PASSED_BY
        after = e + 1;
#endif
        forget_row();
        goto end
    }
#endif
}

proctype Lease() {
end:
    do
#ifndef LEASE_WITHOUT_END
    :: atomic { leader == DEAD -> leader = NOBODY }
    :: atomic { takeovers > 0 && leader < NOBODY -> takeovers--; leader = NOBODY } /* frozen: it may act once more */
#else
    :: false
#endif
    od
}

proctype Topology() { bound = true }

/* ---- the consumer ----------------------------------------------------------------------------------------------- */

inline take(event, attempt) {
    queue[SLOT(event, attempt)]--;
    e = event;
    a = attempt;
#ifdef ACK_BEFORE_EFFECT
    mine = false
#else
    held[e]++;
    mine = true
#endif
}

inline let_go() {
    if
    :: mine -> held[e]--
    :: else
    fi;
    mine = false
}

inline pause() {
    assert(down);
    open[me] = false
}

inline forget() { e = 0; a = 0; next = 0 }

inline worker_falls() {
    crashes--;
    if
    :: mine -> queue[SLOT(e, a)]++ /* it comes again */
    :: mine -> dead[e]++           /* or the delivery limit makes a letter of it */
    :: !mine
    fi;
    let_go();
    KEPT(e);
    open[me] = true;
    forget()
}

/* Held for as long as the broker allows: it is given back, which charges a delivery. */
inline give_back() {
    if
    :: mine -> queue[SLOT(e, a)]++; charged[e]++; assert(charged[e] <= CHARGES)
    :: else
    fi;
    let_go();
    KEPT(e);
    forget()
}

proctype Worker(byte me) {
    byte e, a, next; /* the event, the attempts that failed before this one, and those that the copy will carry */
    bool mine;       /* the delivery is still ours */
    open[me] = true;
end:
    do
    :: atomic { open[me] && queue[SLOT(0, 0)] > 0 -> take(0, 0); break }
    :: atomic { open[me] && queue[SLOT(0, 1)] > 0 -> take(0, 1); break }
#if EVENTS > 1
    :: atomic { open[me] && queue[SLOT(1, 0)] > 0 -> take(1, 0); break }
    :: atomic { open[me] && queue[SLOT(1, 1)] > 0 -> take(1, 1); break }
#endif
#if EVENTS > 2
    :: atomic { open[me] && queue[SLOT(2, 0)] > 0 -> take(2, 0); break }
    :: atomic { open[me] && queue[SLOT(2, 1)] > 0 -> take(2, 1); break }
#endif
#ifndef PAUSE_WITHOUT_END
    :: atomic { !open[me] && !down && !blocked -> open[me] = true } /* every probe answers */
#endif
    od;
handle:
    if
#ifdef INBOX_SECOND_TRANSACTION
    :: atomic { !down && inbox[e] -> goto acknowledge }
    :: atomic { !down && !inbox[e] -> inbox[e] = true };
       if
       :: atomic { effect[e]++; assert(effect[e] <= 1); goto acknowledge }
       :: atomic { crashes > 0 -> worker_falls(); goto end }
       fi
#else
    :: atomic {
           !down && (!undecided[e] || inbox[e]) ->
           if
           :: !inbox[e] -> inbox[e] = true; effect[e]++
#ifdef NO_INBOX
           :: inbox[e] -> effect[e]++
#else
           :: inbox[e] /* a duplicate: nothing is left to do */
#endif
           fi;
           assert(effect[e] <= 1);
           goto acknowledge
       }
#endif
    :: atomic { !down && failures > 0 -> failures--; failed[e]++; next = a + 1; goto pass_on }
    :: atomic { !down && undecided[e] && !inbox[e] -> goto look }
#ifdef PARK_BEFORE_PAUSE
    :: atomic { down -> goto park }
#else
    :: atomic { down -> pause(); goto park }
#endif
    :: atomic { losses > 0 && mine -> losses--; queue[SLOT(e, a)]++; let_go(); goto handle } /* cut: it runs twice */
    :: atomic { crashes > 0 -> worker_falls(); goto end }
    fi;
look: /* it waits alone, and no attempt is counted */
#ifdef UNDECIDED_PAUSES
    atomic { pause() };
#endif
#ifdef UNDECIDED_IS_AN_ERROR
    atomic { next = a + 1; goto pass_on };
#else
    atomic {
        if
#ifndef UNDECIDED_FOR_EVER
        :: looks[e] == LOOKS -> next = RETRY_ATTEMPTS + 1
        :: looks[e] < LOOKS ->
#else
        ::
#endif
            looks[e]++;
            assert(looks[e] <= LOOKS);
            next = a
        fi;
        goto pass_on
    };
#endif
park: /* an outage: the shortest delay, no attempt counted */
#ifdef OUTAGE_IS_AN_ERROR
    atomic { next = a + 1 };
#else
    atomic { next = a };
#endif
pass_on:
    if
#ifdef DROP_AFTER_RETRIES
    :: next > RETRY_ATTEMPTS -> goto acknowledge
#else
    :: atomic {
           next > RETRY_ATTEMPTS && !blocked ->
           assert(failed[e] > RETRY_ATTEMPTS || looks[e] == LOOKS);
           dead[e]++;
           goto acknowledge
       }
    :: atomic { next > RETRY_ATTEMPTS && losses > 0 -> losses--; dead[e]++; goto not_taken }
#endif
    :: atomic { next <= RETRY_ATTEMPTS && !blocked -> queue[SLOT(e, next)]++; goto acknowledge }
    :: atomic { next <= RETRY_ATTEMPTS && losses > 0 -> losses--; queue[SLOT(e, next)]++; goto not_taken }
    :: atomic { losses > 0 -> losses--; goto not_taken }
    :: atomic { blocked -> goto not_taken }
    :: atomic { crashes > 0 -> worker_falls(); goto end }
    fi;
not_taken: /* pause first, then hold it until the way out answers, or for as long as the broker allows */
#ifdef RETRY_WITHOUT_CONFIRM
    goto acknowledge;
#else
#ifdef PARK_BEFORE_PAUSE
    atomic { give_back(); goto end };
#endif
    atomic { open[me] = false };
    if
    :: atomic { !blocked -> goto pass_on }
    :: atomic { blocked -> give_back(); goto end }
    :: atomic { crashes > 0 -> worker_falls(); goto end }
    fi;
#endif
acknowledge:
    if
    :: atomic { let_go(); KEPT(e); forget(); goto end }
    :: atomic { crashes > 0 -> worker_falls(); goto end }
    fi
}

proctype Database() {
end:
    do
    :: atomic { outages > 0 -> outages--; down = true }; down = false
    od
}

proctype Broker() {
end:
    do
    :: atomic { blocks > 0 -> blocks--; blocked = true }; blocked = false
    od
}

proctype Decider() {
end:
    do
    :: atomic { undecideds > 0 -> undecideds--; undecided[0] = true }; undecided[0] = false
    od
}

/* ---- an operator replays letters, to the queue that they died in ------------------------------------------------- */

#define REPLAY(e) \
    :: atomic { dead[e] > 0 -> dead[e]--; queue[SLOT(e, 0)]++ } \
    :: atomic { dead[e] > 0 && crashes > 0 -> crashes--; queue[SLOT(e, 0)]++ } /* published, and not on record */

proctype Operator() {
end:
    do
#ifdef NO_REPLAY
    :: false
#else
    REPLAY(0)
#if EVENTS > 1
    REPLAY(1)
#endif
#if EVENTS > 2
    REPLAY(2)
#endif
#endif
    od
}

/* ---- what must hold when nothing moves any more ------------------------------------------------------------------ */

#ifndef LIVENESS
proctype Observer() {
    byte e;
    timeout;
    d_step {
        do
        :: e < EVENTS ->
           assert(accepted[e] && effect[e] == 1 && !row[e] && !held[e] && !dead[e]);
           assert(!queue[SLOT(e, 0)] && !queue[SLOT(e, 1)]);
           e++
        :: else -> break
        od
    }
}
#endif

init {
    atomic {
        byte i;
        for (i : 0 .. EVENTS - 1) { run Service(i) }
        run Relay(0);
        run Relay(1);
        run Lease();
        run Topology();
        for (i : 0 .. WORKERS - 1) { run Worker(i) }
        run Database();
        run Broker();
        run Decider();
        run Operator();
#ifndef LIVENESS
        run Observer()
#endif
    }
}

#ifdef LIVENESS
ltl ends { [] (accepted[0] -> <> (effect[0] == 1)) }
#endif
