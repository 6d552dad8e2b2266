/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sql action: statements for a service that is a database.
 *
 * The hard idea: places become bound values. Within quotes or a comment a place could not be bound, and the
 * statement would do something else, so such places are refused. For the same reason a statement must not
 * have characters that leave open what is within quotes.
 */
#include "config/action/http_call.h"

#include <string.h>
#include <strings.h>

#include "config/config_int.h"

enum { STATEMENTS_MAX = 50, STATEMENT_MAX = 10000 /* bytes */ };

/* ---- one statement ---- */

/* What is wrong with the text at s, outside of quotes. */
static const char *plain_fault(const char *s)
{
    if (*s == '?')
        return "values are written as places, like {original_email}, and not as ?";
    if (*s == ';')
        return "each statement is an entry of its own, without ;";
    if (*s == '$')
        return "$ means different things to different databases: it can only stand within quotes";
    if (strncmp(s, "--", 2) == 0 || strncmp(s, "/*", 2) == 0)
        return "comments stand in YAML, behind #, and not in the statement";
    return NULL;
}

static const char *statement_fault(const char *text)
{
    char quote = '\0';
    for (const char *s = text; *s; s++) {
        if (quote && *s == '{' && s[1] != '{')
            return "write the place without quotes: it becomes a bound value, and within quotes it would be "
                   "text";
        const char *fault = quote ? NULL : plain_fault(s);
        if (fault)
            return fault;
        if (*s == '\\')
            return "\\ means different things to different databases: it cannot stand in a statement";
        if (*s == '{' && s[1] == '{')
            s++;
        else if (quote ? *s == quote : strchr("'\"`", *s) != NULL)
            quote = quote ? '\0' : *s;
    }
    return quote ? "a quote is opened and not closed" : NULL;
}

static bool is_of_everybody(const char *text, const struct template *t)
{
    text += strspn(text, " \t\n");
    static const char *const changes[] = { "delete", "update", "truncate", "with" };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
        if (strncasecmp(text, changes[i], strlen(changes[i])) == 0)
            return !template_names_person(t, NULL);
    return false;
}

static enum rc read_statement(struct reading *r, const struct yaml *at, struct sql_statement_conf *out,
                              struct err *err)
{
    const char *text;
    enum rc rc = yaml_block(at, "a statement", STATEMENT_MAX, &text, err);
    if (rc)
        return rc;
    const char *fault = statement_fault(text);
    if (fault)
        return yaml_value_error(at, err, "%s", fault);
    if (template_compile(r->arena, TEMPLATE_SQL, text, &out->sql, err) ||
        template_compile(r->arena, TEMPLATE_TEXT, text, &out->shown, err))
        return yaml_wrap(at, err);
    return RC_OK;
}

/* ---- the settings ---- */

static enum rc read_statements(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                               struct err *err)
{
    struct sql_action_conf *sql = field;
    enum rc rc = yaml_want(at, YAML_LIST, "a list of statements", err);
    if (!rc)
        rc = yaml_want_count(at, "statements", 1, STATEMENTS_MAX, err);
    if (rc)
        return rc;
    struct sql_statement_conf *statements = arena_array(r->arena, at->count, sizeof(statements[0]));
    size_t n = 0;
    for (const struct yaml *child = at->first; child; child = child->next, n++) {
        enum rc one = read_statement(r, child, &statements[n], err);
        if (!one && is_of_everybody(child->text, statements[n].sql))
            one = yaml_error(child, err,
                             "it has no place like {original_email}, so it would change all people");
        reading_go_on(r, child, one, &rc, err);
    }
    sql->statements = statements;
    sql->n = n;
    return rc;
}

static enum rc read_query(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                          struct err *err)
{
    struct sql_action_conf *sql = field;
    struct sql_statement_conf *query = ARENA_NEW(r->arena, struct sql_statement_conf);
    sql->statements = query;
    sql->n = 1;
    sql->is_query = true;
    return read_statement(r, at, query, err);
}

#define OF(field) offsetof(struct sql_action_conf, field)

