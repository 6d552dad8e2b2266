/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is calling, and what may the caller do: everything a security reviewer wants to see, in one place. This
 * layer makes and checks secrets, tokens and hashes; it reads the store and never writes to it. The use cases
 * store what is made here.
 *
 *   scope.c         what a caller may do, as bits
 *   secret.c        secrets of clients, of sessions and of links that work once: 256-bit, stored as a digest
 *   access_token.c  JWT, HS256 and nothing else, signed with the key of this data directory
 *   password.c      passwords of accounts: yescrypt, slow on purpose
 *   throttle.c      how many tries a source or an account has
 *   check.c         from the Authorization header to a caller; remembers answers for less than a second
 *
 * A token ends within a second when its client is disabled: the client is looked up again as soon as the
 * remembered answer is older than AUTH_MEMORY_US.
 */
#ifndef LETHE_AUTH_AUTH_H
#define LETHE_AUTH_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/world.h"
#include "store/store.h"

/* ---- scopes ---- */

#define SCOPE_TABLE(X)                                                 \
    X(SCOPE_READ, 0x01u, "retirement:read")                            \
    X(SCOPE_DRIVE, 0x02u, "retirement:drive")                          \
    X(SCOPE_REQUEST, 0x04u, "retirement:request")                      \
    X(SCOPE_FORCE, 0x08u, "retirement:force")                          \
    X(SCOPE_PARTNER, 0x10u, "retirement:partner")                      \
    X(SCOPE_ADMIN, 0x20u, "retirement:admin") /* all of retirement: */ \
    X(SCOPE_ACCOUNTS, 0x40u, "accounts:admin")                         \
    X(SCOPE_OWN, 0x80u, "account:own") /* a session's, for its own account: never a client's */

enum scope {
    SCOPE_NONE = 0,
#define X(name, bit, text) name = bit,
    SCOPE_TABLE(X)
#undef X
        SCOPE_ALL = 0x7f, /* that clients can have */
    SCOPE_OWN_OR_DRIVE = SCOPE_OWN | SCOPE_DRIVE,
    SCOPE_PARTNER_OR_DRIVE = SCOPE_PARTNER | SCOPE_DRIVE
};

/* Reads names separated by spaces. RC_INVALID names the unknown one and lists the known ones. */
enum rc scope_parse(const char *text, unsigned *out, struct err *err) MUST_CHECK;
/* Writes the names, separated by spaces, in the order of the table. */
void scope_print(struct buf *out, unsigned scopes);
/* Do these scopes have what is needed, or one of several that are? retirement:admin includes every
 * retirement: scope. */
bool scope_allows(unsigned scopes, enum scope needed);
/* Do these scopes have all of the wanted ones? A caller gives a client no more scopes than its own. */
bool scope_covers(unsigned scopes, unsigned wanted);

/* ---- secrets (secret.c) ---- */

enum { AUTH_CLIENT_ID_LEN = 22 + 1, AUTH_SECRET_LEN = 43 + 1 }; /* base64url of 16 and 32 bytes, terminated */

/* Makes one: a client's, a session's, a link's. Show it once, wipe it, store its digest. */
void auth_make_secret(const struct world *w, char out[AUTH_SECRET_LEN]);
void auth_digest(const char *secret, uint8_t out[CRYPTO_SHA256_LEN]);

struct new_client {
    char client_id[AUTH_CLIENT_ID_LEN];
    char secret[AUTH_SECRET_LEN]; /* show it once, wipe it */
};
void auth_make_client(const struct world *w, struct new_client *out);
/* RC_UNAUTHENTICATED, alike and in the same time for an unknown client, a wrong secret and a disabled one. */
enum rc auth_check_client(struct store *s, struct arena *a, const char *client_id, const char *secret,
                          struct client *out, struct err *err) MUST_CHECK;

/* The account that a session or a link belongs to. RC_NOT_FOUND: unknown, ended, or run out. */
enum rc auth_find_token(struct store *s, const char *token, enum token_purpose purpose, int64_t now,
                        int64_t *account_id, struct err *err) MUST_CHECK;

/* ---- access tokens (access_token.c) ---- */

struct auth_keys {
    uint8_t token_key[CRYPTO_KEY_LEN];
};

struct access_token {
    const char *client_id;
    unsigned scopes;
    int64_t issued_at, expires_at; /* us, whole seconds */
};
/* The compact form, in the arena. */
char *access_token_issue(struct arena *a, const struct auth_keys *keys, const struct access_token *token);
/* RC_UNAUTHENTICATED: not HS256, not ours, not yet or no longer valid, not complete. */
enum rc access_token_verify(struct arena *a, const struct auth_keys *keys, const char *text, int64_t now,
                            struct access_token *out, struct err *err) MUST_CHECK;

/* ---- passwords ---- */

enum { AUTH_PASSWORD_MIN = 8, AUTH_PASSWORD_MAX = 500 /* bytes */ };

/* RC_INVALID: too short, too long. */
enum rc auth_password_rules(const char *password, struct err *err) MUST_CHECK;
/* Takes a tenth of a second and 16 MiB, on purpose: never call it on the writer's thread. In the arena. */
enum rc auth_password_hash(const struct world *w, struct arena *a, const char *password, char **out,
                           struct err *err) MUST_CHECK;
/* stored: as auth_password_hash made it. NULL (there is no account, or it has no password) takes as long and
 * never matches. */
bool auth_password_matches(const char *password, const char *stored);

/* ---- tries ---- */

/* Counts tries of an account or a source; shared by all threads. */
struct auth_throttle;
struct auth_throttle *auth_throttle_open(void);
void auth_throttle_close(struct auth_throttle **t);

enum {
    AUTH_LOGIN_TRIES = 10,       /* of one login from one source, or of one session */
    AUTH_EVERYWHERE_TRIES = 500, /* of one login from all sources */
    AUTH_SOURCE_TRIES = 100      /* of one source */
};
#define AUTH_TRIES_WINDOW_US (INT64_C(15) * 60 * 1000000)

/* Counts a try before its outcome is known, so that tries at the same time count, too. False: there were
 * `max` of them in the last AUTH_TRIES_WINDOW_US already. Only a digest of `who` is kept. */
bool auth_throttle_try(struct auth_throttle *t, const char *who, unsigned max, int64_t now);
/* Takes a try back that was right: it does not count. */
void auth_throttle_return(struct auth_throttle *t, const char *who);
/* Takes all tries back. */
void auth_throttle_forget(struct auth_throttle *t, const char *who);

/* ---- the caller of a request ---- */

enum { AUTH_ACTOR_MAX = 96, AUTH_MEMORY_US = 800000 };

struct caller {
    char actor[AUTH_ACTOR_MAX]; /* "client:NAME", "account:ID", "local:UID"; for the log */
    unsigned scopes;
    int64_t account_id; /* of a session; 0: it is none */
};

/* Answers remembered by one worker thread. */
struct auth_memory;
struct auth_memory *auth_memory_open(void);
void auth_memory_close(struct auth_memory **m);

/* The token in the header of Authorization; NULL when there is none. */
const char *auth_header_token(const char *header);
/* header: Authorization, "JWT ..." or "Bearer ..."; NULL when absent. A session is never remembered, because
 * it ends at once. RC_UNAUTHENTICATED. */
enum rc auth_check(struct auth_memory *m, const struct auth_keys *keys, struct store *s, struct arena *a,
                   const char *header, int64_t now, struct caller *out, struct err *err) MUST_CHECK;

#endif
