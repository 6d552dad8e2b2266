/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group commit: clients each want one write, the writer takes all that wait into one transaction, commits,
 * syncs and answers, a reader looks, and the power may fail at any step. What is asserted: what was answered
 * (I12) and what was shown (I13) is still there afterwards. What makes it hold is rule 6: commit, then fsync,
 * then visible, then answered; after a failed fsync stop and recover. Each part can be left out:
 *
 *    WITHOUT_FSYNC_BEFORE_ANSWER   answers go out after the commit already
 *    WITHOUT_FSYNC_BEFORE_SHOWING  readers see what is committed and not yet synced
 *    WITHOUT_SAVEPOINTS            a write that failed within its batch is answered like the others
 *    WITHOUT_STOP_ON_FSYNC_ERROR   the writer goes on after a failed fsync, and answers
 */
#define CLIENTS 3
#define MAX_FAILURES 2 /* of the power, or of an fsync */

mtype = { nothing, waits, in_batch, refused };

bool up = true
bool committed = false, batch = false
mtype request[CLIENTS] = nothing
bool fails[CLIENTS]    /* this write violates a constraint */
bool cached[CLIENTS] /* committed: in the page cache */
bool durable[CLIENTS]  /* on the disk */
byte failures = 0

/* Witnesses. */
bool answered[CLIENTS], shown[CLIENTS]

inline take_batch()
{
    batch = true;
    for (i : 0 .. CLIENTS - 1) {
        if
        :: request[i] == waits -> request[i] = in_batch
        :: else -> skip
        fi
    }
}

inline commit()
{
    committed = true;
    for (i : 0 .. CLIENTS - 1) {
        if
        :: request[i] == in_batch && !fails[i] -> cached[i] = true
        :: request[i] == in_batch && fails[i] ->
#ifdef WITHOUT_SAVEPOINTS
            skip
#else
            request[i] = refused
#endif
        :: else -> skip
        fi
    }
}

inline make_durable()
{
    for (i : 0 .. CLIENTS - 1) {
        durable[i] = cached[i]
    }
}

inline answer_batch()
{
    for (i : 0 .. CLIENTS - 1) {
        if
        :: request[i] == in_batch -> answered[i] = true
        :: else -> skip
        fi;
        if
        :: request[i] == in_batch || request[i] == refused -> request[i] = nothing
        :: else -> skip
        fi
    }
    batch = false;
    committed = false
}

#define CAN_FAIL (up && failures < MAX_FAILURES)

inline recover()
{
    for (i : 0 .. CLIENTS - 1) {
        cached[i] = durable[i];
        request[i] = nothing
    }
    batch = false;
    committed = false;
    up = true
}

active proctype writer()
{
    byte i;
end:
    do
    :: atomic {
           up && !batch && (request[0] == waits || request[1] == waits || request[2] == waits) ->
           take_batch();
           i = 0
       }
    :: atomic { up && batch && !committed -> commit(); i = 0 }
#ifdef WITHOUT_FSYNC_BEFORE_ANSWER
    :: atomic { up && committed -> answer_batch(); i = 0 }
#endif
    :: atomic { up && committed -> make_durable(); answer_batch(); i = 0 }
#ifdef WITHOUT_STOP_ON_FSYNC_ERROR
    :: atomic { CAN_FAIL && committed -> failures++; answer_batch(); i = 0 }
#endif
    :: atomic { CAN_FAIL -> failures++; up = false } /* the power, or an fsync that failed */
    :: atomic { !up -> recover(); i = 0 }
    od
}

/* Sends, and sends again after a time-out. */
active [CLIENTS] proctype client()
{
    byte me = _pid - 1;
    if
    :: fails[me] = true
    :: skip
    fi;
end:
    do
    :: atomic { up && !answered[me] && request[me] == nothing -> request[me] = waits }
    :: answered[me] -> break
    od
}

#ifdef WITHOUT_FSYNC_BEFORE_SHOWING
#define VISIBLE(i) cached[i]
#else
#define VISIBLE(i) durable[i]
#endif

active proctype reader()
{
end:
    do
    :: atomic { up && VISIBLE(0) -> shown[0] = true }
    :: atomic { up && VISIBLE(1) -> shown[1] = true }
    :: atomic { up && VISIBLE(2) -> shown[2] = true }
    od
}

#define IS_LOST(what) (what[0] && !cached[0] || what[1] && !cached[1] || what[2] && !cached[2])

active proctype monitor()
{
end:
    do
    :: atomic { up && IS_LOST(answered) -> assert(false) } /* I12 */
    :: atomic { up && IS_LOST(shown) -> assert(false) }    /* I13 */
    od
}
