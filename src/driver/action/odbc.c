/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements to a database by ODBC, in a process of their own: drivers of databases block, leak and crash,
 * and there they do no harm. sql.c starts this very program under another name (ODBC_PROGRAM), and main()
 * leads it here.
 *
 * It reads one request as JSON, does it in one transaction, and prints the outcome:
 *
 *   {"connect":"Driver=...;Server=...","password":"..." or null,"query":false,"timeout_s":30,
 *    "statements":[{"sql":"DELETE FROM orders WHERE email = ?","values":["..."]}]}
 *
 *   {"rows":[3]}                committed; -1 where the database does not say
 *   {"rows":[1],"value":"0"}    of a query, which is rolled back: its first column in its first row, or null
 *   {"failed":"connect", "statement" or "commit","statement":1,"state":"23505","dead":false,"words":"..."}
 *
 * Without statements it only connects. timeout_s holds for a statement, so that the database itself ends it:
 * killing this process does not end what runs in a server, nor release the locks that it holds. dead: the
 * connection is. words: the database's own, without the password.
 *
 * Values are bound, and a statement whose number of places is not the number of values is not executed: then
 * something that looks like a place to us is none to the database, or the other way round.
 */
#include "driver/action/action.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <sql.h>
#include <sqlext.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

enum { STATE_LEN = 5, RECORDS_MAX = 10 };

struct session {
    struct arena arena;
    const char *password; /* NULL: none */
    SQLULEN timeout_s;
    SQLHENV env;
    SQLHDBC db;
    SQLHSTMT statement; /* SQL_NULL_HSTMT: none */
    const char *failed; /* "connect", ...; NULL: nothing has */
    size_t number;      /* of the statement, from 1 */
    char state[STATE_LEN + 1];
    bool dead;
    struct buf words;
};

/* ---- what went wrong ---- */

/* Adds text without the password, which a driver may show with all else that it was given. */
static void add_words(struct session *s, const char *text)
{
    size_t len = s->password ? strlen(s->password) : 0;
    for (const char *found; len > 0 && (found = strstr(text, s->password)); text = found + len) {
        buf_add(&s->words, text, (size_t)(found - text));
        buf_add_str(&s->words, "***");
    }
    buf_add_str(&s->words, text);
}

/* From the diagnostic records of a handle; the first has the state. Warnings (01) come before the error
 * itself. */
static void fail_with(struct session *s, const char *what, SQLSMALLINT type, SQLHANDLE handle)
{
    SQLCHAR state[STATE_LEN + 1] = "", text[SQL_MAX_MESSAGE_LENGTH * 4];
    const char *const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    SQLINTEGER native;
    SQLSMALLINT len;
    SQLUINTEGER dead = SQL_CD_FALSE;
    s->failed = what;
    memcpy(s->state, "HY000", STATE_LEN);
    for (SQLSMALLINT i = 1; i <= RECORDS_MAX; i++) {
        if (!SQL_SUCCEEDED(SQLGetDiagRec(type, handle, i, state, &native, text, sizeof(text), &len)))
            break;
        bool is_state = strspn((const char *)state, letters) == STATE_LEN && !state[STATE_LEN];
        if (is_state && (i == 1 || memcmp(s->state, "01", 2) == 0))
            memcpy(s->state, state, STATE_LEN);
        if (i > 1)
            buf_add_char(&s->words, '\n');
        add_words(s, (const char *)text);
    }
    if (s->db && !SQL_SUCCEEDED(SQLGetConnectAttr(s->db, SQL_ATTR_CONNECTION_DEAD, &dead, 0, NULL)))
        dead = SQL_CD_FALSE;
    s->dead = s->db && dead == SQL_CD_TRUE;
}

/* ---- the connection ---- */

static SQLCHAR *text_of(const char *text)
{
    return (SQLCHAR *)(uintptr_t)text;
}

