/* SPDX-License-Identifier: Apache-2.0 */
/* What a caller may do. Tokens and the command line have scopes by name, rows have them as bits. */
#include "auth/auth.h"

#include <string.h>

#include "base/text.h"

static const struct scope_row {
    unsigned bit;
    const char *name;
} scopes_known[] = {
#define X(name, bit, text) { bit, text },
    SCOPE_TABLE(X)
#undef X
};

enum { SCOPES_KNOWN = sizeof(scopes_known) / sizeof(scopes_known[0]) };

static enum rc unknown_scope(const char *name, size_t len, struct err *err)
{
    struct buf known;
    buf_init(&known, 256);
    scope_print(&known, SCOPE_ALL);
    enum rc rc = err_set_code(err, RC_INVALID, "invalid_scope", "scope: there is no \"%.*s\"; there are: %s",
                              (int)text_cut(name, len, 40), name, buf_str(&known));
    buf_free(&known);
    return rc;
}

enum rc scope_parse(const char *text, unsigned *out, struct err *err)
{
    unsigned scopes = 0;
    for (const char *at = text + strspn(text, " "); *at; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");
        unsigned bit = 0;
        for (size_t i = 0; i < SCOPES_KNOWN; i++) {
            const struct scope_row *row = &scopes_known[i];
            if ((row->bit & SCOPE_ALL) && strlen(row->name) == len && memcmp(row->name, at, len) == 0)
                bit = row->bit;
        }
        if (!bit)
            return unknown_scope(at, len, err);
        scopes |= bit;
        at += len;
    }
    if (!scopes)
        return err_set_code(err, RC_INVALID, "invalid_scope",
                            "scope: give at least one, separated by spaces");
    *out = scopes;
    return RC_OK;
}

void scope_print(struct buf *out, unsigned scopes)
{
    const char *between = "";
    for (size_t i = 0; i < SCOPES_KNOWN; i++) {
        if (!(scopes & scopes_known[i].bit))
            continue;
        buf_add_str(out, between);
        buf_add_str(out, scopes_known[i].name);
        between = " ";
    }
}

bool scope_allows(unsigned scopes, enum scope needed)
{
    unsigned all = scopes & SCOPE_ADMIN ? scopes | (SCOPE_ALL & ~(unsigned)SCOPE_ACCOUNTS) : scopes;
    return needed == SCOPE_NONE || (all & (unsigned)needed);
}

bool scope_covers(unsigned scopes, unsigned wanted)
{
    for (unsigned bit = 1; bit <= SCOPE_ALL; bit <<= 1) {
        if ((wanted & bit) && !scope_allows(scopes, (enum scope)bit))
            return false;
    }
    return true;
}
