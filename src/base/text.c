/* SPDX-License-Identifier: Apache-2.0 */
/* Unicode text. What is well-formed UTF-8 is decided here (Unicode 15, table 3-7: no surrogates, no over-long
 * forms, nothing above U+10FFFF); lower case, the composed form and kinds of characters are libunistring's.
 */
#include "base/text.h"

#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <unictype.h>
#include <uniname.h>
#include <uninorm.h>
#include <unistr.h>

enum { WORD_MAX = 64, SLIP_MAX = 3, BRIEF_MAX = 60 };

static bool is_continuation(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

/* May this be the second byte? Here over-long forms and surrogates are refused. */
static bool second_fits(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xE0: return second >= 0xA0 && second <= 0xBF;
    case 0xED: return second >= 0x80 && second <= 0x9F;
    case 0xF0: return second >= 0x90 && second <= 0xBF;
    case 0xF4: return second >= 0x80 && second <= 0x8F;
    default: return is_continuation(second);
    }
}

size_t text_char_len(const char *s, size_t len)
{
    const unsigned char *u = (const unsigned char *)s;
    if (len == 0)
        return 0;
    if (u[0] < 0x80)
        return 1;
    size_t need = u[0] < 0xC2 ? 0 : u[0] < 0xE0 ? 2 : u[0] < 0xF0 ? 3 : u[0] < 0xF5 ? 4 : 0;
    if (need == 0 || need > len || !second_fits(u[0], u[1]))
        return 0;
    for (size_t i = 2; i < need; i++)
        if (!is_continuation(u[i]))
            return 0;
    return need;
}

bool text_is_utf8(const char *s, size_t len)
{
    size_t i = 0;
    while (i < len) {
        uint64_t eight;
        if (len - i >= sizeof(eight)) {
            memcpy(&eight, s + i, sizeof(eight));
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof(eight);
                continue;
            }
        }
        size_t n = (unsigned char)s[i] < 0x80 ? 1 : text_char_len(s + i, len - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

size_t text_count(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += !is_continuation((unsigned char)*s);
    return n;
}

int text_hex_value(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)((at - digits) % 16) : -1;
}

char *text_put_char(char *to, unsigned c)
{
    if (c < 0x80) {
        *to++ = (char)c;
        return to;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char first[] = { 0, 0xC0, 0xE0, 0xF0 };
    *to++ = (char)(first[more] | c >> 6 * more);
    while (more-- > 0)
        *to++ = (char)(0x80 | (c >> 6 * more & 0x3F));
    return to;
}

size_t text_blank_len(const char *s, size_t len)
{
    static const struct {
        uint32_t from, to;
    } blanks[] = {
        { '\t', '\t' },     { ' ', ' ' },       { 0xA0, 0xA0 },     { 0xAD, 0xAD },
        { 0x1680, 0x1680 }, { 0x180E, 0x180E }, { 0x2000, 0x200F }, { 0x2028, 0x202F },
        { 0x205F, 0x206F }, { 0x3000, 0x3000 }, { 0xFEFF, 0xFEFF },
    };
    size_t n = text_char_len(s, len);
    ucs4_t c;
    if (n == 0)
        return 0;
    u8_mbtouc_unsafe(&c, (const uint8_t *)s, n);
    for (size_t i = 0; i < sizeof(blanks) / sizeof(*blanks); i++)
        if (c >= blanks[i].from && c <= blanks[i].to)
            return n;
    return 0;
}

const char *text_trim(const char *s, size_t *len)
{
    for (size_t n; (n = text_blank_len(s, *len)) > 0; *len -= n)
        s += n;
    for (size_t n = *len; n > 0 && *len - n < 4;) {
        if (is_continuation((unsigned char)s[--n]) || text_blank_len(s + n, *len - n) != *len - n)
            continue;
        *len = n;
    }
    return s;
}

static bool is_invisible(ucs4_t c)
{
    enum { BRAILLE_BLANK = 0x2800 };
    const uint32_t hidden = UC_CATEGORY_MASK_Cc | UC_CATEGORY_MASK_Cf | UC_CATEGORY_MASK_Z;
    return (c != ' ' && uc_is_general_category_withtable(c, hidden)) ||
           uc_is_property_default_ignorable_code_point(c) || c == BRAILLE_BLANK;
}

static const char *name_invisible(struct arena *a, ucs4_t c)
{
    char name[UNINAME_MAX];
    const char *known = c == '\t' ? "TAB" : c == '\r' ? "CARRIAGE RETURN" : c == '\n' ? "LINE FEED" : NULL;
    if (!known)
        known = unicode_character_name(c, name);
    return arena_printf(a, "has a character that cannot be seen: U+%04X (%s)", (unsigned)c,
                        known ? known : "CONTROL CHARACTER");
}

const char *text_secret_fault(struct arena *a, const char *secret)
{
    size_t len = strlen(secret);
    ucs4_t c = 0;
    if (!text_is_utf8(secret, len))
        return "is not text in UTF-8";
    for (const uint8_t *at = (const uint8_t *)secret; (at = u8_next(&c, at)) != NULL;)
        if (is_invisible(c))
            return name_invisible(a, c);
    if (len == 0 || (secret[0] != ' ' && secret[len - 1] != ' '))
        return NULL;
    return secret[0] == ' ' ? "begins with a blank" : "ends with a blank";
}

const char *text_skip_mark(const char *s)
{
    static const char mark[] = "\xEF\xBB\xBF";
    return strncmp(s, mark, strlen(mark)) == 0 ? s + strlen(mark) : s;
}

bool text_has_control(const char *s)
{
    const unsigned char *u = (const unsigned char *)s;
    for (; *u; u++) {
        if (*u < 0x20 || *u == 0x7F)
            return true;
        if (*u == 0xC2 && u[1] >= 0x80 && u[1] <= 0x9F)
            return true;
    }
    return false;
}

char *text_lower(struct arena *a, const char *s)
{
    size_t len = strlen(s), lower_len = 0;
    if (len == 0)
        return arena_strdup(a, "");
    uint8_t *lower = u8_tolower((const uint8_t *)s, len, NULL, NULL, NULL, &lower_len);
    assert(lower);
    char *copy = arena_strndup(a, (const char *)lower, lower_len);
    explicit_bzero(lower, lower_len);
    free(lower);
    return copy;
}

/* ---- comparing ---- */

bool text_is_same(const char *a, const char *b)
{
    return !a || !b ? a == b : strcmp(a, b) == 0;
}

bool text_is_same_lower(const char *a, const char *b)
{
    struct arena scratch = { 0 };
    bool same = strcmp(text_lower(&scratch, a), text_lower(&scratch, b)) == 0;
    arena_free(&scratch);
    return same;
}

bool text_is_among(const char *text, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], text) == 0)
            return true;
    return false;
}

