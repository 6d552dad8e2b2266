/* SPDX-License-Identifier: Apache-2.0 */
/* Writing an e-mail: headers with encoded words (RFC 2047), a quoted-printable body (RFC 2045). See mail.h.
 */
#include "base/mail.h"

#include <string.h>
#include <time.h>

#include <idn2.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/text.h"

enum {
    LOCAL_MAX = 64,
    PLAIN_MAX = 60,     /* characters of a value on the line of its header */
    ENCODED_BYTES = 39, /* in one encoded word: a line has 76 characters at most */
    BODY_LINE_MAX = 75, /* before the = of a soft line end */
    MESSAGE_ID_BYTES = 16
};

static const char alnum[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/* ---- addresses ---- */

static bool has_only(const char *s, size_t len, const char *others)
{
    for (size_t i = 0; i < len; i++)
        if ((signed char)s[i] >= 0 && !strchr(alnum, s[i]) && !strchr(others, s[i]))
            return false;
    return true;
}

/* Parts between dots, none of them empty. */
static bool is_dotted(const char *s, size_t len)
{
    if (len == 0 || s[0] == '.' || s[len - 1] == '.')
        return false;
    for (size_t i = 1; i < len; i++)
        if (s[i] == '.' && s[i - 1] == '.')
            return false;
    return true;
}

bool mail_is_address(const char *text)
{
    size_t len = strlen(text), local = strcspn(text, "@");
    if (len > MAIL_ADDRESS_MAX || text[local] != '@' || local > LOCAL_MAX)
        return false;
    if (!text_is_utf8(text, len) || text_has_control(text))
        return false;
    const char *domain = text + local + 1;
    size_t domain_len = len - local - 1;
    return is_dotted(text, local) && has_only(text, local, ".!#$%&'*+-/=?^_`{|}~") &&
           is_dotted(domain, domain_len) && has_only(domain, domain_len, ".-") && domain[0] != '-';
}

static bool is_ascii(const char *s, size_t len)
{
    size_t n = 0;
    while (n < len && (signed char)s[n] >= 0)
        n++;
    return n == len;
}

enum rc mail_ascii_domain(struct arena *a, const char *address, const char **out, struct err *err)
{
    const char *at = strchr(address, '@');
    uint8_t *ascii = NULL;
    *out = address;
    if (!at || is_ascii(at, strlen(at)))
        return RC_OK;
    if (idn2_lookup_u8((const uint8_t *)at + 1, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
        return err_set(err, RC_INVALID, "what stands behind the @ can be no domain");
    *out = arena_printf(a, "%.*s@%s", (int)(at - address), address, (const char *)ascii);
    idn2_free(ascii);
    return RC_OK;
}

bool mail_needs_utf8(const char *address)
{
    return !is_ascii(address, strcspn(address, "@"));
}

/* ---- headers ---- */

/* A plain value as it is; any other as encoded words, each on a line of its own. */
static void add_words(struct buf *out, const char *s, bool plain)
{
    char coded[(ENCODED_BYTES + 2) / 3 * 4 + 1];
    size_t len = strlen(s);
    for (const char *c = s; *c; c++)
        plain = plain && (signed char)*c > 0; /* ASCII */
    if (plain && len <= PLAIN_MAX && !strstr(s, "=?")) {
        buf_add_str(out, s);
        return;
    }
    while (len > 0) {
        size_t n = text_cut(s, len, ENCODED_BYTES);
        crypto_base64((const uint8_t *)s, n, coded);
        buf_printf(out, "=?UTF-8?B?%s?=", coded);
        s += n;
        len -= n;
        if (len > 0)
            buf_add_str(out, "\r\n ");
    }
}

static void add_headers(struct buf *out, const struct mail_message *m)
{
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)(m->date_at / CLOCK_S);
    struct tm tm;
    uint8_t digest[CRYPTO_SHA256_LEN];
    char id[2 * MESSAGE_ID_BYTES + 1];
    crypto_sha256(m->key, strlen(m->key), digest);
    crypto_hex(digest, MESSAGE_ID_BYTES, id);
    gmtime_r(&seconds, &tm); /* strftime would take the names from the locale */
    buf_printf(out, "Date: %.3s, %02d %.3s %d %02d:%02d:%02d +0000\r\n", days + 3 * tm.tm_wday, tm.tm_mday,
               months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    buf_add_str(out, "From: ");
    if (m->from_name) {
        add_words(out, m->from_name, m->from_name[strspn(m->from_name, alnum)] == '\0');
        buf_add_str(out, "\r\n ");
    }
    buf_printf(out, "<%s>\r\nTo: <%s>\r\nSubject: ", m->from, m->to);
    add_words(out, m->subject, true);
    buf_printf(out, "\r\nMessage-ID: <%s%s>\r\n", id, strchr(m->from, '@'));
    buf_add_str(out, "Auto-Submitted: auto-generated\r\n"
                     "MIME-Version: 1.0\r\n"
                     "Content-Type: text/plain; charset=utf-8\r\n"
                     "Content-Transfer-Encoding: quoted-printable\r\n"
                     "\r\n");
}

/* ---- body ---- */

static size_t line_end_len(const char *s)
{
    return s[0] == '\r' && s[1] == '\n' ? 2 : s[0] == '\r' || s[0] == '\n';
}

static void add_body(struct buf *out, const char *s)
{
    size_t column = 0;
    while (*s) {
        size_t end = line_end_len(s);
        if (end > 0) {
            buf_add_str(out, "\r\n");
            column = 0;
            s += end;
            continue;
        }
        /* Does the character stand for itself? A blank does not at the end of a line. */
        bool ends_line = s[1] == '\0' || line_end_len(s + 1) > 0;
        bool plain = *s == ' ' || *s == '\t' ? !ends_line : *s > ' ' && *s <= '~' && *s != '=';
        size_t width = plain ? 1 : 3;
        if (column + width > BODY_LINE_MAX) {
            buf_add_str(out, "=\r\n");
            column = 0;
        }
        if (plain)
            buf_add_char(out, *s);
        else
            buf_printf(out, "=%02X", (unsigned)(unsigned char)*s);
        column += width;
        s++;
    }
    if (column > 0)
        buf_add_str(out, "\r\n");
}

/* ---- the whole ---- */

static enum rc check_header(const char *name, const char *value, struct err *err)
{
    if (!text_is_utf8(value, strlen(value)))
        return err_set(err, RC_INVALID, "%s: it is not UTF-8", name);
    if (text_has_control(value))
        return err_set(err, RC_INVALID, "%s: it has a control character, which cannot stand in a header",
                       name);
    return RC_OK;
}

enum rc mail_write(struct buf *out, const struct mail_message *m, struct err *err)
{
    if (!mail_is_address(m->from))
        return err_set(err, RC_INVALID, "from: it is not an address");
    if (!mail_is_address(m->to))
        return err_set(err, RC_INVALID, "to: it is not an address");
    enum rc rc = m->from_name ? check_header("from", m->from_name, err) : RC_OK;
    if (!rc)
        rc = check_header("subject", m->subject, err);
    if (rc)
        return rc;
    add_headers(out, m);
    add_body(out, m->text);
    if (out->over)
        return err_set(err, RC_TOO_LARGE, "the message is longer than %zu bytes", out->max);
    return RC_OK;
}