static bool connect_to(struct session *s, const char *to)
{
    struct buf text;
    buf_init(&text, ODBC_REQUEST_MAX);
    buf_add_str(&text, to);
    if (s->password) {
        buf_add_str(&text, ";PWD={"); /* where only a closing brace means something, and is doubled */
        for (const char *c = s->password; *c; c++)
            buf_add(&text, *c == '}' ? "}}" : c, *c == '}' ? 2 : 1);
        buf_add_char(&text, '}');
    }
    SQLAllocHandle(SQL_HANDLE_ENV, SQL_NULL_HANDLE, &s->env);
    SQLSetEnvAttr(s->env, SQL_ATTR_ODBC_VERSION, (SQLPOINTER)SQL_OV_ODBC3, 0);
    SQLAllocHandle(SQL_HANDLE_DBC, s->env, &s->db);
    SQLRETURN done =
        SQLDriverConnect(s->db, NULL, text_of(buf_str(&text)), SQL_NTS, NULL, 0, NULL, SQL_DRIVER_NOPROMPT);
    buf_free(&text);
    if (SQL_SUCCEEDED(done))
        done = SQLSetConnectAttr(s->db, SQL_ATTR_AUTOCOMMIT, (SQLPOINTER)SQL_AUTOCOMMIT_OFF, 0);
    if (!SQL_SUCCEEDED(done))
        fail_with(s, "connect", SQL_HANDLE_DBC, s->db);
    return SQL_SUCCEEDED(done);
}

/* ---- one statement ---- */

static bool bind_values(struct session *s, const struct json *values)
{
    SQLSMALLINT places = 0;
    SQLUSMALLINT number = 0;
    if (!SQL_SUCCEEDED(SQLNumParams(s->statement, &places)) || places < 0 ||
        (unsigned)places != values->count) {
        s->failed = "statement";
        memcpy(s->state, "07001", STATE_LEN);
        add_words(s, "the database sees another number of places for values in the statement");
        return false;
    }
    SQLLEN *lengths = arena_array(&s->arena, values->count + 1, sizeof(*lengths));
    for (const struct json *v = values->first; v; v = v->next, number++) {
        lengths[number] = (SQLLEN)v->len;
        if (SQL_SUCCEEDED(SQLBindParameter(s->statement, number + 1, SQL_PARAM_INPUT, SQL_C_CHAR, SQL_VARCHAR,
                                           v->len > 0 ? v->len : 1, 0, text_of(v->text), lengths[number],
                                           &lengths[number])))
            continue;
        fail_with(s, "statement", SQL_HANDLE_STMT, s->statement);
        return false;
    }
    return true;
}

/* SQL_NO_DATA: no row was touched. */
static bool execute(struct session *s, const struct json *statement)
{
    const struct json *sql = json_get(statement, "sql"), *values = json_get(statement, "values");
    SQLAllocHandle(SQL_HANDLE_STMT, s->db, &s->statement);
    SQLSetStmtAttr(s->statement, SQL_ATTR_QUERY_TIMEOUT, (SQLPOINTER)s->timeout_s, 0);
    SQLRETURN done = SQLPrepare(s->statement, text_of(sql->text), (SQLINTEGER)sql->len);
    if (SQL_SUCCEEDED(done)) {
        if (!bind_values(s, values))
            return false;
        done = SQLExecute(s->statement);
    }
    if (SQL_SUCCEEDED(done) || done == SQL_NO_DATA)
        return true;
    fail_with(s, "statement", SQL_HANDLE_STMT, s->statement);
    return false;
}

/* ---- a transaction ---- */

static bool change(struct session *s, const struct json *statements, struct json_out *o)
{
    json_put_key(o, "rows");
    json_open_list(o);
    for (const struct json *statement = statements->first; statement; statement = statement->next) {
        s->number++;
        if (!execute(s, statement))
            return false;
        SQLLEN rows = -1;
        SQLRowCount(s->statement, &rows);
        json_put_int(o, rows < 0 ? -1 : rows);
        SQLFreeHandle(SQL_HANDLE_STMT, s->statement);
        s->statement = SQL_NULL_HSTMT;
    }
    json_close_list(o);
    if (SQL_SUCCEEDED(SQLEndTran(SQL_HANDLE_DBC, s->db, SQL_COMMIT)))
        return true;
    fail_with(s, "commit", SQL_HANDLE_DBC, s->db);
    return false;
}

