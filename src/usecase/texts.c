/* SPDX-License-Identifier: Apache-2.0 */
/* Texts from outside, before they are stored: checked to be one short line, or cut to a length. */
#include "usecase/usecase_int.h"

#include <string.h>

#include "base/text.h"

enum rc texts_check(const char *field, const char *value, size_t max, struct err *err)
{
    if (!text_is_utf8(value, strlen(value)))
        return err_set(err, RC_INVALID, "%s: is not UTF-8", field);
    if (text_has_control(value))
        return err_set(err, RC_INVALID, "%s: has control characters", field);
    if (text_count(value) > max)
        return err_set(err, RC_INVALID, "%s: is longer than %zu characters", field, max);
    return RC_OK;
}

void texts_cut(struct arena *a, const char **text, size_t *len)
{
    static const char mark[] = " [cut]";
    if (*len <= USECASE_RESPONSE_MAX)
        return;
    size_t keep = text_cut(*text, *len, USECASE_RESPONSE_MAX - (sizeof(mark) - 1));
    char *cut = arena_alloc(a, USECASE_RESPONSE_MAX + 1);
    memcpy(cut, *text, keep);
    memcpy(cut + keep, mark, sizeof(mark));
    *text = cut;
    *len = keep + sizeof(mark) - 1;
}
