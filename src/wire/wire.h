/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What server and driver say to each other: each message is a struct, with one function that puts it and one
 * that reads it, for the server, for the driver, and for the authority that tests put in the server's place.
 *
 *   request                       its answer                              file
 *   POST /v1/claims               the people that are granted             claims.c
 *   POST /v1/progress             a list of reports: one answer each      reports.c
 *   POST /v1/source               what is to be told to the LMS           source.c
 *   POST /v1/deliveries/claims    the messages for hooks that are given   deliveries.c
 *   POST /v1/deliveries/reports   a list of reports: one answer each      deliveries.c
 *
 * Requests are read strictly: a key that is not known is refused. Answers are read leniently: a newer server
 * may say more. Each function returns RC_OK, or RC_INVALID with a text that names the field ("limit: must be
 * ...").
 *
 * The items of a list are judged one by one: an item that cannot be used has a fault, and the others are
 * good. What is put can be read: a text of one line that is too long is cut.
 *
 * Fields have the names, the units and the order that they have in JSON. Texts are borrowed from the caller
 * or, after reading, from the JSON that was read. 0, NULL and false mean "not said", unless a comment names
 * another value.
 */
#ifndef LETHE_WIRE_WIRE_H
#define LETHE_WIRE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

enum {
    WIRE_CLAIM_MAX = 1000,     /* people of one claim */
    WIRE_WAITING_MAX = 10000,  /* retirements that wait, in one answer to a claim */
    WIRE_REPORTS_MAX = 1000,   /* of one request, about retirements or deliveries */
    WIRE_DELIVERIES_MAX = 100, /* of one claim */
    WIRE_HOOKS_MAX = 100,      /* of one claim */
    WIRE_DRIVER_NAME_MAX = 64, /* characters, one line; also of the following two */
    WIRE_HOOK_NAME_MAX = 40,
    WIRE_CAUSE_MAX = 100,
    WIRE_MEMO_MAX = 4096, /* bytes */
    WIRE_USER_ID_MAX = 100,
    WIRE_STATUS_MAX = 999,
    WIRE_NEWS_MAX = 1000,      /* of one request about a source */
    WIRE_SOURCE_WORK_MAX = 100 /* of its answer */
};

#define WIRE_COOL_OFF_MAX_S (INT64_C(36500) * 86400)

/* Why an item cannot be used. code: NULL: it can be. Both texts are in the arena. */
struct wire_fault {
    const char *code, *text;
};

/* ---- claims.c ---- */

enum wire_order { WIRE_OLDEST, WIRE_NEWEST };

struct wire_claim_request {
    const char *driver;        /* the name of the driver, for people */
    int64_t limit;             /* 1 to WIRE_CLAIM_MAX */
    int64_t lease_s;           /* 1 to LEASE_MAX_S */
    int64_t cool_off_s;        /* can only lengthen the server's */
    const char *username;      /* this person alone */
    const char *const *stages; /* n_stages working states; NULL: any */
    size_t n_stages;
    enum wire_order order; /* which requests are taken first */
    bool count;            /* fill in due and under_way */
    bool waiting;          /* fill in waiting */
    int64_t in_flight;     /* people whom the driver holds already; above 0 it gets no suspects */
    bool begins;           /* it says when it begins to call for a suspect who is alone */
};

struct wire_user {
    const char *id; /* what services know the person by */
    const char *original_username, *original_email, *original_name, *retired_username, *retired_email;
    const char *request_uuid; /* by which services know the request */
    int64_t requested_at;
    const char *orgs_json;   /* what is put: a JSON array of texts; NULL: [] */
    const char *const *orgs; /* what is read: ends with NULL */
};

/* A retirement that comes from an LMS. Its stage begins once the LMS is in the state of the stage. */
struct wire_sourced {
    int64_t id;        /* the LMS's number; 0: it comes from no LMS */
    const char *known; /* the state that the LMS is known to be in */
    /* An earlier claim of this stage may have asked the LMS for its state: since so long ago, and until its
     * lease ended so long ago. asked_ms 0: none has; ended_ms 0: just now, or it is not known. */
    int64_t asked_ms, ended_ms;
};

struct wire_claim {
    int64_t id, epoch;
    const char *stage;   /* the working state that it is in */
    const char *run_key; /* opaque; the same for every claim of a run */
    int64_t lease_s;     /* from when the claim was sent */
    int64_t since_at;    /* when the stage was begun that was put off */
    const char *memo;    /* what the last driver left with the stage */
    bool begun; /* a lease on the stage ran out: calls of it may have been sent that no memo tells of */
    const char *begun_by; /* the name of the first driver whose lease that was; NULL: not known */
    struct wire_user user;
    struct wire_sourced source;
    struct wire_fault fault;
};

struct wire_waiting {
    int64_t id;
    const char *stage;
    int64_t since_at;
    struct wire_fault fault;
};

struct wire_claim_answer {
    bool fuse_blown;  /* no retirement in PENDING is granted */
    bool stages_held; /* no retirement is taken to some stages: they find nobody any more */
    bool suspects;    /* of drivers' deaths: these are some, or there are some for a driver that holds nobody.
                       * Claim no others before nobody is in flight */
    struct wire_claim *claims;
    size_t n_claims;
    int64_t held;                 /* live leases of all drivers; -1: there may be more people to claim */
    int64_t due, under_way;       /* -1: not asked for */
    struct wire_waiting *waiting; /* NULL: not asked for */
    size_t n_waiting;
};

void wire_put_claim_request(struct json_out *o, const struct wire_claim_request *in);
enum rc wire_read_claim_request(struct arena *a, const struct json *body, struct wire_claim_request *out,
                                struct err *err) MUST_CHECK;
void wire_put_claim_answer(struct json_out *o, const struct wire_claim_answer *in);
enum rc wire_read_claim_answer(struct arena *a, const struct json *body, struct wire_claim_answer *out,
                               struct err *err) MUST_CHECK;

/* ---- reports.c ---- */

#define WIRE_OUTCOME_TABLE(X)                                                    \
    X(WIRE_DONE, "done")         /* the stage took effect */                     \
    X(WIRE_FAILED, "failed")     /* for good */                                  \
    X(WIRE_RENEWED, "renewed")   /* the lease is needed for longer */            \
    X(WIRE_RELEASED, "released") /* given back at the same stage */              \
    X(WIRE_LATER, "later")       /* given back; this stage goes on after in_s */ \
    X(WIRE_WAITING, "waiting")   /* given back; people do this stage, and response tells them how */

enum wire_outcome {
#define X(name, word) name,
    WIRE_OUTCOME_TABLE(X)
#undef X
};

struct wire_report {
    int64_t id, epoch; /* id 0: the item has none that can be read */
    const char *stage; /* the working state that it is about */
    enum wire_outcome outcome;
    const char *response;
    int64_t status;    /* FAILED: of HTTP or of an exit; -1: none */
    const char *cause; /* FAILED: in few words, the same for all that fail alike */
    int64_t in_s;      /* LATER; else -1 */
    const char *memo;  /* FAILED, RENEWED, RELEASED, LATER: for the next claim of this stage */
    bool stop;         /* DONE: leave it in the completed state */
    int64_t lease_s;   /* RENEWED */
    bool begins;       /* RENEWED: because a call is about to begin, which may be the last */
    struct wire_fault fault;
};

struct wire_report_answer {
    int64_t id; /* 0: the report had none */
    bool ok;
    const char *state;         /* ok: after the report */
    const char *next;          /* ok: the working state to do next under this lease; NULL: none */
    bool abort;                /* ok: an abort waits: start nothing, give it back */
    const char *code, *detail; /* not ok: why */
};

/* The list's brackets are the caller's. */
void wire_put_report(struct json_out *o, const struct wire_report *in);
/* RC_INVALID: too many. */
enum rc wire_read_reports(struct arena *a, const struct json *list, struct wire_report **out, size_t *n,
                          struct err *err) MUST_CHECK;
void wire_put_report_answers(struct json_out *o, const struct wire_report_answer *in, size_t n);
/* The answers to n reports. RC_INVALID: not so many, or one of them cannot be read. */
enum rc wire_read_report_answers(struct arena *a, const struct json *list, struct wire_report_answer **out,
                                 size_t n, struct err *err) MUST_CHECK;

/* ---- source.c: between an LMS that is the source and the Lethe that follows it ---- */

/* Where the LMS has a retirement. */
struct wire_news {
    int64_t id;             /* the LMS's number */
    const char *state;      /* NULL: the LMS has no such retirement any more */
    const char *last_state; /* the state before */
    int64_t age_ms;         /* since it was known to be so */
    int64_t epoch;          /* the sender holds the lease of this epoch, and lets go; 0: it holds none */
    bool told;              /* the sender has told the LMS so */
    bool elsewhere;         /* the LMS was put into this working state by another program */
    bool again;             /* the sender could not reach the LMS: the work is to be given out again */
    const char *refused;    /* the LMS does not let it go from there, in the words for operators */
    const char *user_id;    /* NULL: not known; this and the rest are the person's, as a list has them */
    const char *original_username, *original_email, *original_name, *retired_username, *retired_email;
    int64_t requested_at; /* us since 1970 */
    struct wire_fault fault;
};

struct wire_source_request {
    struct wire_news *news;
    size_t n_news;
    int64_t limit; /* of the work that is wanted; 0: none */
    bool looked;   /* with this news the LMS's list came to its end */
};

/* One retirement about which the LMS is to be told or asked. */
struct wire_source_work {
    int64_t id; /* the LMS's number */
    const char *original_username;
    const char *known;    /* the state that the LMS is known to be in */
    const char *state;    /* that it is to be told; NULL: it is asked where it is */
    const char *before;   /* the state to tell first; NULL: none */
    bool force;           /* the LMS would refuse the move otherwise: an operator made it here */
    const char *response; /* to go with the state */
    struct wire_fault fault;
};

/* Why news could not be used, for operators. */
struct wire_refused_news {
    int64_t id; /* 0: the item had none */
    const char *detail;
    struct wire_fault fault;
};

struct wire_source_answer {
    int64_t behind;   /* retirements of whose state the LMS has to be told */
    int64_t troubled; /* retirements that the LMS lets not go on */
    struct wire_source_work *work;
    size_t n_work;
    struct wire_refused_news *refused;
    size_t n_refused;
};

void wire_put_source_request(struct json_out *o, const struct wire_source_request *in);
enum rc wire_read_source_request(struct arena *a, const struct json *body, struct wire_source_request *out,
                                 struct err *err) MUST_CHECK;
void wire_put_source_answer(struct json_out *o, const struct wire_source_answer *in);
enum rc wire_read_source_answer(struct arena *a, const struct json *body, struct wire_source_answer *out,
                                struct err *err) MUST_CHECK;

/* ---- deliveries.c ---- */

struct wire_hook {
    const char *event, *name;
    int64_t lease_s; /* how long the driver needs for a delivery to it */
};

struct wire_delivery_request {
    const char *driver;
    int64_t limit; /* 1 to WIRE_DELIVERIES_MAX */
    struct wire_hook *hooks;
    size_t n_hooks;
};

struct wire_delivery {
    int64_t id, epoch;
    const char *event, *hook;
    const char *key; /* opaque; the same for every repeat */
    int64_t lease_s;
    int64_t attempts;      /* with this one */
    int64_t age_s;         /* since the first attempt */
    const char *payload;   /* of an alert: a JSON object as text */
    int64_t retirement_id; /* 0: an alert, which has no user */
    struct wire_user user;
    struct wire_fault fault;
};

#define WIRE_DELIVERY_OUTCOME_TABLE(X)                         \
    X(WIRE_DELIVERY_DONE, "done")                              \
    X(WIRE_DELIVERY_AGAIN, "again")       /* after after_ms */ \
    X(WIRE_DELIVERY_FAILED, "failed")     /* for good */       \
    X(WIRE_DELIVERY_RELEASED, "released") /* it was not attempted */

enum wire_delivery_outcome {
#define X(name, word) name,
    WIRE_DELIVERY_OUTCOME_TABLE(X)
#undef X
};

struct wire_delivery_report {
    int64_t id, epoch; /* id 0: the item has none that can be read */
    enum wire_delivery_outcome outcome;
    int64_t after_ms;  /* AGAIN, RELEASED: not before */
    int64_t status;    /* AGAIN, FAILED: of HTTP or of an exit; -1: none */
    const char *cause; /* AGAIN, FAILED */
    struct wire_fault fault;
};

struct wire_delivery_report_answer {
    int64_t id; /* 0: the report had none */
    bool ok;
    const char *code, *detail; /* not ok: why */
};

void wire_put_delivery_request(struct json_out *o, const struct wire_delivery_request *in);
enum rc wire_read_delivery_request(struct arena *a, const struct json *body,
                                   struct wire_delivery_request *out, struct err *err) MUST_CHECK;
void wire_put_deliveries(struct json_out *o, const struct wire_delivery *in, size_t n);
enum rc wire_read_deliveries(struct arena *a, const struct json *body, const struct wire_delivery **out,
                             size_t *n, struct err *err) MUST_CHECK;
/* The rest as for reports about retirements. */
void wire_put_delivery_report(struct json_out *o, const struct wire_delivery_report *in);
enum rc wire_read_delivery_reports(struct arena *a, const struct json *list,
                                   struct wire_delivery_report **out, size_t *n, struct err *err) MUST_CHECK;
void wire_put_delivery_report_answers(struct json_out *o, const struct wire_delivery_report_answer *in,
                                      size_t n);
enum rc wire_read_delivery_report_answers(struct arena *a, const struct json *list,
                                          struct wire_delivery_report_answer **out, size_t n,
                                          struct err *err) MUST_CHECK;

/* ---- alert.c ---- */

struct alarms;
/* A JSON object, which has the same in words. */
const char *wire_write_alert(struct arena *a, const struct alarms *alarms, const char *platform, int64_t now);

#endif