static bool look(struct session *s, const struct json *statements, struct json_out *o)
{
    char value[ODBC_VALUE_MAX + 1] = "";
    SQLLEN len = SQL_NULL_DATA;
    SQLRETURN done = SQL_NO_DATA;
    int64_t n = 0;
    s->number = 1;
    if (!execute(s, statements->first))
        return false;
    bool has_value = false;
    for (; n < ODBC_ROWS_MAX && SQL_SUCCEEDED(done = SQLFetch(s->statement)); n++)
        if (n == 0 && SQL_SUCCEEDED(SQLGetData(s->statement, 1, SQL_C_CHAR, value, sizeof(value), &len)))
            has_value = len != SQL_NULL_DATA;
    if (!SQL_SUCCEEDED(done) && done != SQL_NO_DATA) {
        fail_with(s, "statement", SQL_HANDLE_STMT, s->statement);
        return false;
    }
    json_put_key(o, "rows");
    json_open_list(o);
    json_put_int(o, n);
    json_close_list(o);
    json_field_text(o, "value", has_value ? value : NULL);
    return true;
}

/* ---- is it installed? ---- */

enum { NAME_BYTES_MAX = 512, ATTRIBUTES_BYTES_MAX = 4096 };

/* The value of a keyword in "Driver={A B};Server=..."; NULL: it has none. */
static const char *find_keyword(struct arena *a, const char *text, const char *keyword)
{
    size_t len = strlen(keyword);
    while (*text) {
        text += strspn(text, "; ");
        const char *equals = text + strcspn(text, "=;");
        bool is_it = strncasecmp(text, keyword, len) == 0 && text + len + strspn(text + len, " ") == equals;
        if (*equals != '=') {
            text = equals;
            continue;
        }
        const char *value = equals + 1 + strspn(equals + 1, " ");
        bool braces = *value == '{';
        size_t n = braces ? strcspn(++value, "}") : strcspn(value, ";");
        while (!braces && n > 0 && value[n - 1] == ' ')
            n--;
        if (is_it)
            return arena_strndup(a, value, n);
        text = value + n + (braces && value[n] == '}');
    }
    return NULL;
}

static const char *library_fault(struct arena *a, const char *path)
{
    if (path[0] != '/' || access(path, R_OK) == 0)
        return NULL;
    return arena_printf(a, "the ODBC driver %s cannot be read: %s", path, strerror(errno));
}

/* A driver by its name in odbcinst.ini, or by the path of its library. */
static const char *driver_fault(struct arena *a, SQLHENV env, const char *name)
{
    SQLCHAR listed[NAME_BYTES_MAX], attributes[ATTRIBUTES_BYTES_MAX];
    SQLSMALLINT n;
    SQLUSMALLINT which = SQL_FETCH_FIRST;
    if (name[0] == '/')
        return library_fault(a, name);
    for (; SQL_SUCCEEDED(
             SQLDrivers(env, which, listed, sizeof(listed), &n, attributes, sizeof(attributes) - 2, &n));
         which = SQL_FETCH_NEXT) {
        if (strcasecmp((const char *)listed, name) != 0)
            continue;
        attributes[sizeof(attributes) - 2] = attributes[sizeof(attributes) - 1] = '\0';
        for (const char *one = (const char *)attributes; *one; one += strlen(one) + 1)
            if (strncasecmp(one, "Driver=", 7) == 0)
                return library_fault(a, one + 7);
        return NULL;
    }
    return arena_printf(a, "there is no ODBC driver %s: odbcinst -q -d shows those that are installed", name);
}

static const char *source_fault(struct arena *a, SQLHENV env, const char *name)
{
    SQLCHAR listed[NAME_BYTES_MAX], driver[NAME_BYTES_MAX];
    SQLSMALLINT n;
    SQLUSMALLINT which = SQL_FETCH_FIRST;
    for (; SQL_SUCCEEDED(SQLDataSources(env, which, listed, sizeof(listed), &n, driver, sizeof(driver), &n));
         which = SQL_FETCH_NEXT)
        if (strcasecmp((const char *)listed, name) == 0)
            return driver_fault(a, env, (const char *)driver);
    return arena_printf(a, "there is no ODBC data source %s: odbcinst -q -s shows those that are set up",
                        name);
}

const char *odbc_find_fault(struct arena *a, const char *text)
{
    const char *driver = find_keyword(a, text, "Driver"), *source = find_keyword(a, text, "DSN");
    SQLHENV env = SQL_NULL_HENV;
    const char *fault = NULL;
    if (!driver && !source && !find_keyword(a, text, "FILEDSN"))
        return "it names no driver: Driver=... or DSN=... is wanted";
    SQLAllocHandle(SQL_HANDLE_ENV, SQL_NULL_HANDLE, &env);
    SQLSetEnvAttr(env, SQL_ATTR_ODBC_VERSION, (SQLPOINTER)SQL_OV_ODBC3, 0);
    if (driver)
        fault = driver_fault(a, env, driver);
    else if (source)
        fault = source_fault(a, env, source);
    SQLFreeHandle(SQL_HANDLE_ENV, env);
    return fault;
}

