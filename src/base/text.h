/* SPDX-License-Identifier: Apache-2.0 */
/* Unicode text from outside: is it well formed, how long is it, what is its lower case. */
#ifndef LETHE_BASE_TEXT_H
#define LETHE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

bool text_is_utf8(const char *s, size_t len);
size_t text_char_len(const char *s, size_t len); /* bytes of the well-formed character at s; 0 if none */
size_t text_count(const char *s);                /* characters (code points) of valid UTF-8 */
int text_hex_value(char c);                      /* of a hexadecimal digit; -1: it is none */
/* Writes the code point c in UTF-8, 1 to 4 bytes; returns the end. */
char *text_put_char(char *to, unsigned c);
/* Bytes of the blank at s: a space or tab, one of another width or that does not break (U+A0), or a character
 * without any width; 0: none. */
size_t text_blank_len(const char *s, size_t len);
/* The text without blanks at both ends. */
const char *text_trim(const char *s, size_t *len);
bool text_has_control(const char *s); /* U+0000..1F, U+7F..9F */
/* What is in a secret that cannot be seen and was hardly meant: a blank at its beginning or end, and anywhere
 * a control character, a blank that is not a space, or a character without width. The end of "the secret
 * ...", in the arena; NULL: nothing. */
const char *text_secret_fault(struct arena *a, const char *secret);
/* s, behind the byte order mark with which it may begin. */
const char *text_skip_mark(const char *s);
char *text_lower(struct arena *a, const char *s); /* full Unicode lower case, locale-free; s is valid UTF-8 */
/* The composed form (NFC), so that letters with accents are equal however they were typed; s is valid UTF-8.
 */
char *text_nfc(struct arena *a, const char *s);
/* The composed form as a part of a file's name, at most max bytes: letters of any script, marks, digits,
 * pictures,
 * "-" and "."; all else is "_". */
char *text_file_part(struct arena *a, const char *s, size_t max);
/* The length of the longest prefix of at most max bytes that splits no character. */
size_t text_cut(const char *s, size_t len, size_t max);

/* The length of the first characters, at most max of them; a bad byte counts as one. */
size_t text_cut_chars(const char *s, size_t len, size_t max);

/* For an error text: the first 60 bytes, and "..." where something was cut off. */
const char *text_brief(struct arena *a, const char *s);

/* Are they equal? Each may be NULL. */
bool text_is_same(const char *a, const char *b);
/* In lower case, as addresses are compared? Both are valid UTF-8. */
bool text_is_same_lower(const char *a, const char *b);
bool text_is_among(const char *text, const char *const *list, size_t n);
bool text_is_listed(const char *text, const char *const *list); /* which ends with NULL */

/* The candidate nearest to word by edit distance, if it is near enough to be a slip of the hand
 * (at most a third of the word, and 3), else NULL. candidates ends with NULL. */
const char *text_nearest(const char *word, const char *const *candidates);

#endif
