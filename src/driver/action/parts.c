/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies in parts (multipart/form-data, RFC 7578). The hard idea: what stands between the parts must not
 * stand in one. The boundary is a digest of all of them, so no person can have a name with it, and each
 * repeat of a call has the same body.
 */
#include <string.h>

#include "base/crypto.h"
#include "driver/action/action.h"

enum { BOUNDARY_LEN = 16 /* bytes of the digest */ };

static void write_head(struct buf *out, const struct body_part_conf *part)
{
    buf_printf(out, "\r\nContent-Disposition: form-data; name=\"%s\"", part->name);
    if (part->filename)
        buf_printf(out, "; filename=\"%s\"", part->filename);
    if (part->type)
        buf_printf(out, "\r\nContent-Type: %s", part->type);
    buf_add_str(out, "\r\n\r\n");
}

static enum rc write_all(struct buf *out, const char *boundary, const struct body_conf *body,
                         const struct template_values *values, struct err *err)
{
    buf_reset(out);
    for (size_t i = 0; i < body->n_parts; i++) {
        buf_printf(out, "%s--%s", i > 0 ? "\r\n" : "", boundary);
        write_head(out, &body->parts[i]);
        enum rc rc = template_render(body->parts[i].content, values, out, err);
        if (rc)
            return err_prefix(err, "%s", body->parts[i].name);
    }
    buf_printf(out, "\r\n--%s--\r\n", boundary);
    return out->over ? err_set(err, RC_TOO_LARGE, "longer than %zu bytes", out->max) : RC_OK;
}

enum rc parts_write(struct arena *a, const struct body_conf *body, const struct template_values *values,
                    const char **out, const char **content_type, struct err *err)
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    char boundary[2 * BOUNDARY_LEN + 1] = "";
    struct buf text;
    buf_init(&text, HTTP_BODY_MAX);
    enum rc rc = write_all(&text, boundary, body, values, err);
    if (!rc) {
        crypto_sha256(buf_str(&text), text.len, digest);
        crypto_hex(digest, BOUNDARY_LEN, boundary);
        rc = write_all(&text, boundary, body, values, err);
    }
    if (!rc) {
        *out = arena_strndup(a, buf_str(&text), text.len);
        *content_type = arena_printf(a, "%s; boundary=%s", body->content_type, boundary);
    }
    buf_free(&text);
    return rc;
}

const char *parts_preview(struct arena *a, const struct body_conf *body, const struct template_values *person)
{
    struct err err;
    const char *text, *content_type;
    return parts_write(a, body, person, &text, &content_type, &err)
               ? arena_printf(a, "(cannot be made: %s)", err.text)
               : text;
}
