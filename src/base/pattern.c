/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pattern.h"

#include <ctype.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

enum { PATTERN_MAX = 200, REPEATS_MAX = 1000 };

/* regcomp() takes what needs memory or time without end: repetitions of repetitions, and references to what
 * was matched before. */
static const char *fault_of(const char *pattern)
{
    unsigned long repeats = 1;
    bool counts = false;
    for (const char *c = pattern; *c; c++) {
        if (*c == '\\' && c[1] >= '1' && c[1] <= '9')
            return "a back reference like \\1 cannot stand in it";
        if (*c == '\\' && isalnum((unsigned char)c[1]) && !strchr("wWsSbB", c[1]))
            return "\\ before a letter or digit (\\d) would mean the letter itself: write a set like [0-9]";
        if (*c == '\\' && c[1])
            c++;
        else if (*c == '{' || *c == '}')
            counts = *c == '{';
        if (!counts || (*c != '{' && *c != ','))
            continue;
        unsigned long n = strtoul(c + 1, NULL, 10);
        repeats *= n > REPEATS_MAX ? REPEATS_MAX + 1 : n > 1 ? n : 1;
        if (repeats > REPEATS_MAX)
            return "its repetitions, multiplied, are more than 1000";
    }
    return NULL;
}

enum rc pattern_check(const char *pattern, struct err *err)
{
    regex_t compiled;
    char words[100];
    if (strlen(pattern) > PATTERN_MAX)
        return err_set(err, RC_INVALID, "it has more than %d bytes", PATTERN_MAX);
    const char *fault = fault_of(pattern);
    if (fault)
        return err_set(err, RC_INVALID, "%s", fault);
    int code = regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB);
    if (!code) {
        regfree(&compiled);
        return RC_OK;
    }
    regerror(code, &compiled, words, sizeof(words));
    return err_set(err, RC_INVALID, "it is no extended regular expression: %s", words);
}

bool pattern_matches(const char *pattern, const char *text)
{
    regex_t compiled;
    if (regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB))
        return false; /* out of memory: it was compiled before */
    bool matches = regexec(&compiled, text, 0, NULL, 0) == 0;
    regfree(&compiled);
    return matches;
}
