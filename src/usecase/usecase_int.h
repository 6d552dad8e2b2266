/* SPDX-License-Identifier: Apache-2.0 */
/* What the use cases share among themselves. */
#ifndef LETHE_USECASE_INT_H
#define LETHE_USECASE_INT_H

#include "base/clock.h"
#include "usecase/usecase.h"

/* The current list of states. RC_CONFLICT "no_states" when there is none: it says which command makes one. */
enum rc setup_current_list(struct act *act, const struct pipeline **out, struct err *err) MUST_CHECK;

/* A text of one line, of at most so many characters. RC_INVALID names the field. */
enum rc texts_check(const char *field, const char *value, size_t max, struct err *err) MUST_CHECK;

/* Writes an entry into the audit trail; at and actor are filled in from the act. One call for each thing that
 * is done. */
enum rc audit_add(struct act *act, struct audit_entry entry, struct err *err) MUST_CHECK;
/* The same, about an account: "account:ID". */
enum rc audit_account(struct act *act, const char *action, int64_t id, struct err *err) MUST_CHECK;

/* Cuts a response that is longer than USECASE_RESPONSE_MAX, and marks it as cut. */
void texts_cut(struct arena *a, const char **text, size_t *len);

/* Stores a decision, with all that follows from it: audit trail, metrics, alarms. The account of the
 * directory follows, too: a cancelled request unlocks it, a retirement that comes back to life locks it
 * again. Every decision is stored through this. */
enum rc moves_apply(struct act *act, const struct retirement *before, const struct transition *t,
                    struct err *err) MUST_CHECK;

/* Notes for the metrics what moves_apply() stored, a request, and a claim that was decided on. */
enum rc tally_transition(struct act *act, const struct retirement *before, const struct transition *t,
                         struct err *err) MUST_CHECK;
void tally_request(struct act *act, const struct pipeline *p);
void tally_claim(struct act *act, const struct retirement *before, const struct decision *d);

/* The first form of the retired name that no other account has: names that differ in case only retire alike,
 * and so does a person who came back. */
enum rc names_retire(struct act *act, enum identity_kind kind, const char *value, int64_t account_id,
                     const char **out, struct err *err) MUST_CHECK;

/* RC_CONFLICT "pending" or "retired" if a retirement has the name or address, or had it. */
enum rc names_refuse_taken(struct act *act, enum identity_kind kind, const char *value,
                           struct err *err) MUST_CHECK;

/* Adds a retirement for an account of the directory or a person brought along; does not check the caller. */
enum rc requests_add(struct act *act, const struct account *account, const struct person_request *in,
                     int64_t *id, struct err *err) MUST_CHECK;

/* The account that a request is about; a person who is not in the directory is brought along. */
enum rc requests_find_account(struct act *act, const struct person_request *in, struct account *out,
                              struct err *err) MUST_CHECK;

/* ---- source.c ---- */

/* No other driver is given the same work meanwhile: longer than a request to the LMS lasts. */
#define SOURCE_GIVEN_FOR (40 * CLOCK_S)
/* For so long it is believed that the LMS has not moved. */
int64_t source_stale_us(const struct act *act);
enum rc source_watch(struct act *act, struct err *err) MUST_CHECK; /* is the LMS silent? */
/* Stores s after the state here, or what is known of the LMS, has changed. */
enum rc source_settle(struct act *act, const struct retirement *r, struct sourced *s,
                      struct err *err) MUST_CHECK;
/* What the LMS is to be told or asked by now: at most limit. */
enum rc source_give_work(struct act *act, int64_t limit, struct wire_source_answer *out,
                         struct err *err) MUST_CHECK;
/* The state that the LMS is told before that of the retirement: the completed one before a working state or
 * COMPLETE, so that the LMS sees every stage end; NULL: it is there, or need not be. */
