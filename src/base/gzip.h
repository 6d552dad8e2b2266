/* SPDX-License-Identifier: Apache-2.0 */
/* gzip (RFC 1952) in memory, by zlib. */
#ifndef LETHE_BASE_GZIP_H
#define LETHE_BASE_GZIP_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Appends; look at out->over. */
void gzip_pack(struct buf *out, const void *data, size_t len);
/* Appends. RC_INVALID: not one whole gzip file; RC_TOO_LARGE: over the ceiling of out. */
enum rc gzip_unpack(struct buf *out, const void *data, size_t len, struct err *err) MUST_CHECK;

#endif
