/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords of accounts: yescrypt with what libxcrypt thinks it should cost today. The only file that knows
 * crypt. Whether an account exists must not show in the time an answer takes, so a password is always
 * compared with something: where there is nothing, with a hash that nobody knows the password of.
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

static char *make_hash(const char *password)
{
    char *setting = crypt_gensalt_ra("$y$", 0, NULL, 0);
    char *hash = setting ? run_crypt(password, setting) : NULL;
    free(setting);
    return hash;
}

enum rc auth_password_hash(struct arena *a, const char *password, char **out, struct err *err)
{
    char *hash = make_hash(password);
    *out = arena_strdup(a, hash);
    free(hash);
    return *out ? RC_OK : err_set(err, RC_INTERNAL, "yescrypt is not to be had from libcrypt");
}

static char *nobodys;

static void make_nobodys(void)
{
    uint8_t bytes[32];
    char password[AUTH_SECRET_LEN];
    crypto_random(bytes, sizeof(bytes));
    crypto_base64url(bytes, sizeof(bytes), password);
    nobodys = make_hash(password);
}

bool auth_password_matches(const char *password, const char *stored)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_nobodys);
    if (!nobodys)
        return false;
    bool possible = stored && strlen(password) <= AUTH_PASSWORD_MAX;
    const char *against = possible ? stored : nobodys;
    char *hash = run_crypt(possible ? password : "", against);
    bool same = hash && strlen(hash) == strlen(against) && crypto_equal(hash, against, strlen(against));
    free(hash);
    return same && possible;
}