const char *source_state_before(const struct retirement *r, const char *known);
/* A retirement is in another state: if it comes from an LMS, the LMS is to be told. */
enum rc source_note_move(struct act *act, const struct retirement *after, struct err *err) MUST_CHECK;
/* Its lease has run out. */
enum rc source_note_lost(struct act *act, const struct retirement *before, struct err *err) MUST_CHECK;
/* RC_CONFLICT "has_source": only the LMS can cancel its requests. */
enum rc source_refuse_cancel(struct act *act, const struct retirement *row, const struct decision *d,
                             struct err *err) MUST_CHECK;

/* A message to every hook of the event. */
enum rc hooks_tell(struct act *act, enum hook_event event, int64_t retirement_id, const char *payload,
                   struct err *err) MUST_CHECK;

/* An alert will tell of it, if alerts are configured. */
enum rc alerts_note(struct act *act, const struct alarm *alarm, struct err *err) MUST_CHECK;
/* A retirement became ERRORED. failure: why; NULL: not known. */
enum rc alerts_note_errored(struct act *act, const struct retirement *before, const struct failure *failure,
                            struct err *err) MUST_CHECK;
/* An alert of what has gathered, if there is something and it is time. */
enum rc alerts_make(struct act *act, struct err *err) MUST_CHECK;

/* ---- yields.c: whether stages still find people ---- */

struct yields_entry {
    struct stage_yield now;
    struct yield before; /* as it is stored */
    bool is_news;        /* operators have to be told */
};
struct yields {
    struct yields_entry *list; /* of stages; n of them */
    size_t n;
};
/* n_more: stages that may come to it. */
enum rc yields_read(struct act *act, size_t n_more, struct yields *out, struct err *err) MUST_CHECK;
/* The working states of the stages that are held. */
const char *const *yields_held(struct act *act, const struct yields *f, size_t *n);
/* Is the stage behind this completed state held? When was it released, or 0? */
bool yields_hold_next(struct act *act, const struct yields *f, const struct pipeline *p, unsigned completed);
int64_t yields_next_released_at(const struct yields *f, const struct pipeline *p, unsigned completed);
/* A driver's report that the stage is done was accepted. response: NULL, it had none. */
void yields_note(struct act *act, struct yields *f, const struct pipeline *p, unsigned working,
                 const char *response);
/* Stores what has changed, and notes alarms. */
enum rc yields_write(struct act *act, const struct yields *f, struct yields_news *news,
                     struct err *err) MUST_CHECK;

/* ---- archive_line.c ---- */

enum { ARCHIVE_TEXT_MAX = 64 * 1024 * 1024 }; /* bytes of an archive before it is packed */

/* What a history says in the line of its retirement; nothing else of the line takes long. */
struct archive_log {
    int64_t id;
    int64_t head; /* the newest entry: as long as it is the newest, the rest is as it was */
    bool all_done;
    const char *stages, *forced_moves; /* JSON */
};

/* Texts in the arena. RC_INTERNAL: it is too large. */
enum rc archive_read_log(struct act *act, struct arena *a, const struct retirement *row,
                         struct archive_log *out, struct err *err) MUST_CHECK;
/* What an archive says of one person: a line of JSON with its newline. */
void archive_put_line(const struct retirement_view *v, const struct archive_log *log, struct buf *out);

/* ---- cleanup.c ---- */

/* Overwrites and marks those who are in a file, which must be finished before they are deleted. */
enum rc cleanup_redact_archived(struct act *act, int64_t archive_id, const struct retirement *rows, size_t n,
                                struct err *err) MUST_CHECK;
/* Overwrites and marks retirements that were cancelled long ago, as configured: at most limit. */
enum rc cleanup_redact_cancelled(struct act *act, size_t limit, int64_t *people, struct err *err) MUST_CHECK;
enum rc cleanup_count_cancelled(struct act *act, int64_t *out, struct err *err) MUST_CHECK;

/* ---- driving.c ---- */

/* What drivers are told about a person. */
struct wire_user driving_user(struct arena *a, const struct retirement_view *v);
/* A key that tells what the text names from all else, and reveals nothing of it; on the arena. */
const char *driving_key(struct act *act, const char *text);

#endif