bool text_is_listed(const char *text, const char *const *list)
{
    while (*list && strcmp(*list, text) != 0)
        list++;
    return *list;
}

char *text_nfc(struct arena *a, const char *s)
{
    size_t len = strlen(s), nfc_len = 0;
    if (len == 0)
        return arena_strdup(a, "");
    uint8_t *nfc = u8_normalize(UNINORM_NFC, (const uint8_t *)s, len, NULL, &nfc_len);
    assert(nfc);
    char *copy = arena_strndup(a, (const char *)nfc, nfc_len);
    explicit_bzero(nfc, nfc_len);
    free(nfc);
    return copy;
}

static bool is_for_file_names(ucs4_t c)
{
    if (c < 0x80)
        return isalnum((int)c) || c == '-' || c == '.';
    return uc_is_general_category_withtable(c, UC_CATEGORY_MASK_L | UC_CATEGORY_MASK_M | UC_CATEGORY_MASK_N |
                                                   UC_CATEGORY_MASK_So);
}

char *text_file_part(struct arena *a, const char *s, size_t max)
{
    const char *nfc = text_nfc(a, s);
    size_t len = text_cut(nfc, strlen(nfc), max), n = 0;
    char *part = arena_alloc(a, len + 1);
    for (size_t i = 0, char_len; i < len; i += char_len) {
        ucs4_t c;
        char_len = (size_t)u8_mbtoucr(&c, (const uint8_t *)nfc + i, len - i);
        if (is_for_file_names(c)) {
            memcpy(part + n, nfc + i, char_len);
            n += char_len;
        } else {
            part[n++] = '_';
        }
    }
    part[n] = '\0';
    return part;
}

size_t text_cut(const char *s, size_t len, size_t max)
{
    if (len <= max)
        return len;
    size_t cut = max;
    while (cut > 0 && max - cut < 3 && is_continuation((unsigned char)s[cut]))
        cut--;
    return is_continuation((unsigned char)s[cut]) ? max : cut;
}

size_t text_cut_chars(const char *s, size_t len, size_t max)
{
    size_t cut = 0;
    for (size_t n = 0; n < max && cut < len; n++) {
        size_t char_len = text_char_len(s + cut, len - cut);
        cut += char_len ? char_len : 1;
    }
    return cut;
}

const char *text_brief(struct arena *a, const char *s)
{
    size_t len = strlen(s), cut = text_cut(s, len, BRIEF_MAX);
    return arena_printf(a, "%.*s%s", (int)cut, s, cut < len ? "..." : "");
}

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* How many slips (a character added, lost or changed, or two swapped) lead from a to b, whatever their case.
 */
static unsigned slips(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][WORD_MAX + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_len; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *oldest = before;
        before = above;
        above = row;
        row = oldest;
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            bool same = fold(a[i - 1]) == fold(b[j - 1]);
            row[j] = least(above[j - 1] + !same, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
    }
    return row[b_len];
}

const char *text_nearest(const char *word, const char *const *candidates)
{
    size_t len = strlen(word);
    if (len > WORD_MAX)
        return NULL;
    unsigned allowed = least((unsigned)len / 3, SLIP_MAX);
    unsigned best = allowed + 1;
    const char *nearest = NULL;
    for (; *candidates; candidates++) {
        size_t candidate_len = strlen(*candidates);
        if (candidate_len > WORD_MAX)
            continue;
        unsigned n = slips(word, len, *candidates, candidate_len);
        if (n < best) {
            best = n;
            nearest = *candidates;
        }
    }
    return nearest;
}
