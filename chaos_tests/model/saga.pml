/* The way of an order through three contexts: orders, inventory, payments. Its events come in any order and more than
 * once; any of them may end as a dead letter, replayed late or never; the customer cancels or the time is over at any
 * moment; rivals want the same stock.
 *
 * Guarantees, for every interleaving within the bounds below:
 *   conserved     on_hand = received - sold, reserved is what open reservations hold, and never more than on_hand (P3)
 *   never-both    no context ever hears of one order both that it is confirmed and that it is cancelled
 *   paid          an order is confirmed only with its money taken and its stock held (P3, P4)
 *   balanced      when nothing can move any more every order has ended, its stock is sold or free, and its money is taken
 *                 or given back, also if dead letters of it are never replayed (P1, P3, P4)
 *   settles       (liveness, weakly fair) the order gets there
 *
 * Not modelled: how events travel (delivery.pml) and the steps between a payment and its provider (settlement.pml; here
 * settling is one step, at any time after its fact). No inbox: a duplicate is a message that stays, and is handled again
 * at any later time, so what holds here holds after the inbox was pruned. A rival is an order of which only the stock is
 * seen.
 *
 * The same file is every mutant: -DNAME takes one guarantee away. docs/model.md maps the steps to the code.
 */
#ifndef ORDERS
#define ORDERS 1
#endif
#ifndef STOCK
#define STOCK 1 /* of the one product; each order wants one */
#endif
#ifndef RIVALS
#define RIVALS 1
#endif
#ifndef DUPLICATES
#define DUPLICATES 2
#endif
#ifndef LETTERS
#define LETTERS 1 /* events that become dead letters */
#endif
#ifndef REPLAYS
#define REPLAYS 1 /* 0: no letter is ever replayed */
#endif

/* an order */
#define PENDING 0
#define RESERVED 1
#define CONFIRMED 2
#define CANCELLED 3
/* a reservation */
#define NONE 0
#define HELD 1
#define SOLD 2
#define RELEASED 3
#define REJECTED 4
#define REMEMBERED 5 /* cancelled before it was placed */
/* a payment */
#define UNPAID 0
#define CAPTURED 1
#define DECLINED 2
#define VOID 3
#define REFUNDED 4

/* messages: the first letter is who hears it */
#define I_PLACED 0
#define I_CONFIRMED 1
#define I_CANCELLED 2
#define O_RESERVED 3
#define O_REJECTED 4
#define O_CAPTURED 5
#define O_DECLINED 6
#define O_HELD_LONG 7
#define O_UNPAID_LONG 8
#define P_PLACED 9
#define P_RESERVED 10
#define P_CANCELLED 11
#define P_CONFIRMED 12
#define KINDS 13

byte duplicates = DUPLICATES, letters = LETTERS;
byte message[KINDS * ORDERS]; /* copies under way */
bool letter[KINDS * ORDERS];

byte order[ORDERS];
byte reservation[ORDERS];
byte payment[ORDERS];
bool known[ORDERS], stocked[ORDERS], cancel[ORDERS]; /* the facts that payments goes by */
bool confirmed[ORDERS]; /* payments knows that the order is confirmed: the money stays */
bool good_card[ORDERS];
byte on_hand = STOCK, reserved, sold;
byte held_by_rivals;

#define M(kind) message[(kind) * ORDERS + o]
#define L(kind) letter[(kind) * ORDERS + o]
#define IS_OPEN (order[o] == PENDING || order[o] == RESERVED)
#define TAKEN (payment[o] == CAPTURED)

/* Acknowledged, or not: then it is handled again later. */
inline take(kind) {
    if
    :: M(kind)--
    :: duplicates > 0 -> duplicates--
    fi
}

/* A third copy would do no more than a second. */
#define TELL(kind) M(kind) = (M(kind) < 2 -> M(kind) + 1 : 2)

/* What every consumer may meet: a message that becomes a letter, and a letter that is replayed. */
#if REPLAYS
#define LETTER(kind) \
    :: atomic { M(kind) && letters > 0 -> letters--; M(kind)--; L(kind) = true } \
    :: atomic { L(kind) -> L(kind) = false; TELL(kind) }
#else
#define LETTER(kind) :: atomic { M(kind) && letters > 0 -> letters--; M(kind)--; L(kind) = true }
#endif

inline conserved() {
    byte n, held;
    d_step {
        n = 0;
        held = held_by_rivals;
        do
        :: n < ORDERS -> held = held + (reservation[n] == HELD -> 1 : 0); n++
        :: else -> break
        od;
        assert(reserved == held && reserved <= on_hand && on_hand + sold == STOCK);
        n = 0;
        held = 0
    }
}

/* ---- orders ------------------------------------------------------------------------------------------------------- */

inline tell_cancelled() { TELL(I_CANCELLED); TELL(P_CANCELLED) }

inline cancel_it() { order[o] = CANCELLED; tell_cancelled() }

