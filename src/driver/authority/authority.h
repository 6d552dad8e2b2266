/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The authority knows the states: it finds the people who are due, and is told what becomes of them. This
 * room makes all requests to it. Below it are people in flight (flight.h) and the services; it knows nothing
 * of the roof, which opens it, turns it and looks at what it has found out.
 *
 *  - authority.c: opens the authority that the configuration names, turns it, closes it
 *  - deliveries.c: messages for hooks, which a Lethe gives out and is told about
 *  - lethe.c: a Lethe. It grants leases on due people (claims.c) and takes reports (reports.c)
 *  - source.c: an LMS that the people of a Lethe come from: its list, and what it is to be told
 *  - mirror.c: one conversation with that LMS about one retirement
 *  - one.c: one retirement by its user name, and what has become of it
 *  - reminders.c: reminds of stages that wait for an operator's confirmation
 *  - lms_row.c: a retirement in the LMS's form, and whether it can be used
 *  - aside.c: retirements that a look at the LMS leaves out, or that were said to be unusable
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
    bool is_lms;
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
/* Does the authority say, by its own word, that there is no such person? */
bool ask_says_unknown(const struct ask *ask);
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

/* Numbers of retirements. */
struct aside {
    int64_t *ids;
    size_t n, room;
};

void aside_close(struct aside *aside);
void aside_add(struct aside *aside, int64_t id);
bool aside_has(const struct aside *aside, int64_t id);

/* ---- lms_row.c ---- */

enum { LMS_NO_ID = -1, LMS_ROW_MAX = 64 * 1024 /* bytes of a retirement in JSON */ };

/* What is used of a retirement in the LMS's form. */
struct lms_row {
    int64_t id;                     /* LMS_NO_ID: it has none */
    const char *state, *last_state; /* last_state: NULL: it does not say */
    struct template_values person;
    int64_t created_at; /* 0: it does not say */
};

/* Texts are in a. RC_INVALID: it cannot be used, and err says why without personal data; only the id is set.
 */
enum rc lms_row_read(struct arena *a, const char *text, size_t len, bool is_cut, struct lms_row *out,
                     struct err *err) MUST_CHECK;

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
    MIRROR_FAILING,   /* the same, and it is worth trying again */
    MIRROR_SILENT     /* it could not be reached */
};

/* About which retirement, and what is to be told. */
struct mirror_task {
    int64_t id;                             /* the LMS's number */
    const char *username;                   /* the original one */
    const char *known;                      /* where the LMS is known to be */
    const char *before;                     /* a state to tell first; NULL: none */
    const char *state;                      /* NULL: it is only asked where it is */
    const char *response, *response_before; /* with `state`, and with `before` */
    bool force;
    bool enters;        /* a stage begins: only one program may do that */
    struct doubt doubt; /* it may have been told of the state before */
};

/* A request whose answer is lost, or is a proxy's, may still be carried out for so long. */
#define MIRROR_LATE (60 * CLOCK_S)

struct mirror {
    struct authority *authority;
    struct ask ask; /* free while it is not busy and no task is set */
    struct buf path, body;
    bool in_use;
    struct mirror_task task;
    int64_t run_id, epoch; /* of the run that waits for it; 0: none does */
    int64_t started_at;    /* steady clock */
    int64_t sent_at;       /* steady clock: the last request */
    struct http_peer peer; /* of its answer: the LMS's clock */
    const char *at;        /* where the LMS is known to be by now */
    const char *target;    /* of the request under way, or of the last; NULL: none yet */
    bool is_reading;       /* the request under way asks where the LMS is */
    bool refused;          /* the last one that told something was */
    char words[ASK_WORDS_MAX];
    struct arena arena; /* of the task's texts, and of answers */
    /* state: SAID: NULL: there is no such retirement. May be called from within mirror_start(). */
    void (*ended)(struct mirror *m, enum mirror_end end, const char *state);
};

void mirror_open(struct mirror *m, struct authority *a, const struct peer *lms,
                 void (*ended)(struct mirror *m, enum mirror_end end, const char *state));
void mirror_close(struct mirror *m);
void mirror_start(struct mirror *m, const struct mirror_task *task); /* copies it */

/* ---- one.c: for `username`, the errors that a script for one person tells apart ---- */

struct one {
    const char *state; /* where the LMS had the retirement at the beginning; NULL: not known yet */
    bool is_complete;  /* the LMS was told so */
    bool is_elsewhere; /* the LMS had it in another state than this driver was to bring it to */
};
bool one_is_in_pipeline(struct authority *a, const char *state);
void one_is_unknown(struct authority *a);
void one_is_unusable(struct authority *a, int64_t id, const char *why);
void one_conclude(struct authority *a, const struct one *one); /* nothing is left to be done */

/* ---- source.c ---- */

void source_open(struct authority *a);
void source_close(struct authority *a); /* also if there is none */
void source_pump(struct authority *a, int64_t now);
/* Are claims to wait? The LMS does not answer, or its list has not been seen to its end. */
bool source_holds_claims(const struct authority *a);
/* `once`: no person is due. Has the LMS been told of everything? If not, it will be: ask again later. */
bool source_agrees_to_end(struct authority *a);
bool source_is_idle(const struct authority *a);

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
extern const struct authority_type authority_lethe;

struct authority_conf {
    const struct config *config;
    struct runtime *runtime;
    struct services *services;
    struct flight *flight;
    const struct authority_type *type; /* NULL: a Lethe */
    void *arg;                         /* of that type */
    const char *driver_name;           /* the authority shows it to people; ends with actions */
    const char *actions;     /* a digest of what the stages call and for whom, by which the next driver knows
                              * that it would do the same */
    const char *socket_path; /* unless config->authority says where it is */
    const char *username;    /* this person alone; NULL: all */
    int64_t cool_off_us;     /* lengthens the cool-off of a Lethe; a source is asked for just this one;
                              * negative: as configured */
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
