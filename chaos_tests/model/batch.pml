/* How a worker handles events in batches: one transaction for several, then their acknowledgements.
 *
 * Guarantees, for every interleaving within the bounds below:
 *   kept    an event is at every moment with the broker, a dead letter, or has taken effect (P1, P5)
 *   once    it takes effect at most once (P2)
 *   blame   only an event whose own handler failed so often becomes a dead letter, never one of its batch
 *   quiet   when nothing can move any more, every event has taken effect or is such a dead letter; no lock ever needs a
 *           time-out to end a wait
 *
 * A worker is three processes: its channel, which takes what is delivered; the lane, which handles one batch at a time;
 * and the pool, which handles alone what is delivered again, what has failed before, and each event of a batch that
 * failed. A crash ends all three. A cut connection ends the channel only: lane and pool go on, and their tags are void.
 *
 * Not modelled: the outbox and what is beyond it (delivery.pml); outages; rows other than the inbox's.
 * The same file is every mutant: -DNAME takes one guarantee away. docs/model.md maps the steps to the code.
 */
#ifndef EVENTS
#define EVENTS 2
#endif
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef CUTS
#define CUTS 1 /* connections of a worker that are cut */
#endif
#ifndef FAILURES
#define FAILURES 2 /* handlers that raise, in a batch or alone */
#endif
#ifndef COPIES
#define COPIES 1 /* of each event: the relay may publish one twice */
#endif
#define RETRY_ATTEMPTS 0
#define NONE 9
#define FREE 0
#define WAITS 1 /* for the next batch */
#define BATCHED 2
#define ALONE 3
#define AT(w, e) ((w) * EVENTS + (e))

byte crashes = CRASHES, cuts = CUTS, failures = FAILURES;
byte queue[EVENTS];
bool again[EVENTS]; /* delivered before, or failed before: it goes alone */
byte dead[EVENTS], effect[EVENTS], failed[EVENTS];
bool inbox[EVENTS];
byte place[WORKERS * EVENTS]; /* of what a worker holds and has not acknowledged */
byte tag[WORKERS * EVENTS], last[WORKERS];
byte channel[WORKERS]; /* which connection it is */
bool staged[WORKERS * EVENTS]; /* inbox rows of an open transaction */
bool lane_dies[WORKERS], pool_dies[WORKERS];

#if WORKERS > 1
#define HELD(e) (place[AT(0, e)] || place[AT(1, e)])
#define LOCKED(e) (staged[AT(1 - w, e)])
#else
#define HELD(e) (place[AT(0, e)])
#define LOCKED(e) false
#endif
#ifdef UNSORTED_INBOX
#define NTH(i) (w -> EVENTS - 1 - (i) : (i))
#else
#define NTH(i) (i)
#endif
#define KEPT(e) assert(queue[e] || HELD(e) || dead[e] || effect[e])
#if EVENTS > 2
#define ANY_WAITS (place[AT(w, 0)] == WAITS || place[AT(w, 1)] == WAITS || place[AT(w, 2)] == WAITS)
#else
#define ANY_WAITS (place[AT(w, 0)] == WAITS || place[AT(w, 1)] == WAITS)
#endif

/* ---- the channel ------------------------------------------------------------------------------------------------- */

inline take(x) {
    queue[x]--;
    last[w]++;
    tag[AT(w, x)] = last[w];
    place[AT(w, x)] = (again[x] -> ALONE : WAITS)
}

/* The broker takes back what was not acknowledged, and delivers it again. */
inline give_back_all() {
    x = 0;
    do
    :: x < EVENTS ->
       if
       :: place[AT(w, x)] -> queue[x]++; again[x] = true
       :: else
       fi;
       place[AT(w, x)] = FREE;
       tag[AT(w, x)] = 0;
       KEPT(x);
       x++
    :: else -> break
    od;
    x = 0;
    last[w] = 0;
    channel[w]++
}

