/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits how often a password can be tried. A table of fixed size counts the tries of a quarter of an hour by
 * a digest of the account or source. When it is full it forgets the oldest, so it cannot be made to grow; a
 * restart forgets everything, but no caller can cause a restart.
 */
#include "auth/auth.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 8192, PROBES = 16, KEY_LEN = 16 };

struct tries {
    uint8_t key[KEY_LEN];
    int64_t since; /* us: the first of them; 0: empty */
    unsigned n;
};

struct auth_throttle {
    pthread_mutex_t lock;
    struct tries slots[SLOTS + PROBES];
};

struct auth_throttle *auth_throttle_open(void)
{
    struct auth_throttle *t = XNEW(struct auth_throttle);
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void auth_throttle_close(struct auth_throttle **t)
{
    if (*t)
        pthread_mutex_destroy(&(*t)->lock);
    free(*t);
    *t = NULL;
}

/* The slot of this key, or the slot that it may have: an empty one, or that of the oldest. */
static struct tries *find_slot(struct auth_throttle *t, const char *who, uint8_t key[KEY_LEN])
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    size_t start;
    crypto_sha256(who, strlen(who), digest);
    memcpy(key, digest, KEY_LEN);
    memcpy(&start, digest + KEY_LEN, sizeof(start));
    struct tries *first = &t->slots[start % SLOTS], *oldest = first;
    for (struct tries *s = first; s < first + PROBES; s++) {
        if (s->since && memcmp(s->key, key, KEY_LEN) == 0)
            return s;
        if (s->since < oldest->since)
            oldest = s;
    }
    return oldest;
}

bool auth_throttle_try(struct auth_throttle *t, const char *who, unsigned max, int64_t now)
{
    uint8_t key[KEY_LEN];
    pthread_mutex_lock(&t->lock);
    struct tries *s = find_slot(t, who, key);
    /* A time before the first try is within the window, too: of two requests at once, the later one may be
     * counted first. */
    bool is_current = s->since && memcmp(s->key, key, KEY_LEN) == 0 &&
                      s->since - AUTH_TRIES_WINDOW_US < now && now < s->since + AUTH_TRIES_WINDOW_US;
    if (!is_current) {
        *s = (struct tries){ .since = now };
        memcpy(s->key, key, KEY_LEN);
    }
    bool allowed = s->n < max;
    s->n += allowed;
    pthread_mutex_unlock(&t->lock);
    return allowed;
}

void auth_throttle_return(struct auth_throttle *t, const char *who)
{
    uint8_t key[KEY_LEN];
    pthread_mutex_lock(&t->lock);
    struct tries *s = find_slot(t, who, key);
    if (memcmp(s->key, key, KEY_LEN) == 0 && s->n > 0)
        s->n--;
    pthread_mutex_unlock(&t->lock);
}

void auth_throttle_forget(struct auth_throttle *t, const char *who)
{
    uint8_t key[KEY_LEN];
    pthread_mutex_lock(&t->lock);
    struct tries *s = find_slot(t, who, key);
    if (memcmp(s->key, key, KEY_LEN) == 0)
        *s = (struct tries){ 0 };
    pthread_mutex_unlock(&t->lock);
}
