/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http.h"

#include <string.h>

#include "base/crypto.h"
#include "base/json.h"
#include "base/text.h"

enum { WORDS_MAX = 200 /* bytes that are told */ };

/* As it is, or as it was sent in a form. */
static bool has_secret(const char *words, const char *secret)
{
    struct buf sent;
    buf_init(&sent, HTTP_BODY_MAX);
    buf_add_url(&sent, secret, strlen(secret));
    bool has = strstr(words, secret) || strstr(words, buf_str(&sent));
    crypto_wipe(sent.data, sent.cap);
    buf_free(&sent);
    return has;
}

const char *http_refusal_words(struct arena *a, const struct http_call *call, const char *secret,
                               const char **error)
{
    struct json *answer;
    bool is_json = !json_parse(a, buf_str(&call->answer), call->answer.len, &answer, NULL);
    const char *code = is_json ? json_get_text(answer, "error") : NULL;
    const char *more = is_json ? json_get_text(answer, "error_description") : NULL;
    *error = code;
    if (!code)
        return "";
    const char *words = more ? arena_printf(a, "%s: %s", code, more) : code;
    if (has_secret(words, secret))
        return "";
    char *line = arena_strndup(a, words, text_cut(words, strlen(words), WORDS_MAX));
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    return line;
}
