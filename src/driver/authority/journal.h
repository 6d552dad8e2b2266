/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a driver is doing for an authority without leases, on disk: a driver that was killed goes on at the
 * same stage with the same Idempotency-Key, so that no person stays in a working state for ever.
 *
 * A file of lines that is only appended to, one for each entering of a stage and one for each end:
 *
 *   enter 17 RETIRING_FORUMS 0f1e2d3c4b5a69788796a5b4c3d2e1f0 9f86d081 5d41402a
 *   sent 17 a87ff679
 *   unsent 17 e4da3b7f
 *   later 17 1769995800000000 1770003000000000 {"poll":2} 0cc175b9
 *   kept 17 RETIRING_FORUMS 1777771800000000 {"at":{...}} 5f3c6b2a
 *   done 17 RETIRING_FORUMS 8f14e45f
 *   go 17 2b1f3a60
 *   calls 17 9a0364b9
 *   rest 17 6f1ed002
 *   suspect 17 4 0 1679091c
 *   end 17 7d793037
 *
 * "enter" has a digest of what the stages of the driver called. "sent": the authority has accepted the stage,
 * so calls of it may go out; "unsent": none did. "later": when the stage was begun and until when it is put
 * off, in us, and what the driver has to know again then. The last word is a checksum of those before it: a
 * line that was cut off or damaged is none.
 *
 * "kept": the stage was left half done: it failed, or the person was moved by others. Until then the driver
 * remembers how far it has come, should it be entered again, whatever other stages the person goes through
 * before; until it is "done".
 *
 * A person is in flight from "enter" or "go" to "rest" or "end". Those who are in flight when the
 * file is opened were with a driver that died, perhaps of one of them: they are suspects, who may be in
 * flight with half as many people ("suspect", with the deaths that count against them), until the one that
 * kills drivers is alone. A death counts only if its call had begun ("calls"). An orderly end lets all rest.
 *
 * The file holds numbers of retirements, names of states and random keys; but what the
 * driver has to know again may be what a service calls the person, so it leaves the file within a minute of
 * being of no more use, as long as the driver runs, and otherwise when it is next opened. It belongs to one
 * authority and one driver at a time.
 */
#ifndef LETHE_DRIVER_AUTHORITY_JOURNAL_H
#define LETHE_DRIVER_AUTHORITY_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/world.h"
#include "config/config.h"
#include "core/core.h"

enum { RUN_KEY_LEN = 32, ACTIONS_LEN = 8 };

#define KEPT_FOR (90 * CLOCK_DAY)

struct journal_entry {
    int64_t id;
    char stage[STATE_NAME_MAX + 1]; /* working state that was entered, or was about to be */
    char run_key[RUN_KEY_LEN + 1];
    int64_t begun_at, until; /* wall clock: when the stage that was put off was begun, and until when it is to
                              * rest; 0: it was not put off */
    char *memo;              /* what the driver has to know again then; NULL: nothing */
    bool kept;         /* the person is not in the stage now; the memo is for when it is entered again */
    bool flying;       /* a driver has it now */
    bool calls;        /* it flies alone, and its call has begun */
    unsigned suspects; /* of a driver's death: as in struct retirement; 0: it is none */
    unsigned deaths;   /* of drivers that had it alone at this stage */
    bool inherited;    /* from a driver before, which did not say that nothing was sent */
    char actions[ACTIONS_LEN + 1]; /* of the driver that entered the stage; "": not known */
    bool sent;                     /* the stage was accepted, so calls of it may have been sent */
    struct journal_entry *next;    /* the journal's */
};

struct journal;

/* Makes the directory (mode 0700) and the file where there are none, and waits a moment (of real time) for
 * another driver to end. RC_CONFLICT: one is at work with this journal. RC_IO, RC_NO_SPACE. */
enum rc journal_open(const char *data_dir, const char *url, const struct world *world, struct journal **out,
                     struct err *err) MUST_CHECK;
void journal_close(struct journal **journal);

const struct journal_entry *journal_find(const struct journal *j, int64_t id); /* NULL: not ours */
/* What is remembered of a stage that was left half done; NULL: nothing. */
const char *journal_kept(const struct journal *j, int64_t id, const char *stage);
/* The same for a stage that may have got another name: what is kept of one that the configuration does not
 * have any more, and that has the same first call, is kept for this one from now on. */
const char *journal_kept_of(struct journal *j, const struct config *config, int64_t id,
                            const struct stage_conf *stage);
/* Durable once journal_sync was called; takes the place of an earlier entry. It has what is kept of the
 * stage. */
void journal_enter(struct journal *j, int64_t id, const char *stage, const char *run_key);
void journal_set_actions(struct journal *j, const char *actions); /* of this driver */
/* Of one that is there: calls of its stage may go out from now on; none went out. */
void journal_sent(struct journal *j, int64_t id);
void journal_unsent(struct journal *j, int64_t id);
void journal_end(struct journal *j, int64_t id);
/* Of one that is there. memo may be NULL and has no line breaks; durable as above. */
void journal_put_off(struct journal *j, int64_t id, int64_t begun_at, int64_t until, const char *memo);
/* Ends one that is there, and keeps what was sent of its stage for KEPT_FOR. memo: as above; NULL: nothing
 * was. */
void journal_keep(struct journal *j, int64_t id, const char *memo);
/* The person was moved out of the stage: ends the entry, if there is one, and keeps what it knows of the
 * stage. */
void journal_leave(struct journal *j, int64_t id);
/* The stage is through, or all of them (NULL): nothing of it is kept. */
void journal_done(struct journal *j, int64_t id, const char *stage);
/* Of one that is there: it is taken up again; its call begins, and it is alone; it is given back. A person
 * who is put off by a driver that lives (is_cleared) is no suspect any more. As above. */
void journal_go(struct journal *j, int64_t id);
void journal_calls(struct journal *j, int64_t id);
void journal_rest(struct journal *j, int64_t id, bool is_cleared);
bool journal_is_put_off(const struct journal_entry *entry, int64_t now); /* now: wall clock */
/* After a failure the journal is of no more use: stop, and begin with what is on disk. RC_IO, RC_NO_SPACE. */
enum rc journal_sync(struct journal *j, struct err *err) MUST_CHECK;

/* Every entry, in no order; fn may end it. */
typedef void journal_entry_fn(void *arg, const struct journal_entry *entry);
void journal_each(struct journal *j, journal_entry_fn *fn, void *arg);

#endif