static const struct setting sql_settings[] = { { "service", "name", services_read_name, OF(service), NULL,
                                                 "the service that is the database", .required = true },
                                               { "statements", "list of statements", read_statements, 0, NULL,
                                                 "the statements that erase, in one transaction, like DELETE "
                                                 "FROM orders WHERE email = {original_email}" },
                                               { "query", "statement", read_query, 0, NULL,
                                                 "a query that only looks, for verify, like SELECT count(*) "
                                                 "FROM orders WHERE email = {original_email}" },
                                               { NULL } };

static const struct setting probe_settings[] = {
    { "service", "name", services_read_name, OF(service), NULL, "the service that is the database",
      .required = true },
    { "query", "statement", read_query, 0, NULL,
      "the query for the number of records, like SELECT count(*) FROM orders WHERE email = {original_email}",
      .required = true },
    { NULL }
};
#undef OF

/* For both tables. */
static enum rc read_sql(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                        struct err *err)
{
    struct sql_action_conf *sql = field;
    const struct yaml *service = yaml_get(at, "service"), *query = yaml_get(at, "query");
    enum rc all = setting_section(r, s, at, field, err);
    if (at->kind != YAML_MAP)
        return all;
    if (service && !sql->service->odbc)
        reading_go_on(r, at,
                      yaml_value_error(service, err,
                                       "%s is called by HTTP: a database has odbc in place of url",
                                       sql->service->name),
                      &all, err);
    if (query && s->inner == sql_settings && yaml_get(at, "statements"))
        reading_go_on(r, at, yaml_key_error(query, err, "statements and query: one of the two is wanted"),
                      &all, err);
    if (sql->n == 0 && !setting_is_refused(r, at, "statements|query"))
        reading_go_on(r, at, yaml_error(at, err, "statements is missing: the statements that erase"), &all,
                      err);
    return all;
}

static enum rc check_stage(struct reading *r, const struct action_conf *action, const struct yaml *at,
                           struct err *err)
{
    const struct sql_action_conf *sql = &action->sql;
    const struct yaml *statements = yaml_get(at, "statements"), *query = yaml_get(at, "query");
    if (query && !statements)
        return yaml_key_error(query, err, "query: only looks, and goes with verify; statements erase");
    if (!statements || setting_is_refused(r, at, "statements"))
        return RC_OK;
    for (size_t i = 0; i < sql->n; i++)
        if (template_names_person(sql->statements[i].sql, NULL))
            return RC_OK;
    return yaml_value_error(statements, err,
                            "nothing in them is about the person: a place like {original_email} is wanted");
}

/* A query gives the number of records, and nothing else. */
static enum rc check_probe(struct reading *r, struct verify_conf *verify, const struct yaml *at,
                           struct err *err)
{
    const struct yaml *list = answers_expected_at(at), *count = yaml_get(at, "count");
    enum rc all = RC_OK;
    if (list)
        reading_go_on(
            r, at,
            yaml_value_error(list, err, "a database has no statuses: the query gives the number of records"),
            &all, err);
    if (count)
        reading_go_on(r, at, yaml_key_error(count, err, "count: goes with http, a query gives the number"),
                      &all, err);
    return all;
}

static bool only_reads(const struct yaml *at)
{
    const char *query = yaml_get(at, "query")->text;
    return strncasecmp(query + strspn(query, " \t\n"), "select", 6) == 0;
}

static const struct service_conf *service_of(const struct action_conf *action, size_t n)
{
    return action->sql.service;
}

static void put_identity(const struct action_conf *action, size_t n, struct buf *out)
{
    buf_printf(out, "%s %s ", action->sql.service->name, action->sql.service->odbc);
    for (size_t i = 0; i < action->sql.n; i++)
        template_put_identity(action->sql.statements[i].sql, out);
}

const struct action_type action_type_sql = {
    .name = "sql",
    .stage = ACTION_ROW(sql, read_sql, sql_settings, "the action: statements to a database"),
    .probe = ACTION_ROW(sql, read_sql, probe_settings, "the probe: a query that counts what is left"),
    .check_stage = check_stage,
    .check_probe = check_probe,
    .only_reads = only_reads,
    .service = service_of,
    .put_identity = put_identity,
};