inline end_transaction() {
    x = 0;
    do
    :: x < EVENTS -> staged[AT(w, x)] = false; x++
    :: else -> break
    od;
    x = 0
}

proctype Channel(byte w) {
    byte x;
end:
    do
    :: atomic { queue[0] > 0 && !place[AT(w, 0)] -> take(0) }
    :: atomic { queue[1] > 0 && !place[AT(w, 1)] -> take(1) }
#if EVENTS > 2
    :: atomic { queue[2] > 0 && !place[AT(w, 2)] -> take(2) }
#endif
    :: atomic { cuts > 0 && last[w] > 0 -> cuts--; give_back_all() }
    :: atomic {
           crashes > 0 && last[w] > 0 ->
           crashes--;
           end_transaction();
           give_back_all();
           lane_dies[w] = true;
           pool_dies[w] = true
       }
    od
}

/* ---- the lane: one batch at a time --------------------------------------------------------------------------------- */

#define IN_BATCH(e) (batch & (1 << (e)))

inline forget() { batch = 0; e = 0; bad = NONE; highest = 0; bound = 0 }

inline gather() {
    bound = channel[w];
    e = 0;
    do
    :: e < EVENTS ->
       if
       :: place[AT(w, e)] == WAITS -> place[AT(w, e)] = BATCHED; batch = batch | (1 << e)
       :: else
       fi;
       e++
    :: else -> break
    od;
    e = 0
}

/* What the tag says is settled on the channel of now, whatever it is. */
inline settle_up_to(t) {
    e = 0;
    do
    :: e < EVENTS ->
       if
       :: place[AT(w, e)] && tag[AT(w, e)] <= t -> place[AT(w, e)] = FREE; tag[AT(w, e)] = 0; KEPT(e)
       :: else
       fi;
       e++
    :: else -> break
    od;
    e = 0
}

/* `highest` is the tag up to which a single acknowledgement may speak for all; what is beyond is settled one by one. */
inline acknowledge() {
    if
    :: bound == channel[w] ->
       e = 0;
       do
       :: e < EVENTS ->
          if
          :: IN_BATCH(e) && place[AT(w, e)] == BATCHED ->
#ifdef MULTIPLE_TOO_FAR
             highest = (tag[AT(w, e)] > highest -> tag[AT(w, e)] : highest);
#endif
             place[AT(w, e)] = FREE;
             tag[AT(w, e)] = 0;
             KEPT(e)
          :: else
          fi;
          e++
       :: else -> break
       od;
#ifdef MULTIPLE_TOO_FAR
       settle_up_to(highest);
#endif
       e = 0
    :: bound != channel[w] -> /* void: the broker delivers them again */
#ifdef ACKNOWLEDGE_ACROSS_A_RECONNECTION
       settle_up_to(1);
#endif
       skip
    fi
}

inline fall_back() {
    if
    :: bound == channel[w] ->
       e = 0;
       do
       :: e < EVENTS ->
          if
          :: IN_BATCH(e) && place[AT(w, e)] == BATCHED -> place[AT(w, e)] = ALONE
          :: else
          fi;
          e++
       :: else -> break
       od;
       e = 0
    :: else
    fi
}

inline commit() {
    e = 0;
    do
    :: e < EVENTS ->
       if
       :: staged[AT(w, e)] ->
          inbox[e] = true;
          staged[AT(w, e)] = false;
#ifdef FAILURE_LEAVES_ITS_INBOX_ROW
          effect[e] = (e == bad -> effect[e] : effect[e] + 1);
#else
          effect[e]++;
#endif
          assert(effect[e] <= 1)
       :: else
       fi;
       e++
    :: else -> break
    od;
    e = 0
}