inline confirm_it() { order[o] = CONFIRMED; TELL(I_CONFIRMED); TELL(P_CONFIRMED) }

inline tell_again() {
    if
    :: order[o] == CONFIRMED -> TELL(I_CONFIRMED); TELL(P_CONFIRMED)
    :: order[o] == CANCELLED -> tell_cancelled()
    :: else /* open: it will end by itself */
    fi
}

proctype Orders(byte o) {
    atomic { M(I_PLACED) = 1; M(P_PLACED) = 1 };
end:
    do
    :: atomic {
           M(O_RESERVED) -> take(O_RESERVED);
           if
           :: order[o] == PENDING -> order[o] = RESERVED
           :: else
           fi
       }
    :: atomic {
           M(O_CAPTURED) -> take(O_CAPTURED);
           if
#ifdef NO_STATE_GUARD
           :: true -> confirm_it()
#else
           :: IS_OPEN -> assert(TAKEN && reservation[o] == HELD); confirm_it()
#ifdef LATE_CAPTURE_NOT_ANSWERED
           :: order[o] == CANCELLED
#else
           :: order[o] == CANCELLED -> tell_cancelled() /* too late: should payments have missed the cancellation */
#endif
           :: order[o] == CONFIRMED
#endif
           fi
       }
    :: atomic {
           M(O_REJECTED) -> take(O_REJECTED);
           if
           :: IS_OPEN -> cancel_it()
           :: else
           fi
       }
    :: atomic {
           M(O_DECLINED) -> take(O_DECLINED);
           if
           :: IS_OPEN -> cancel_it()
           :: else
           fi
       }
    :: atomic { M(O_HELD_LONG) -> take(O_HELD_LONG); tell_again() }
    :: atomic { M(O_UNPAID_LONG) -> take(O_UNPAID_LONG); tell_again() }
    LETTER(O_RESERVED)
    LETTER(O_CAPTURED)
    LETTER(O_REJECTED)
    LETTER(O_DECLINED)
    LETTER(O_HELD_LONG)
    LETTER(O_UNPAID_LONG)
    od
}

/* At any moment: the customer, or the time is over. */
proctype Clock(byte o) {
end:
    do
#ifdef CANCEL_THE_CONFIRMED
    :: atomic { order[o] != CANCELLED -> cancel_it() }
#else
#ifdef NO_TIME_OUT
    :: false
#else
    :: atomic { IS_OPEN -> cancel_it() }
#endif
#endif
    od
}

/* Who waits long asks how the order ended. (One that is open is not told of: liveness leaves these questions out.) */
#ifdef LIVENESS
#define MAY_ASK(kind) (!M(kind) && !IS_OPEN)
#else
#define MAY_ASK(kind) (!M(kind))
#endif

proctype Sweeps(byte o) {
end:
    do
#ifdef NO_ASKING
    :: false
#else
    :: atomic { reservation[o] == HELD && MAY_ASK(O_HELD_LONG) -> M(O_HELD_LONG) = 1 }
    :: atomic {
           payment[o] == UNPAID && known[o] && !stocked[o] && !cancel[o] && MAY_ASK(O_UNPAID_LONG) ->
           M(O_UNPAID_LONG) = 1
       }
#ifndef NO_ASKING_ABOUT_CAPTURED
    :: atomic { TAKEN && !cancel[o] && !confirmed[o] && MAY_ASK(O_UNPAID_LONG) -> M(O_UNPAID_LONG) = 1 }
#endif
#endif
    od
}

/* ---- inventory ----------------------------------------------------------------------------------------------------- */

proctype Inventory(byte o) {
end:
    do
#ifdef RESERVE_WITHOUT_LOCK
    :: atomic { M(I_PLACED) && reservation[o] == NONE && on_hand - reserved > 0 -> take(I_PLACED) };
       atomic {
           reservation[o] = HELD;
           reserved++;
           conserved();
           M(O_RESERVED) = 1;
           M(P_RESERVED) = 1
       }
    :: atomic { M(I_PLACED) && reservation[o] != NONE -> take(I_PLACED) }
    :: atomic {
           M(I_PLACED) && reservation[o] == NONE && on_hand - reserved == 0 -> take(I_PLACED);
           reservation[o] = REJECTED;
           M(O_REJECTED) = 1
       }
#else
    :: atomic {
           M(I_PLACED) -> take(I_PLACED);
           if
           :: reservation[o] != NONE /* known, or cancelled before */
           :: reservation[o] == NONE && on_hand - reserved > 0 ->
              reservation[o] = HELD;
              reserved++;
              conserved();
              M(O_RESERVED) = 1;
              M(P_RESERVED) = 1
           :: reservation[o] == NONE && on_hand - reserved == 0 -> reservation[o] = REJECTED; M(O_REJECTED) = 1
           fi
       }
#endif
    :: atomic {
           M(I_CONFIRMED) -> take(I_CONFIRMED);
           assert(reservation[o] == HELD || reservation[o] == SOLD); /* else: rejected, an operator has to look */
           if
#ifdef NO_RESERVATION_GUARD
           :: true -> reservation[o] = SOLD; on_hand--; reserved--; sold++; conserved()
#else
           :: reservation[o] == HELD -> reservation[o] = SOLD; on_hand--; reserved--; sold++; conserved()
           :: else
#endif
           fi
       }
    :: atomic {
           M(I_CANCELLED) -> take(I_CANCELLED);
           assert(reservation[o] != SOLD);
           if
#ifdef CANCELLATION_NOT_REMEMBERED
           :: reservation[o] == NONE
#else
           :: reservation[o] == NONE -> reservation[o] = REMEMBERED
#endif
           :: reservation[o] == HELD -> reservation[o] = RELEASED; reserved--; conserved()
           :: else
           fi
       }
#ifdef INVENTORY_GUESSES
    :: atomic { reservation[o] == HELD -> reservation[o] = RELEASED; reserved--; conserved() }
#endif
    LETTER(I_PLACED)
    LETTER(I_CONFIRMED)
    LETTER(I_CANCELLED)
    od
}

