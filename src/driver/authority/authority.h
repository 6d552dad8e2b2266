/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The authority knows the states: it finds the people who are due, and is told what becomes of them. This
 * room makes all requests to it. Below it are people in flight (flight.h) and the services; it knows nothing
 * of the roof, which opens it, turns it and looks at what it has found out.
 *
 *  - authority.c: opens the authority that the configuration names, turns it, closes it
 *  - deliveries.c: messages for hooks, which a Lethe gives out and is told about
 *  - lethe.c: a Lethe. It grants leases on due people (claims.c) and takes reports (reports.c)
 *  - lms.c: an LMS, which grants no leases. It is asked for due people, and told where they are (updates.c)
 *  - source.c: an LMS that the people of a Lethe come from: its list, and what it is to be told
 *  - mirror.c: one conversation with that LMS about one retirement
 *  - reminders.c: reminds of stages that wait for an operator's confirmation
 *  - lms_row.c: a retirement in the LMS's form, and whether it can be used
 *  - lms_alerts.c: what operators are told by a driver for an LMS
 *  - lms_fuse.c: stops new retirements when far more people are due at an LMS than usual
 *  - aside.c: people that the next look at an LMS leaves out
 *  - journal.c: what was begun for an LMS, on disk
 *  - ask.c: one request with its token, and whether the authority answers at all
 *
 * Calls go downwards in this list; what all files share is in struct authority.
 */
#ifndef LETHE_DRIVER_AUTHORITY_H
#define LETHE_DRIVER_AUTHORITY_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/rows.h"
#include "base/world.h"
#include "config/config.h"
#include "config/template.h"
#include "driver/flight/flight.h"
#include "driver/services/services.h"
#include "http/http.h"
#include "wire/wire.h"

struct authority;

/* ---- ask.c: one request ---- */

#define AUTHORITY_PAUSE_FIRST (100 * CLOCK_MS) /* between two tries of the same request */

/* Whether the authority answers requests of one kind. */
struct silence {
    int64_t since; /* steady clock; 0: it answers */
    char why[200]; /* in words, while it lasts */
};

/* Who is asked. */
struct peer {
    const char *name;              /* in messages */
    const char *url;               /* NULL: the server of data_dir, at its socket */
    const struct channel *channel; /* NULL: a plain one */
    struct token *token;           /* NULL: it needs none */
    bool is_lms, is_source;
};

/* Sent with the credentials of its peer, and once more with another token after a 401. */
struct ask {
    struct authority *authority;
    const struct peer *peer;       /* the authority, unless the caller says otherwise after ask_open() */
    struct silence *silence;       /* of its kind */
    unsigned failures;             /* of it, in a row */
    struct http_call call;         /* its answer, in done; body and body_len are the caller's */
    void (*done)(struct ask *ask); /* may be called from within ask_send() */
    void *arg;
    bool busy;
    const char *no_token; /* why it could not even be sent; NULL: it was */
    int64_t timeout_us;
    bool about_nobody; /* no person in it: a refusal may be shown in whatever words it comes */
    const char *key;   /* the header of the next request, by which a repeat is known; NULL: none */
    struct buf url, authorization;
    const char *headers[3];
    struct token_wait wait;
    unsigned token_used;
    bool token_renewed;
};

enum ask_result {
    ASK_ANSWERED, /* 200, 204: an answer, which makes sense (ask_heard) or does not (ask_note_nonsense) */
    ASK_SILENT,   /* not reached, or not now: to be repeated after ask_pause() */
    ASK_REFUSED   /* repeating is of no use */
};

/* For a peer. NULL: the service needs none. of: in messages. */
struct token *ask_token(const struct authority *a, const struct service_conf *service, const char *of);
void ask_open(struct ask *ask, struct authority *a, struct silence *silence, void (*done)(struct ask *ask),
              void *arg);
