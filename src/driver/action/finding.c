/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the answer to a look means; pure. The kinds of actions read their own answers, with what stands here.
 *
 * The hard idea: only an answer that was expected proves anything. Whatever is not understood (no answer, an
 * error, another form than the configured one) means neither "all is gone" nor "something is left": it is
 * inconclusive, and there is another look.
 */
#include <string.h>

#include "driver/action/action.h"

struct finding finding_inconclusive(const char *why)
{
    return (struct finding){ .kind = FINDING_INCONCLUSIVE, .why = why };
}

struct finding finding_counted(int64_t n)
{
    return (struct finding){ .kind = n > 0 ? FINDING_RESIDUE : FINDING_CLEAN, .left = n };
}

struct finding finding_number(const struct attempt *attempt, const char *why_not)
{
    enum { DIGITS_MAX = 18 };
    const char *text = attempt->answer ? attempt->answer : "", *const end = text + attempt->answer_len;
    const char *const space = " \t\r\n";
    int64_t n = 0;
    text += strspn(text, space);
    size_t digits = strspn(text, "0123456789");
    if (attempt->answer_cut || digits == 0 || digits > DIGITS_MAX ||
        text + digits + strspn(text + digits, space) != end)
        return finding_inconclusive(why_not);
    for (size_t i = 0; i < digits; i++)
        n = 10 * n + (text[i] - '0');
    return finding_counted(n);
}
