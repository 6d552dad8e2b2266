/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outside systems: which of them may be called now, and what waits for a call. The lowest room of the driver:
 * it knows no runs and no actions. What wants to call a service embeds a struct waiter.
 *
 *  - service.c: queues, and what happens to waiters while a service is shut
 *  - limits.c, pure: calls at once and calls a second
 *  - breaker.c, pure: is a service worth calling
 *  - quiet.c, pure: quiet hours
 *  - backoff.c, pure: how long to wait before the next try
 *  - token.c: OAuth2 access tokens
 */
#ifndef LETHE_DRIVER_SERVICES_H
#define LETHE_DRIVER_SERVICES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/metrics.h"
#include "base/timers.h"
#include "base/world.h"
#include "config/config.h"
#include "http/http.h"

/* What every room of a driver works with: the time and the randomness, timers, and the way to other systems.
 * The roof (driver.c) fills it in and hands it down. */
struct runtime {
    const struct world *world;
    struct metrics *metrics;
    struct timers timers;
    struct http_client *client;
};

/* ---- backoff.c ---- */

#define BACKOFF_WISH_MAX (3600 * CLOCK_S)

/* Exponential, full jitter: anything from 0 to first * 2^(tries - 1), at most longest. tries >= 1. */
int64_t backoff_delay(int64_t first_us, int64_t longest_us, unsigned tries, uint64_t random);
/* A service's Retry-After as far as it is respected; -1: it sent none. */
int64_t backoff_wish(int64_t retry_after_us);

/* ---- limits.c: calls at once, calls a second ---- */

/* The rate is a bucket of tokens that holds a tenth of a second's worth (at least one), kept as one number:
 * the time at which the bucket would be full again. */
struct limits {
    unsigned max_concurrent;
    unsigned in_use;
    int64_t interval_us;  /* between two calls on average; 0: no limit of the rate */
    int64_t tolerance_us; /* how much earlier than that a call may come */
    int64_t full_at;
};

void limits_init(struct limits *l, unsigned max_concurrent, double rate); /* rate: a second; 0: no limit */
bool limits_take(struct limits *l, int64_t now); /* a place and a token; false: one of them is missing */
void limits_give_back(struct limits *l);         /* the place; the token is spent */
/* When limits_take may succeed: now or later; INT64_MAX when a place must be given back first. */
int64_t limits_next_at(const struct limits *l, int64_t now);

/* ---- breaker.c ---- */

/* After so many failures in a row the breaker opens: no calls until a pause is over. Then one call finds out.
 * If that fails too, there is another pause; if it is answered, the breaker closes. */
struct breaker {
    unsigned limit; /* failures in a row that open it; 0: it never opens */
    int64_t pause_us;
    unsigned failures;   /* in a row; stays at the limit */
    int64_t pause_until; /* while it is open: when the next call may find out */
};

bool breaker_is_open(const struct breaker *b);
/* A call failed in a way that is the service's fault. retry_after_us: its wish; -1: none. Returns true when
 * this opens the breaker. */
bool breaker_failed(struct breaker *b, int64_t now, int64_t retry_after_us);
bool breaker_succeeded(struct breaker *b); /* returns true when this closes the breaker */

/* ---- quiet.c ---- */

unsigned quiet_minute_of_week(int64_t at_us); /* local time; at_us: wall clock */
/* How long quiet hours last from this minute of the week on; 0: it is not in them. */
unsigned quiet_minutes(const struct quiet_hours *quiet, unsigned minute);

/* ---- token.c ---- */

/* A call that may have to wait for a token. came: there is a token now, or none because of error. */
struct token_wait {
    void (*came)(void *arg, const char *error);
    void *arg;
    bool waits;
    TAILQ_ENTRY(token_wait) entry;
};

/* Between two tries of the same request to the authority, for a token as for all else. */
#define AUTHORITY_PAUSE_LONGEST (5 * CLOCK_S)

struct token_conf {
    const struct service_conf *service; /* whose credentials and token_url are used */
    struct runtime *runtime;
    const char *of;          /* what the log calls the one that gives tokens; NULL: failures are not logged */
    int64_t longest_wait_us; /* between two requests for a token that fail */
};

struct token;
struct token *token_open(const struct token_conf *conf);
void token_close(struct token **token);
/* Returns the value of the Authorization header, borrowed until the next call of a function of token.c, and
 * the generation of its token. NULL: there is none. Then either wait->waits, and wait->came is called when
 * the request under way has ended; or the request failed at once, with token_error. */
const char *token_get(struct token *token, struct token_wait *wait, unsigned *generation, int64_t now);
const char *token_error(const struct token *token);
bool token_is_refused(const struct token *token); /* the last request failed because of the credentials */
/* When token_get may return one: now; INT64_MAX: when the request under way is answered; or when the next
 * request is sent. Sends a request if one is due. */
int64_t token_next_at(struct token *token, int64_t now);
/* There is no token, and it does not look as if there would be one soon. */
bool token_is_lacking(const struct token *token, int64_t now);
int64_t token_back_at(const struct token *token);            /* when failures last ended; 0: never */
void token_reject(struct token *token, unsigned generation); /* a 401 came for it: another one is needed */
void token_cancel(struct token *token, struct token_wait *wait); /* waits no longer */