void ask_close(struct ask *ask);
/* path: behind the authority's url. body may be NULL, and stays as it is until done. */
void ask_send(struct ask *ask, enum http_method method, const char *path, const struct buf *body);
/* What has come of it, in done. Notes when the authority does not answer. */
enum ask_result ask_judge(struct ask *ask);
void ask_heard(struct ask *ask); /* its answer was understood */
/* An answer that was not understood is none, either; why says what is wrong with it. */
void ask_note_nonsense(struct ask *ask, const char *why);
/* The words of a refusal. Returns its rc. */
enum rc ask_explain(const struct ask *ask, struct err *err);
/* Of a request that the driver cannot do without: `once` ends because of it, else it counts as silence. */
void ask_note_refusal(struct ask *ask);
/* Does the answer mean "not now", whatever it is that the peer cannot do? */
bool ask_is_not_now(const struct ask *ask);
enum { ASK_WORDS_MAX = 200 };
/* The words of a refusal, without the person's. */
void ask_keep_words(const struct ask *ask, const struct template_values *person, char words[ASK_WORDS_MAX]);
/* The authority's own answer: empty, or JSON. A page or a line of text is a proxy's or a router's. */
bool ask_is_own_word(const struct ask *ask);
enum rc ask_parse(const struct ask *ask, struct arena *a, struct json **out, struct err *err) MUST_CHECK;
int64_t ask_pause(const struct ask *ask); /* before the same request again */
int64_t ask_pause_after(const struct authority *a, unsigned failures);
/* The driver has to end because of err, unless it has to because of an earlier one. */
void ask_fail(struct authority *a, const struct err *err);

/* ---- reminders.c ---- */

struct reminders {
    int64_t every_us; /* the shortest interval of the stages that people do; 0: there are no such stages */
    int64_t said_at;  /* wall clock: reminders have been said up to then */
    int64_t asked_at; /* the last claim that asked for waiting people; 0: none yet */
    int64_t waiting_before; /* `once`: people who waited when it began */
};

void reminders_open(struct authority *a);
bool reminders_want(const struct authority *a, int64_t now); /* is it time to ask for waiting people? */
/* These wait. NULL: the answer did not say. */
void reminders_look(struct authority *a, const struct wire_waiting *waiting, size_t n);

/* ---- claims.c ---- */

struct claims {
    struct authority *authority;
    struct ask ask;
    struct buf body;
    const char **stages; /* scratch: those of a request */
    bool all_taken;      /* the last answer said so: no due person is left */
    bool suspects;       /* the last answer said so: no claim before nobody is in flight */
    struct service
        *probed; /* the claim under way is for a prober of this service; NULL: it is for all people */
    unsigned limit;
    bool lost;    /* the last claim got no answer that can be used: it is sent again, as it was */
    char key[64]; /* of the last claim */
    int64_t sent_at, counted_at;
    struct timer next; /* set: no claim before */
    struct arena arena;
};

void claims_open(struct authority *a);
void claims_close(struct authority *a);
void claims_pump(struct authority *a, int64_t now);
void claims_look_again(struct authority *a); /* the last look may have left people out */
/* For templates; numbers become texts in a. */
struct template_values claims_person(struct arena *a, const struct wire_user *user, int64_t retirement_id);

/* ---- reports.c ---- */

enum {
    REPORTS_AT_ONCE = 500, /* in one request */
    REPORTS_BATCHES = 2    /* requests under way at once */
};

struct batch {
    struct authority *authority;
    struct ask ask; /* busy; else it waits to be repeated */
    struct buf body;
    struct run *runs[REPORTS_AT_ONCE];
    unsigned n;      /* 0: not in use */
    int64_t sent_at; /* the first time */
    struct timer again;
    struct arena arena; /* of its answer */
};

void reports_open(struct authority *a);
void reports_close(struct authority *a);
void reports_pump(struct authority *a, int64_t now);

/* ---- deliveries.c ---- */

struct deliveries {
    struct authority *authority;
    struct ask claim, tell; /* requests for them, and about them */
    struct buf claim_body, tell_body;
    struct wire_hook *hooks; /* scratch: those of a request */
    int64_t sent_at;         /* of the claim under way */
    unsigned asked;          /* for so many */
    bool asked_at_end;       /* `once`: when no person was due any more */
    bool over;         /* no more claims: there are no hooks, or `once` has asked at the end and got none */
    struct timer next; /* set: no claim before */
    struct delivery *told[DELIVERIES_MAX]; /* whose reports are under way, or to be repeated */
    unsigned n_told;
    struct timer again;
    struct arena arena; /* of an answer */
};

void deliveries_open(struct authority *a);
void deliveries_close(struct authority *a);
void deliveries_pump(struct authority *a, int64_t now);
bool deliveries_are_over(const struct authority *a); /* none under way, and none to come */

/* ---- aside.c ---- */

/* A person that looks leave out. */
struct left_alone {
    int64_t id;
    int64_t until; /* steady clock; 0: the look that is under way */
};

struct aside {
    struct left_alone *left;
    size_t n, room;
    bool given_back; /* a person in a working state, because the service is shut: the journal has them */
    int64_t
        back_at; /* wall clock: when a person who was put off is to be taken up again; INT64_MAX: none was */
};