proctype Lane(byte w) {
    byte batch, e, x, bad = NONE, highest, bound;
end:
    {
    atomic { ANY_WAITS -> gather() };
#ifdef ACKNOWLEDGE_BEFORE_COMMIT
    atomic { acknowledge() };
#endif
insert: /* one row after the other, a row that another transaction has inserted is waited for */
    do
    :: atomic {
           e < EVENTS && (!IN_BATCH(NTH(e)) || !LOCKED(NTH(e))) ->
           if
           :: IN_BATCH(NTH(e)) && !inbox[NTH(e)] -> staged[AT(w, NTH(e))] = true
           :: else
           fi;
           e++
       }
    :: e == EVENTS -> break
    od;
handle:
    if
    :: atomic { commit(); goto committed }
    :: atomic { failures > 0 && staged[AT(w, 0)] -> failures--; bad = 0; goto fail }
    :: atomic { failures > 0 && staged[AT(w, 1)] -> failures--; bad = 1; goto fail }
    fi;
fail: /* nothing of the batch stays: each event is handled alone */
#ifdef FAILURE_LEAVES_ITS_INBOX_ROW
    atomic { commit(); fall_back(); forget(); goto end };
#endif
#ifdef FAILURE_TAKES_ITS_BATCH
    atomic {
        end_transaction();
        failed[bad]++;
        e = 0;
        do
        :: e < EVENTS ->
           if
           :: IN_BATCH(e) && !inbox[e] -> dead[e]++; assert(failed[e] > RETRY_ATTEMPTS)
           :: else
           fi;
           e++
        :: else -> break
        od;
        goto committed
    };
#endif
    atomic { end_transaction(); fall_back(); forget(); goto end };
committed:
#ifndef ACKNOWLEDGE_BEFORE_COMMIT
    atomic { acknowledge() };
#endif
    atomic { forget(); goto end }
    } unless { atomic { lane_dies[w] -> lane_dies[w] = false; forget(); goto end } }
}

/* ---- the pool: what goes alone ------------------------------------------------------------------------------------ */

inline settled() {
    if
    :: bound == channel[w] -> place[AT(w, e)] = FREE; tag[AT(w, e)] = 0; KEPT(e)
    :: else
    fi;
    e = 0;
    bound = 0
}

proctype Pool(byte w) {
    byte e, bound;
end:
    {
    if
    :: atomic { place[AT(w, 0)] == ALONE -> e = 0; bound = channel[w] }
    :: atomic { place[AT(w, 1)] == ALONE -> e = 1; bound = channel[w] }
#if EVENTS > 2
    :: atomic { place[AT(w, 2)] == ALONE -> e = 2; bound = channel[w] }
#endif
    fi;
handle: /* a row of its own batch, whose connection was cut, is waited for as well */
    if
    :: atomic {
           !LOCKED(e) && !staged[AT(w, e)] ->
           if
           :: !inbox[e] -> inbox[e] = true; effect[e]++; assert(effect[e] <= 1)
           :: else /* a duplicate */
           fi
       }
    :: atomic { failures > 0 && !LOCKED(e) && !staged[AT(w, e)] && !inbox[e] -> failures--; failed[e]++ };
       if
       :: atomic { failed[e] > RETRY_ATTEMPTS -> dead[e]++ }
       :: atomic { queue[e]++; again[e] = true } /* its retry */
       fi
    fi;
settle:
    atomic { settled(); goto end }
    } unless { atomic { pool_dies[w] -> pool_dies[w] = false; e = 0; bound = 0; goto end } }
}

/* ---- what must hold when nothing moves any more ------------------------------------------------------------------ */

proctype Observer() {
    byte e;
    timeout;
    d_step {
        do
        :: e < EVENTS ->
           assert((effect[e] == 1 || (dead[e] && failed[e])) && !queue[e] && !HELD(e));
           e++
        :: else -> break
        od
    }
}

init {
    atomic {
        byte i;
        for (i : 0 .. EVENTS - 1) { queue[i] = COPIES }
        for (i : 0 .. WORKERS - 1) { run Channel(i); run Lane(i); run Pool(i) }
        run Observer()
    }
}
