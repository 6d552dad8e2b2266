/* SPDX-License-Identifier: Apache-2.0 */
/* Extended regular expressions (POSIX), which come from the configuration. */
#ifndef LETHE_BASE_PATTERN_H
#define LETHE_BASE_PATTERN_H

#include <stdbool.h>

#include "base/err.h"

/* RC_INVALID: it is none, is longer than 200 bytes, or could need time or memory without end. */
enum rc pattern_check(const char *pattern, struct err *err) MUST_CHECK;
/* Does a part of the text match the pattern, which pattern_check() has accepted? */
bool pattern_matches(const char *pattern, const char *text);

#endif