void aside_open(struct aside *aside);
void aside_close(struct aside *aside);
void aside_add(struct aside *aside, int64_t id, int64_t until);
void aside_forget(struct aside *aside, int64_t now); /* all whose time is over */
bool aside_has(const struct aside *aside, int64_t id);
void aside_put_off(struct aside *aside, int64_t until); /* wall clock */

/* ---- lms_row.c ---- */

enum { LMS_NO_ID = -1, LMS_ROW_MAX = 64 * 1024 /* bytes of a retirement in JSON */ };

/* What is used of a retirement in the LMS's form. */
struct lms_row {
    int64_t id;                     /* LMS_NO_ID: it has none */
    const char *state, *last_state; /* last_state: NULL: it does not say */
    int64_t modified_at;            /* wall clock; 0: it does not say */
    struct template_values person;
    bool is_refused; /* by the list as a whole */
};

/* Texts are in a. RC_INVALID: it cannot be used, and err says why without personal data; only the id is set.
 */
enum rc lms_row_read(struct arena *a, const char *text, size_t len, bool is_cut, struct lms_row *out,
                     struct err *err) MUST_CHECK;
struct lms_row lms_row_copy(struct arena *a, const struct lms_row *row);

static inline int64_t lms_id_of(const struct json *retirement)
{
    return json_get_int(retirement, "id", LMS_NO_ID);
}
/* key: current_state, last_state. NULL: it does not say, or not in a name that a state can have. */
static inline const char *lms_state_of(const struct json *retirement, const char *key)
{
    const char *name = json_get_text(json_get(retirement, key), "state_name");
    return name && strlen(name) <= 4 * STATE_NAME_MAX ? name : NULL; /* bytes, characters */
}

/* ---- mirror.c ---- */

enum mirror_end {
    MIRROR_TOLD,      /* the LMS is in the state */
    MIRROR_SAID,      /* it is in another one, or has no such retirement any more */
    MIRROR_ELSEWHERE, /* another program has put it into the state */
    MIRROR_REFUSED,   /* it stays where it was known to be; `words` says why */
    MIRROR_SILENT     /* it could not be reached */
};

/* About which retirement, and what is to be told. */
struct mirror_task {
    int64_t id;           /* the LMS's number */
    const char *username; /* the original one */
    const char *known;    /* where the LMS is known to be */
    const char *before;   /* a state to tell first; NULL: none */
    const char *state;    /* NULL: it is only asked where it is */
    const char *response;
    bool force;
    bool enters; /* a stage begins: only one program may do that */
    bool asked;  /* it may have been told of the state before */
};

struct mirror {
    struct authority *authority;
    struct ask ask; /* free while it is not busy and no task is set */
    struct buf path, body;
    bool in_use;
    struct mirror_task task;
    int64_t run_id, epoch; /* of the run that waits for it; 0: none does */
    int64_t started_at;    /* steady clock */
    const char *at;        /* where the LMS is known to be by now */
    const char *target;    /* of the request under way, or of the last; NULL: none yet */
    bool is_reading;       /* the request under way asks where the LMS is */
    bool refused;          /* the last one that told something was */
    unsigned failures;     /* of telling, in a row */
    char words[ASK_WORDS_MAX];
    struct arena arena; /* of the task's texts, and of answers */
    /* state: SAID: NULL: there is no such retirement. May be called from within mirror_start(). */
    void (*ended)(struct mirror *m, enum mirror_end end, const char *state);
};

void mirror_open(struct mirror *m, struct authority *a, const struct peer *lms,
                 void (*ended)(struct mirror *m, enum mirror_end end, const char *state));
void mirror_close(struct mirror *m);
void mirror_start(struct mirror *m, const struct mirror_task *task); /* copies it */

/* ---- source.c ---- */

void source_open(struct authority *a);
void source_close(struct authority *a); /* also if there is none */
void source_pump(struct authority *a, int64_t now);
/* Are claims to wait? The LMS does not answer, or its list has not been seen to its end. */
bool source_holds_claims(const struct authority *a);
/* `once`: no person is due. Has the LMS been told of everything? If not, it will be: ask again later. */
bool source_agrees_to_end(struct authority *a);
bool source_is_idle(const struct authority *a);

/* ---- lms.c, updates.c ---- */

enum look { LOOK_OURS, LOOK_DUE, LOOK_ONE };

struct journal;
struct lms_alerts;

TAILQ_HEAD(update_list, update);

/* One person's way through update_retirement_status, which may take several calls: the completed state, then
 * the next working state. */
