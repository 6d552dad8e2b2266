/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One retirement of two stages, the authority, two drivers and an operator: claim, lease, report, cancel,
 * abort. Messages are lost, late and repeated; drivers crash; leases run out. What is asserted are the
 * invariants of the workflow, by their numbers; what makes them hold are five safeguards, rules 1 to 5 of
 * README.md. Each can be left out to see which invariant then breaks:
 *
 *    WITHOUT_FENCE          1  a report counts without the epoch of the live lease
 *    WITHOUT_ATOMIC_CANCEL  2  a cancel reads the state first and writes afterwards
 *    WITHOUT_REPLAY         3  a repeated report is judged anew
 *    WITHOUT_GUARD          4  a driver starts a call although its lease may be over
 *    WITHOUT_SAFE_ABORT     5  an abort is final while the lease is live
 *
 * REACHABLE=COMPLETE (ERRORED, ABORTED) asserts that this end is never reached after everything that may go
 * wrong went wrong. It must fail, or the model would hold for want of anything happening.
 *
 * The authority decides in one step (core/kernel.c in one transaction). Left out here: renewal, release, being put
 * off and waiting for an operator, which move a lease's end; what drivers died of (halving groups of suspects, and
 * that one who has killed enough of them becomes ERRORED without a failed call); cool-off; an operator's other
 * moves; an LMS as the authority, which has neither leases nor epochs.
 */
#ifndef MAX_CRASHES
#define MAX_CRASHES 1
#endif
#ifndef MAX_EXPIRIES
#define MAX_EXPIRIES 1 /* leases that run out */
#endif
#ifndef MAX_REPEATS
#define MAX_REPEATS 1 /* of each message */
#endif

#define STAGES 2
#define PENDING 0
#define W(k) (2 * (k) - 1)
#define D(k) (2 * (k))
#define COMPLETE (2 * STAGES + 1)
#define ABORTED (2 * STAGES + 2)
#define ERRORED (2 * STAGES + 3)
#define IS_OVER(s) ((s) == COMPLETE || (s) == ABORTED)
#define IS_DEAD_END(s) ((s) >= COMPLETE)
#define STAGE_IN(s) (((s) + 1) / 2)

mtype = { claim, done, failed, granted, next_stage, over, no };

/* A reply to a report: next_stage (accepted, go on), over (accepted, there is nothing to go on with), no. */
chan request[2] = [2] of { mtype, byte, byte } /* what, epoch, stage */
chan reply[2] = [1] of { mtype, byte, byte }   /* verdict; of which epoch and stage */

/* ---- the row ---- */

byte state = PENDING
byte epoch = 0
bool lease_live = false
byte holder
bool abort_asked = false

/* The log: the answer to the report of a stage under an epoch, 0 where none was accepted. Only a lease that
 * ran out is followed by another one. */
#define EPOCHS (MAX_EXPIRIES + 2)
#define AT(e, k) ((e) * (STAGES + 1) + (k))
mtype logged[EPOCHS * (STAGES + 1)]

/* ---- what a driver knows: it counts from when it sent the claim, so its own end comes first ---- */

bool sure[2]

/* ---- witnesses: they decide nothing ---- */

byte started[STAGES + 1], effects[STAGES + 1], completions[STAGES + 1]
bool end_told = false   /* a cancel or abort was acknowledged as final */
bool call_failed = false
byte crashes = 0, expiries = 0

inline count(what)
{
    if
    :: what < 2 -> what++
    :: else -> skip
    fi
}

/* ---- the authority ---- */

inline enter(s)
{
    assert(!IS_OVER(state));                                  /* I1 */
    assert(s > state);                                        /* I2 */
    assert(s != COMPLETE || (effects[1] > 0 && effects[2] > 0
                             && completions[1] == 1 && completions[2] == 1)); /* I5 */
#ifdef REACHABLE
    assert(!(s == REACHABLE && crashes == MAX_CRASHES && expiries == MAX_EXPIRIES));
#endif
    state = s
}

inline become_aborted()
{
    enter(ABORTED);
    abort_asked = false;
    end_told = true
}

inline answer(d, verdict, e, k)
{
    if
    :: nfull(reply[d]) -> reply[d]!verdict(e, k)
    :: skip /* the reply is lost */
    fi
}

inline grant(d)
{
    assert(!lease_live); /* I10 */
    epoch++;
    assert(epoch < EPOCHS);
    lease_live = true;
    holder = d;
    sure[d] = true;
    answer(d, granted, epoch, STAGE_IN(state))
}

inline on_claim(d)
{
    if
    :: lease_live || IS_DEAD_END(state) -> answer(d, no, 0, 0)
    :: !lease_live && !IS_DEAD_END(state) && abort_asked ->
        become_aborted();
        answer(d, no, 0, 0)
    :: !lease_live && state == PENDING ->
        enter(W(1));
        grant(d)
    :: !lease_live && state > PENDING && !IS_DEAD_END(state) && !abort_asked ->
        grant(d) /* the same stage again */
    fi
}

inline on_done(k)
{
    enter(D(k));
    completions[k]++;
    assert(completions[k] == 1 && effects[k] > 0); /* I5, I7 */
    if
    :: abort_asked -> lease_live = false; become_aborted()
    :: !abort_asked && k < STAGES -> enter(W(k + 1))
    :: !abort_asked && k == STAGES -> lease_live = false; enter(COMPLETE)
    fi
}

inline on_failed()
{
    lease_live = false;
    if
    :: abort_asked -> become_aborted()
    :: !abort_asked ->
        assert(call_failed); /* I9 */
        enter(ERRORED)
    fi
}