/* ---- service.c ---- */

struct service;

/* The programs of one action that run at once; so that each may work as if it were alone, one by default. */
struct gate {
    const struct action_conf *action;
    unsigned at_once, in_use;
    struct gate *next;
};

/* Lies inside whatever wants to call a service. Zero it, then fill in turn and arg. */
struct waiter {
    /* A call may begin now: service_begin() and the call, or something else. It is in no queue any more. */
    void (*turn)(void *arg, int64_t now);
    void *arg;
    unsigned rank; /* waiters of a higher rank go first */
    int64_t
        patience_until; /* if the breaker is open: its call does not wait for longer; INT64_MAX: it does */
    struct service *service; /* it stands in the queue of this one; NULL: in no queue */
    struct gate *gate;       /* its call has to pass this one, too; NULL: none */
    TAILQ_ENTRY(waiter) entry;
};

TAILQ_HEAD(waiter_list, waiter);

enum { SERVICE_WHY_MAX = 128 };

struct service {
    struct services *all;
    const struct service_conf *conf; /* NULL: commands without a service */
    struct limits limits;
    struct breaker breaker;
    const struct waiter *prober; /* while the breaker is open: its call finds out; NULL: there is none yet */
    int64_t prober_asked_at;     /* when the authority was last asked for one */
    bool is_quiet;               /* it has its quiet hours */
    int64_t quiet_until;
    int64_t told_at;             /* the log, of a call that failed; 0: never */
    int64_t put_off_told_at;     /* the same, of a person whom the service put off */
    char why[SERVICE_WHY_MAX];   /* its last call failed for this cause; "": it did not */
    bool lacks_token;            /* it gives no token, and none is to be expected soon */
    int64_t held_until;          /* it asked for no calls before */
    struct waiter_list *waiting; /* one queue for each rank */
    unsigned n_waiting;          /* in all of them */
    struct timer pump;           /* a call may be possible then */
    struct token *token;         /* NULL: no OAuth2 */
    struct metric *calls;        /* histogram */
    struct metric *shut;         /* gauge */
    int shown;                   /* its value */
};

struct services_conf {
    const struct config *config;
    struct runtime *runtime;
    unsigned ranks; /* waiters have ranks below this */
    /* The service has just been shut: what waits for a call of it and is not its prober has to be given
     * back. */
    void (*shut)(void *arg, struct service *service);
    void *arg;
};

struct services {
    struct services_conf conf;
    struct service *list; /* of the configuration; then that of e-mail, if any; then commands without one */
    unsigned n;
    struct gate *gates;
    bool opened; /* one of them takes people again; the reader sets it to false */
};

void services_open(struct services *all, const struct services_conf *conf);
void services_close(struct services *all);
/* NULL: the action has none. */
struct gate *services_gate(struct services *all, const struct action_conf *action);
struct service *services_of(const struct services *all, const struct service_conf *conf);
/* Begins and ends quiet hours, notices missing tokens, gives turns to waiters. Once a turn of the loop. */
void services_turn(struct services *all, int64_t now);
void services_pump(struct services *all, int64_t now);                   /* the turns alone */
bool services_are_called(const struct services *all);                    /* a call is under way */
void services_let_go(struct services *all, const struct waiter *waiter); /* it wants no call any more */
/* The first shut service that the stage calls, other than but_for; NULL: none. */
struct service *services_find_shut(const struct services *all, const struct stage_conf *stage,
                                   const struct service *but_for);

/* The cause of a service whose last call failed; NULL: there is none. */
const char *services_why(const struct services *all);
bool service_is_failing(const struct service *s); /* its breaker is open, or it gives no token */
bool service_is_shut(const struct service *s);    /* no person is taken to its stages now */
/* May this one wait for a call? Makes it the prober if one is needed. */
bool service_keeps(struct service *s, const struct waiter *waiter);
bool service_wants_prober(const struct service *s, int64_t now);
/* When it was shut or held last. Time waited before that is not part of a budget of retries. */
int64_t service_opened_at(const struct service *s);

void service_wait(struct service *s, struct waiter *waiter, bool is_first); /* is_first: of its rank */
void service_leave(struct waiter *waiter); /* out of its queue, if it is in one */
/* In a turn: the call takes its place, at the gate too. */
void service_begin(struct service *s, struct gate *gate, int64_t now);
/* The place is free again: the call ended, was given up, or was not sent. */
void service_give_back(struct service *s, struct gate *gate);

/* How a call ended, as far as its service is concerned. */
struct service_word {
    bool is_outage;         /* the service failed, not the call for one person */
    bool is_busy;           /* it asks for fewer calls: retry_after_us holds for all people */
    int64_t retry_after_us; /* -1: not said */
    const char *why;        /* an outage: in few words, without personal data */
};
void service_heard(struct service *s, const struct service_word *word, int64_t now);
/* The log says that the service has a person come back later, and why; once in a while. */
void service_tell_put_off(struct service *s, const char *why, int64_t for_us, int64_t now);

#endif
