/* SPDX-License-Identifier: Apache-2.0 */
/* What the answer to a look means: see finding.h. */
#include "driver/finding.h"

#include <string.h>

#include "base/json.h"

enum { STATUS_OK = 200, EXIT_DONE = 0, EXIT_NOT_SO = 1 };

static struct finding inconclusive(const char *why)
{
    return (struct finding){ .kind = FINDING_INCONCLUSIVE, .why = why };
}

static struct finding counted(int64_t n)
{
    return (struct finding){ .kind = n > 0 ? FINDING_RESIDUE : FINDING_CLEAN, .left = n };
}

static bool is_expected(const struct verify_conf *verify, unsigned status)
{
    for (size_t i = 0; i < verify->expect.n; i++)
        if (verify->expect.status[i] == status)
            return true;
    return false;
}

/* ---- what a service answers ---- */

/* A number, a list, or whether there is any. */
static struct finding count_of(const struct json *value)
{
    if (!value)
        return inconclusive("its answer has nothing where the count should be");
    if (value->kind == JSON_LIST)
        return counted(value->count);
    if ((value->kind == JSON_INT && value->integer >= 0) || value->kind == JSON_BOOL)
        return counted(value->integer);
    return inconclusive("its answer has no count where it should be");
}

static struct finding read_count(const struct verify_conf *verify, const struct attempt *attempt,
                                 struct arena *a)
{
    struct json *json;
    if (attempt->answer_cut)
        return inconclusive("its answer is too long");
    if (json_parse(a, attempt->answer, attempt->answer_len, &json, NULL))
        return inconclusive("its answer is not JSON");
    return count_of(json_find(json, verify->count));
}

static struct finding http_finding(const struct verify_conf *verify, const struct attempt *attempt,
                                   struct arena *a)
{
    if (is_expected(verify, attempt->status))
        return counted(0);
    if (attempt->status != STATUS_OK)
        return inconclusive(NULL);
    return verify->count ? read_count(verify, attempt, a) : counted(1);
}

/* ---- what a program prints, or a query gives ---- */

static struct finding read_number(const struct attempt *attempt, const char *why_not)
{
    enum { DIGITS_MAX = 18 };
    const char *text = attempt->answer ? attempt->answer : "", *const end = text + attempt->answer_len;
    const char *const space = " \t\r\n";
    int64_t n = 0;
    text += strspn(text, space);
    size_t digits = strspn(text, "0123456789");
    if (attempt->answer_cut || digits == 0 || digits > DIGITS_MAX ||
        text + digits + strspn(text + digits, space) != end)
        return inconclusive(why_not);
    for (size_t i = 0; i < digits; i++)
        n = 10 * n + (text[i] - '0');
    return counted(n);
}

/* With expect the other one of 0 and 1 means that something is left, as test and grep say it. */
static struct finding exec_finding(const struct verify_conf *verify, const struct attempt *attempt)
{
    if (verify->expect.n == 0)
        return attempt->status == EXIT_DONE ? read_number(attempt, "what it printed is not a number")
                                            : inconclusive(NULL);
    if (is_expected(verify, attempt->status))
        return counted(0);
    return attempt->status == EXIT_DONE || attempt->status == EXIT_NOT_SO ? counted(1) : inconclusive(NULL);
}

struct finding finding_of(const struct verify_conf *verify, const struct attempt *attempt, struct arena *a)
{
    enum verdict verdict = attempt->judgement.verdict;
    bool is_query = verify->probe.kind == ACTION_SQL;
    if (verdict == VERDICT_AGAIN || (!attempt->has_status && !(is_query && verdict == VERDICT_DONE)))
        return inconclusive(NULL);
    switch (verify->probe.kind) {
    case ACTION_HTTP: return http_finding(verify, attempt, a);
    case ACTION_EXEC: return exec_finding(verify, attempt);
    case ACTION_SQL: return read_number(attempt, "its first value is not a number");
    case ACTION_MAIL:
    case ACTION_MANUAL: break;
    }
    return inconclusive(NULL);
}