struct update {
    struct lms *lms;
    TAILQ_ENTRY(update) entry; /* of at most one of the lists of lms */
    struct run *run;           /* NULL: not in use */
    struct ask ask;
    struct buf path, body;
    const char *target; /* state */
    const char *response;
    bool holds_turn;           /* counts among those that the LMS gets at once, ... */
    bool is_repeat;            /* ... and among those that failed before */
    bool reading_status;       /* the request asks where the person is now */
    bool refused;              /* because of a refusal */
    bool maybe_done;           /* a reply was lost, or may have been */
    unsigned failures;         /* in a row, of the update to target */
    int64_t failing_since;     /* steady clock */
    char words[ASK_WORDS_MAX]; /* of the last refusal or failure */
    struct timer again;
    struct arena arena; /* of an answer */
};

/*
 * An LMS as the authority, by the calls that the existing driver scripts make of it.
 *
 * Its hard idea: without leases, entering the working state is all that keeps two drivers apart, and the
 * journal is all that tells a driver that it was the one that entered it. So the journal is durable before
 * the working state is asked for, and a person in a working state that the journal does not have belongs to
 * another driver.
 */
struct lms {
    struct authority *authority;
    struct journal *journal;
    struct ask ask; /* a look */
    struct buf path;
    enum look look;
    unsigned limit;          /* of the last look for due people */
    bool found_nobody, more; /* by it */
    struct timer next;       /* set: no look before */
    struct rows rows;        /* of the list that is coming in */
    struct arena row;        /* of one of them */
    struct arena arena;      /* of what is kept of an answer */
    struct lms_row *kept;    /* those for whom there may be a place; NULL: not needed yet */
    unsigned n_kept;
    int64_t fuse_released;                  /* so many people more than usual may be due */
    unsigned n_pending;                     /* of the list */
    bool asks_pending;                      /* the list has those in PENDING */
    unsigned more_rows;                     /* to ask for, because the list has people who cannot go on */
    unsigned n_rows, n_wanted, n_strangers; /* of the list: all, those to be taken up, ... */
    struct aside seen;                      /* LOOK_OURS: those that the journal has */
    struct aside refused;                   /* rows that cannot be used, and were said */
    struct aside aside;
    bool strangers_said;
    bool looks_alone;          /* no person was in flight when the look under way was sent */
    bool one_taken;            /* of LOOK_ONE */
    bool suspects;             /* of a driver's death are in flight, or wait until nobody is */
    struct lms_alerts *alerts; /* NULL: the configuration has none */
    int64_t watch_at;          /* steady clock: the next look for people who are stuck */
    struct update **updates;   /* made as they are needed, never freed before the end */
    unsigned n_updates;
    unsigned n_in_use;  /* have a person */
    unsigned n_turns;   /* of them, hold a turn, ... */
    unsigned n_repeats; /* ... of them, because of a failure before */
    struct update_list free;
    struct update_list to_sync; /* wait for the journal */
    struct update_list due;     /* have rested after a failure, and wait for a turn */
};

void updates_open(struct lms *lms);
void updates_close(struct lms *lms);
void updates_pump(struct lms *lms, int64_t now);

/* ---- lms_alerts.c ---- */

enum rc lms_alerts_open(struct authority *a, struct err *err) MUST_CHECK;
void lms_alerts_close(struct authority *a);
enum rc lms_alerts_pump(struct authority *a, struct err *err) MUST_CHECK; /* RC_IO, RC_NO_SPACE */
bool lms_alerts_are_over(const struct authority *a);
/* To be told of once: "stuck" of the same person again after a day, "silent" after the LMS was heard. Durable
 * once lms_alerts_save was called. Nothing happens if the authority is no LMS, or there are no alerts. */
void lms_alerts_note(struct authority *a, const struct alarm *alarm);
void lms_alerts_heard(struct authority *a);
enum rc lms_alerts_save(struct authority *a, struct err *err) MUST_CHECK;

/* ---- lms_fuse.c ---- */

struct lms_fuse {
    bool blown;
    int64_t due;        /* blown: then; else as many were due when it was released; 0: it was not */
    const char **lines; /* of the file, oldest first, each a JSON object */
    size_t n;
};
struct lms_fuse_change {
    bool blown;
    int64_t at, due;
    const char *actor, *reason; /* NULL: none */
};
enum rc lms_fuse_read(struct arena *a, const struct config *config, struct lms_fuse *out,
                      struct err *err) MUST_CHECK;
