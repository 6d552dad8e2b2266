/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords of accounts: yescrypt at the cost that libxcrypt recommends today. The only file that includes
 * crypt.h. The time of an answer must not tell whether an account exists, so every check hashes once: where
 * no hash is stored, it compares with a stand-in, and the answer is no.
 */
#include "auth/auth.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <crypt.h>

#include "base/text.h"

enum rc auth_password_rules(const char *password, struct err *err)
{
    if (text_count(password) < AUTH_PASSWORD_MIN)
        return err_set(err, RC_INVALID, "password: must have at least %d characters", AUTH_PASSWORD_MIN);
    if (strlen(password) > AUTH_PASSWORD_MAX)
        return err_set(err, RC_INVALID, "password: must have at most %d bytes", AUTH_PASSWORD_MAX);
    return RC_OK;
}

/* What setting makes of the password, to be freed; NULL: the setting is none of libxcrypt's. */
static char *run_crypt(const char *password, const char *setting)
{
    void *work = NULL;
    int size = 0;
    char *hash = crypt_ra(password, setting, &work, &size);
    char *copy = hash ? xstrdup(hash) : NULL;
    if (work)
        crypto_wipe(work, (size_t)size);
    free(work);
    return copy;
}

enum { SALT_LEN = 16 };

static char *make_hash(const uint8_t salt[SALT_LEN], const char *password)
{
    char *setting = crypt_gensalt_ra("$y$", 0, (const char *)salt, SALT_LEN);
    char *hash = setting ? run_crypt(password, setting) : NULL;
    free(setting);
    return hash;
}

enum rc auth_password_hash(const struct world *w, struct arena *a, const char *password, char **out,
                           struct err *err)
{
    uint8_t salt[SALT_LEN];
    world_random(w, salt, sizeof(salt));
    char *hash = make_hash(salt, password);
    *out = arena_strdup(a, hash);
    free(hash);
    return *out ? RC_OK : err_set(err, RC_INTERNAL, "libcrypt does not support yescrypt");
}

/* The hash that stands in where none is stored. Its password does not matter: it never counts as a match. */
static char *stand_in;

static void make_stand_in(void)
{
    stand_in = make_hash((const uint8_t[SALT_LEN]){ 0 }, "");
}

bool auth_password_matches(const char *password, const char *stored)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_stand_in);
    if (!stand_in)
        return false;
    bool possible = stored && strlen(password) <= AUTH_PASSWORD_MAX;
    const char *against = possible ? stored : stand_in;
    char *hash = run_crypt(possible ? password : "", against);
    bool same = hash && strlen(hash) == strlen(against) && crypto_equal(hash, against, strlen(against));
    free(hash);
    return same && possible;
}