proctype Rival() {
end:
    atomic { on_hand - reserved > 0 -> reserved++; held_by_rivals++; conserved() };
    if
    :: atomic { reserved--; held_by_rivals--; conserved() }
    :: atomic { on_hand--; reserved--; sold++; held_by_rivals--; conserved() }
    fi
}

/* ---- payments ------------------------------------------------------------------------------------------------------ */

proctype Payments(byte o) {
end:
    do
    :: atomic { M(P_PLACED) -> take(P_PLACED); known[o] = true }
    :: atomic { M(P_RESERVED) -> take(P_RESERVED); stocked[o] = true }
    :: atomic { M(P_CANCELLED) -> take(P_CANCELLED); assert(!confirmed[o]); cancel[o] = true }
    :: atomic { M(P_CONFIRMED) -> take(P_CONFIRMED); assert(!cancel[o]); confirmed[o] = true }
#ifdef CHARGE_WITHOUT_STOCK
    :: atomic { payment[o] == UNPAID && !cancel[o] && known[o] && good_card[o] ->
#else
    :: atomic { payment[o] == UNPAID && !cancel[o] && known[o] && stocked[o] && good_card[o] ->
#endif
           payment[o] = CAPTURED;
           M(O_CAPTURED) = 1
       }
    :: atomic {
           payment[o] == UNPAID && !cancel[o] && known[o] && stocked[o] && !good_card[o] ->
           payment[o] = DECLINED;
           M(O_DECLINED) = 1
       }
    :: atomic { payment[o] == UNPAID && cancel[o] -> payment[o] = VOID }
#ifndef NO_REFUND
    :: atomic { payment[o] == CAPTURED && cancel[o] -> payment[o] = REFUNDED }
#endif
    LETTER(P_PLACED)
    LETTER(P_RESERVED)
    LETTER(P_CANCELLED)
    LETTER(P_CONFIRMED)
    od
}

/* ---- what must hold when nothing moves any more ---------------------------------------------------------------------- */

/* What payments was never told to charge, it need not undo. */
#define UNTOUCHED (payment[o] == UNPAID && !known[o])
#define BALANCED                                                                                                      \
    ((order[o] == CONFIRMED && reservation[o] == SOLD && payment[o] == CAPTURED) ||                                   \
     (order[o] == CANCELLED && reservation[o] != HELD && reservation[o] != SOLD && (payment[o] > CAPTURED || UNTOUCHED)))

#ifndef LIVENESS
proctype Observer() {
    byte o;
    timeout;
    d_step {
        do
        :: o < ORDERS -> assert(BALANCED); o++
        :: else -> break
        od
    }
}
#endif

init {
    byte o;
    atomic {
        for (o : 0 .. ORDERS - 1) {
            if
            :: good_card[o] = true
            :: true
            fi;
            run Orders(o);
            run Clock(o);
            run Sweeps(o);
            run Inventory(o);
            run Payments(o)
        }
#if RIVALS
        for (o : 1 .. RIVALS) { run Rival() }
#endif
        o = 0;
#ifndef LIVENESS
        run Observer()
#endif
    }
}

#ifdef LIVENESS
/* Not <>[]: a search under weak fairness misses a system that stands still where that is violated. With nothing under
 * way this is as much: it is an end. */
#define NONE_OF(kind) (message[kind] == 0 && message[kind + 1] == 0 && message[kind + 2] == 0)
#define IN_ORDER                                                                                                      \
    ((order[0] == CONFIRMED && reservation[0] == SOLD && payment[0] == CAPTURED) ||                                   \
     (order[0] == CANCELLED && reservation[0] != HELD && reservation[0] != SOLD && payment[0] > CAPTURED))
ltl settles { <> (IN_ORDER && NONE_OF(I_PLACED) && NONE_OF(O_RESERVED) && NONE_OF(O_DECLINED) && NONE_OF(P_PLACED) && \
                   message[P_CONFIRMED] == 0) }
#endif