/* ---- a request ---- */

static bool is_request(const struct json *r)
{
    const struct json *list = json_get(r, "statements");
    if (!json_get_of(r, "connect", JSON_TEXT) || !json_get_of(r, "query", JSON_BOOL) ||
        !json_get_of(r, "timeout_s", JSON_INT) || !json_get_of(r, "statements", JSON_LIST) ||
        (list->count == 0 && json_get(r, "query")->integer))
        return false;
    for (const struct json *statement = list->first; statement; statement = statement->next) {
        if (statement->kind != JSON_MAP || !json_get_of(statement, "sql", JSON_TEXT) ||
            !json_get_of(statement, "values", JSON_LIST))
            return false;
        for (const struct json *v = json_get(statement, "values")->first; v; v = v->next)
            if (v->kind != JSON_TEXT)
                return false;
    }
    return true;
}

static void serve(struct session *s, const struct json *request, struct buf *answer)
{
    const struct json *statements = json_get(request, "statements"),
                      *password = json_get(request, "password");
    size_t before = answer->len;
    struct json_out o = { .buf = answer };
    s->timeout_s = (SQLULEN)json_get(request, "timeout_s")->integer;
    s->password = password && password->kind == JSON_TEXT ? password->text : NULL;
    bool connected = connect_to(s, json_get(request, "connect")->text);
    json_open_map(&o);
    bool done = connected &&
                (json_get(request, "query")->integer ? look(s, statements, &o) : change(s, statements, &o));
    if (s->statement)
        SQLFreeHandle(SQL_HANDLE_STMT, s->statement);
    if (connected)
        SQLEndTran(SQL_HANDLE_DBC, s->db, SQL_ROLLBACK);
    if (!done) {
        answer->len = before;
        o = (struct json_out){ .buf = answer };
        json_open_map(&o);
        json_field_text(&o, "failed", s->failed);
        json_field_int(&o, "statement", (int64_t)s->number);
        json_field_text(&o, "state", s->state);
        json_field_bool(&o, "dead", s->dead);
        json_field_text(&o, "words", buf_str(&s->words));
    }
    json_close_map(&o);
    SQLDisconnect(s->db);
    SQLFreeHandle(SQL_HANDLE_DBC, s->db);
    SQLFreeHandle(SQL_HANDLE_ENV, s->env);
}

void odbc_do(const char *text, size_t len, struct buf *answer)
{
    struct session s = { 0 };
    struct json *request;
    buf_init(&s.words, ODBC_WORDS_MAX);
    if (!json_parse(&s.arena, text, len, &request, NULL) && request->kind == JSON_MAP && is_request(request))
        serve(&s, request, answer);
    buf_free(&s.words);
    arena_free(&s.arena);
}

/* ---- the process ---- */

static bool write_all(int fd, const struct buf *text)
{
    for (size_t at = 0; at < text->len;) {
        ssize_t n = write(fd, text->data + at, text->len - at);
        if (n < 0 && errno != EINTR)
            return false;
        at += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* Ends in silence: what drivers do at the end is of no interest. */
_Noreturn void odbc_main(void)
{
    char piece[16 * 1024];
    ssize_t n;
    struct buf request, answer;
    buf_init(&request, ODBC_REQUEST_MAX);
    buf_init(&answer, ODBC_ANSWER_MAX);
    setlocale(LC_ALL, "C.UTF-8"); /* values are UTF-8, whatever the machine speaks */
    /* What drivers print is not our answer: it goes nowhere, and the answer to a copy of the output. */
    int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1),
        nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (out < 0 || nothing < 0 || dup2(nothing, STDOUT_FILENO) < 0 || dup2(nothing, STDERR_FILENO) < 0)
        _exit(EXIT_FAILURE);
    while ((n = read(STDIN_FILENO, piece, sizeof(piece))) > 0)
        buf_add(&request, piece, (size_t)n);
    odbc_do(buf_str(&request), request.len, &answer);
    _exit(write_all(out, &answer) ? EXIT_SUCCESS : EXIT_FAILURE);
}