enum rc lms_fuse_add(const struct config *config, const struct lms_fuse_change *change,
                     struct err *err) MUST_CHECK;
/* Before a look: how does it stand? */
void lms_fuse_look(struct lms *lms);
int64_t lms_fuse_most(const struct lms *lms); /* people who may be due; INT64_MAX: any number */
/* So many people are due: returns true when it has blown now. */
bool lms_fuse_check(struct lms *lms, unsigned due);

/* ---- authority.c ---- */

/* What one kind of authority does. */
struct authority_type {
    enum rc (*open)(struct authority *a, struct err *err) MUST_CHECK;
    void (*close)(struct authority *a);
    /* Asks for people if there is room, and sends the outcomes that wait. */
    void (*pump)(struct authority *a, int64_t now);
    bool (*is_asking)(const struct authority *a); /* a request is under way that may bring people */
    void (*look_again)(struct authority *a);      /* the last look may have left people out */
};
extern const struct authority_type authority_lethe, authority_lms;

struct authority_conf {
    const struct config *config;
    struct runtime *runtime;
    struct services *services;
    struct flight *flight;
    const struct authority_type *type; /* NULL: the one that the configuration names */
    void *arg;                         /* of that type */
    const char *driver_name;           /* the authority shows it to people; ends with actions */
    const char *actions;     /* a digest of what the stages call and for whom, by which the next driver knows
                              * that it would do the same */
    const char *socket_path; /* unless config->authority says where it is */
    const char *username;    /* this person alone; NULL: all */
    int64_t cool_off_us;     /* lengthens the cool-off of a Lethe; an LMS is asked for just this one */
    bool once;               /* end when no person is due, in flight, or held by another driver */
    bool deliver_only;       /* retires no person */
    bool counts;             /* keep `due` up to date */
};

struct authority {
    struct authority_conf conf;
    const struct config *config; /* these four as in conf */
    struct runtime *runtime;
    struct services *services;
    struct flight *flight;
    const struct authority_type *type;
    struct peer peer;
    struct silence asking, telling; /* requests for people, and about them */
    struct silence mirroring;       /* requests to the LMS of a source */
    struct claims claims;
    struct batch batches[REPORTS_BATCHES];
    struct reminders reminders;
    struct deliveries deliveries;
    struct lms *lms;       /* NULL: it is none */
    struct source *source; /* NULL: there is none */

    /* For the roof: */
    bool ending;      /* no more people are taken up */
    int64_t heard_at; /* steady clock: its last answer; 0: none yet */
    enum rc rc;       /* not RC_OK: the driver has to end at once because of err */
    struct err err;
    bool fuse_blown;      /* it grants no retirement in PENDING */
    bool stages_held;     /* it takes no retirement to some stages, which find nobody any more */
    int64_t due, held;    /* as it said last */
    int64_t set_aside;    /* people that an LMS lists, and that cannot be worked on */
    char refusal[400];    /* what it said when it last let a person not go on; "": nothing */
    unsigned batch_taken; /* people that this look has taken up */
};

enum rc authority_open(struct authority *a, const struct authority_conf *conf, struct err *err) MUST_CHECK;
void authority_close(struct authority *a); /* also after it could not be opened */
void authority_pump(struct authority *a, int64_t now);
/* Nothing is to be expected from it, and nothing to be told to hooks. */
bool authority_is_idle(const struct authority *a);
bool authority_has_failed(const struct authority *a); /* and the alerts about that are out */

static inline int64_t authority_now(const struct authority *a) /* wall clock */
{
    return world_now(a->runtime->world);
}

static inline int64_t authority_mono(const struct authority *a) /* steady clock */
{
    return world_mono(a->runtime->world);
}

/* Why it does not answer, in words; NULL: it does. */
static inline const char *authority_silence(const struct authority *a)
{
    return a->asking.since      ? a->asking.why
           : a->telling.since   ? a->telling.why
           : a->mirroring.since ? a->mirroring.why
                                : NULL;
}

/* A batch that is full ends the look. */
static inline bool authority_batch_is_full(const struct authority *a)
{
    unsigned batch = a->config->batch;
    return batch > 0 && a->batch_taken >= batch;
}

/* How many people may be taken up now. */
static inline unsigned authority_room(const struct authority *a)
{
    unsigned batch = a->config->batch, places = a->flight->conf.max_runs - a->flight->in_flight;
    if (batch == 0)
        return places;
    unsigned left = authority_batch_is_full(a) ? 0 : batch - a->batch_taken;
    return places < left ? places : left;
}

#endif