#ifdef WITHOUT_FENCE
#define MAY_REPORT(e, k) (state < D(k))
#else
#define MAY_REPORT(e, k) (e == epoch && lease_live && state == W(k))
#endif
#ifdef WITHOUT_REPLAY
#define IS_REPEAT(e, k) false
#else
#define IS_REPEAT(e, k) (logged[AT(e, k)] != 0)
#endif

inline on_report(d, what, e, k)
{
    if
    :: IS_REPEAT(e, k) -> answer(d, logged[AT(e, k)], e, k)
    :: !IS_REPEAT(e, k) && MAY_REPORT(e, k) ->
        assert(e == epoch && lease_live); /* I8 */
        if
        :: what == done -> on_done(k)
        :: what == failed -> on_failed()
        fi;
        logged[AT(e, k)] = (IS_DEAD_END(state) -> over : next_stage);
        answer(d, logged[AT(e, k)], e, k)
    :: !IS_REPEAT(e, k) && !MAY_REPORT(e, k) ->
        assert(logged[AT(e, k)] == 0); /* I11 */
        answer(d, no, e, k)
    fi
}

active proctype authority()
{
    mtype what;
    byte d, e, k;
end:
    do
    :: atomic {
        nempty(request[0]) || nempty(request[1]) ->
        if
        :: nempty(request[0]) -> d = 0
        :: nempty(request[1]) -> d = 1
        fi;
        request[d]?what(e, k);
        if
        :: what == claim -> on_claim(d)
        :: what != claim -> on_report(d, what, e, k)
        fi;
        d = 0;
        e = 0;
        k = 0;
        what = no
    }
    :: atomic { lease_live && sure[holder] && expiries < MAX_EXPIRIES ->
        sure[holder] = false;
        expiries++
    }
    :: atomic { lease_live && !sure[holder] -> lease_live = false }
    od
}

/* ---- the operator: a cancel, an abort, or nothing ---- */

active proctype operator()
{
    byte seen;
    if
#ifdef WITHOUT_ATOMIC_CANCEL
    :: seen = state;
       atomic {
           if
           :: seen == PENDING ->
               state = ABORTED;
               end_told = true;
               assert(started[1] == 0) /* I6 */
           :: else -> skip
           fi
       }
#else
    :: atomic {
           state == PENDING ->
           become_aborted();
           assert(started[1] == 0) /* I6 */
       }
#endif
    :: atomic {
           state > PENDING && !IS_DEAD_END(state) ->
#ifdef WITHOUT_SAFE_ABORT
           lease_live = false;
           become_aborted()
#else
           if
           :: lease_live -> abort_asked = true
           :: !lease_live -> become_aborted()
           fi
#endif
       }
    :: skip
    fi
}

/* ---- a driver ---- */

#ifdef WITHOUT_GUARD
#define MAY_CALL(me) true
#else
#define MAY_CALL(me) sure[me]
#endif

/* Others are answers to an earlier message. */
#define IS_ANSWER(verdict, e, k) (e == my_epoch && k == my_stage && verdict != granted)

inline forget()
{
    my_epoch = 0;
    my_stage = 0;
    repeats = 0;
    what = no
}

inline crash()
{
    crashes < MAX_CRASHES -> crashes++;
    forget()
}

/* I3, I4, and that a cancelled one is never called for. */
inline start_call()
{
    assert(!end_told);
    assert(my_stage == 1 || completions[my_stage - 1] == 1);
    count(started[my_stage])
}

active [2] proctype driver()
{
    mtype what = no, verdict;
    byte me = _pid - 2; /* behind the authority and the operator */
    byte my_epoch = 0, my_stage = 0, e, k, repeats = 0;

claiming:
    atomic { nfull(request[me]) -> request[me]!claim(0, 0) };
end_claimed:
    do
    :: atomic {
           reply[me]?verdict(e, k) ->
           if
           :: verdict == granted ->
               my_epoch = e;
               my_stage = k;
               repeats = 0;
               goto working
           :: verdict != granted && IS_DEAD_END(state) -> goto end_of_work
           :: verdict != granted && !IS_DEAD_END(state) -> goto claiming
           fi
       }
    :: atomic { repeats < MAX_REPEATS && nfull(request[me]) -> repeats++; request[me]!claim(0, 0) }
    :: atomic { crash(); goto claiming }
    od;

working:
    if
    :: atomic { MAY_CALL(me) -> start_call() }
    :: atomic { !sure[me] -> forget(); goto claiming }
    :: atomic { crash(); goto claiming }
    fi;
    if
    :: atomic { true -> count(effects[my_stage]); what = done }
    :: atomic { call_failed = true; what = failed }
    :: atomic { crashes < MAX_CRASHES -> count(effects[my_stage]); crash(); goto claiming } /* untold */
    fi;

    atomic { nfull(request[me]) -> request[me]!what(my_epoch, my_stage) };
end_reported:
    do
    :: atomic {
           reply[me]?verdict(e, k) ->
           if
           :: !IS_ANSWER(verdict, e, k) -> skip
           :: IS_ANSWER(verdict, e, k) && verdict == next_stage ->
               my_stage++;
               repeats = 0;
               what = no;
               goto working
           :: IS_ANSWER(verdict, e, k) && verdict != next_stage -> break
           fi
       }
    :: atomic {
           repeats < MAX_REPEATS && nfull(request[me]) ->
           repeats++;
           request[me]!what(my_epoch, my_stage)
       }
    :: atomic { crash(); goto claiming }
    od;
    forget();
    if
    :: IS_DEAD_END(state) -> goto end_of_work
    :: else -> goto claiming
    fi;
end_of_work:
    skip
}
