/* SPDX-License-Identifier: Apache-2.0 */
/* Compresses and unpacks piece by piece, so that the ceiling of the buf holds. */
#include "base/gzip.h"

#include <assert.h>
#include <limits.h>

#define ZLIB_CONST /* next_in points to const */
#include <zlib.h>

enum { GZIP_WINDOW = 15 + 16, MEMORY_LEVEL = 8, PIECE = 16384 };

void gzip_pack(struct buf *out, const void *data, size_t len)
{
    unsigned char piece[PIECE];
    z_stream z = { .next_in = data, .avail_in = (uInt)len };
    assert(len <= UINT_MAX);
    int code =
        deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
    assert(code == Z_OK);
    do {
        z.next_out = piece;
        z.avail_out = PIECE;
        code = deflate(&z, Z_FINISH);
        assert(code == Z_OK || code == Z_STREAM_END);
        buf_add(out, piece, PIECE - z.avail_out);
    } while (code != Z_STREAM_END);
    deflateEnd(&z);
}

enum rc gzip_unpack(struct buf *out, const void *data, size_t len, struct err *err)
{
    unsigned char piece[PIECE];
    z_stream z = { .next_in = data, .avail_in = (uInt)len };
    assert(len <= UINT_MAX);
    int code = inflateInit2(&z, GZIP_WINDOW);
    assert(code == Z_OK);
    do {
        z.next_out = piece;
        z.avail_out = PIECE;
        code = inflate(&z, Z_NO_FLUSH);
        buf_add(out, piece, PIECE - z.avail_out);
    } while (code == Z_OK && !out->over);
    bool whole = code == Z_STREAM_END && z.avail_in == 0;
    inflateEnd(&z);
    if (out->over)
        return err_set(err, RC_TOO_LARGE, "unpacked, it is larger than %zu bytes", out->max);
    return whole ? RC_OK : err_set(err, RC_INVALID, "it is not a whole gzip file");
}
