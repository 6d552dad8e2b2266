/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file descriptor whose reader may stop reading: a pipe, a socket, a terminal. What is put there goes out
 * at once or not at all; a thread never waits for the reader.
 */
#ifndef LETHE_BASE_OUTLET_H
#define LETHE_BASE_OUTLET_H

#include <stdbool.h>
#include <stddef.h>

struct outlet;

/* fd is borrowed, may be shared with other processes, and stays as it is; -1: nothing ever goes out. */
struct outlet *outlet_open(int fd);
void outlet_close(struct outlet **outlet);

/* Returns false if the text is lost. A text is never lost in part: what did not go out of one that had begun
 * goes out before the next. */
bool outlet_put(struct outlet *outlet, const char *text, size_t len);

#endif
