/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements to a database by ODBC, in a process of their own: drivers of databases block, leak and crash,
 * and there they harm nobody. The driver starts this very program under another name (sql.c); main.c leads it
 * here.
 *
 * It reads one request as JSON, does it in one transaction, and prints what became of it:
 *
 *   {"connect":"Driver=...;Server=...","password":"..." or null,"query":false,"timeout_s":30,
 *    "statements":[{"sql":"DELETE FROM orders WHERE email = ?","values":["..."]}]}
 *
 *   {"rows":[3]}                committed; -1 where the database does not say
 *   {"rows":[1],"value":"0"}    of a query, which is rolled back: its first column in its first row; null:
 * none
 *   {"failed":"connect", "statement" or "commit","statement":1,"state":"23503","dead":false,"words":"..."}
 *
 * timeout_s: of a statement, so that the database ends it when nobody waits for it any more: who kills this
 * process does not end what runs in a server, and the locks that it holds. dead: the connection is. words:
 * the database's own, without the password.
 */
#ifndef LETHE_DRIVER_ODBC_H
#define LETHE_DRIVER_ODBC_H

#include <stddef.h>

#include "base/buf.h"

#define ODBC_PROGRAM "lethe-sql" /* argv[0] of that process */

enum {
    ODBC_REQUEST_MAX = 2 * 1024 * 1024,
    ODBC_ANSWER_MAX = 64 * 1024,
    ODBC_WORDS_MAX = 4096, /* bytes */
    ODBC_VALUE_MAX = 1000, /* bytes */
    ODBC_ROWS_MAX = 10000  /* of a query are counted */
};

/* One request; appends the answer. */
void odbc_do(const char *request, size_t len, struct buf *answer);
/* From standard input to standard output; does not return. */
_Noreturn void odbc_main(void);

#endif
