/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the commands share. Inside this folder only: nothing stands above the command line.
 *
 * A command is one const struct at the end of the file of its group; commands.c lists them all. It is a
 * client of the API like any other program: api.c finds the server, or starts one inside this process while
 * the command runs.
 *
 * When adding a command, also: its row in commands.c, its paragraph in docs/lethe.1.
 */
#ifndef LETHE_CLI_CLI_H
#define LETHE_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/world.h"
#include "config/config.h"
#include "http/http.h"

/* ---- one command; commands.c has the table of them ---- */

struct cli;

struct cli_option {
    const char *name;  /* without the dashes; NULL ends a table */
    const char *value; /* what its value is called in help; NULL: a flag */
    const char *help;
    bool repeated; /* may be given more than once */
};

/* What a command shares with others; --config and --help go with all. */
enum {
    CLI_JSON = 1,     /* takes --json */
    CLI_SERVER = 2,   /* takes --server */
    CLI_AS_IT_IS = 4, /* a server that is started inside it leaves an empty database without states */
    CLI_YES = 16,     /* takes --yes: cli_asks */
    CLI_RUNNING = 32, /* starts no server inside it */
    CLI_UPKEEP = 64,  /* stays: a server that is started inside it does its upkeep */
    CLI_MONITOR = 8   /* for monitoring systems: starts no server, unless the configuration is a driver file,
                       * repeats no call, ends in time, and an error that it does not report itself exits
                       * with 3, "unknown" */
};

struct server;

struct cli_command {
    const char *group;    /* "retirement"; NULL when the name stands alone */
    const char *name;     /* "show" */
    const char *operands; /* for help: "USERNAME STATE"; NULL: none */
    unsigned min_operands, max_operands;
    const struct cli_option *options; /* its own; NULL: none */
    unsigned shared;                  /* CLI_JSON, ... */
    const char *summary;              /* half a line */
    const char *about;                /* paragraphs for --help */
    const char *examples;             /* lines, each a whole command */
    enum rc (*run)(struct cli *cli, struct err *err);
};

/* ---- what was typed (args.c) ---- */

struct cli_value {
    const struct cli_option *option;
    const char *value; /* NULL for a flag */
};

struct cli {
    const struct cli_command *const *commands; /* the table, in the order of help; ends with NULL */
    struct arena arena;
    const struct cli_command *command; /* NULL: only help was asked for */
    const char *help_group;            /* help for this group; NULL */
    bool help;                         /* help was asked for, about `command`, `help_group` or everything */
    struct cli_value *values;
    size_t n_values;
    const char **operands;
    size_t n_operands;
    const struct world *world;   /* the clocks and randomness of this process */
    struct config *config;       /* once cli_config has read it */
    struct config_faults faults; /* of the configuration that cli_config has refused */
    int exit_status;             /* of the process; 0: as the rc says */
    bool allow_root;             /* --allow-root, where there is such an option */
};

/* All options of a command, its own first, NULL behind the last; of no command: the shared ones. */
enum { CLI_OPTIONS_MAX = 24 };
void cli_list_options(const struct cli_command *command, const struct cli_option *all[CLI_OPTIONS_MAX]);

/* Finds the command in the table and sorts what follows into options and operands. RC_INVALID: wrong usage,
 * in words. */
enum rc cli_parse(struct cli *cli, int argc, char *const *argv, struct err *err) MUST_CHECK;

/* The names below must stand in the command's table (asserted). */
const char *cli_option(const struct cli *cli, const char *name); /* the last one given; NULL when absent */
bool cli_flag(const struct cli *cli, const char *name);
/* All that were given, in their order; in the arena. */
const char **cli_option_all(struct cli *cli, const char *name, size_t *n);
/* RC_INVALID when it is missing. */
enum rc cli_require(const struct cli *cli, const char *name, const char **out, struct err *err) MUST_CHECK;
/* A whole number of at least 1. what: how to call it in the error. RC_INVALID. */
enum rc cli_parse_id(const char *what, const char *text, int64_t *out, struct err *err) MUST_CHECK;

/* RC_INVALID: the configuration is that of a driver for an authority elsewhere. */
enum rc cli_want_server(const struct config *config, struct err *err) MUST_CHECK;
/* The configuration that --config names, read at the first call. RC_INVALID: it is wrong, or not there; then
 * faults has all that is wrong, which main prints. */
enum rc cli_config(struct cli *cli, const struct config **out, struct err *err) MUST_CHECK;

/* The outside systems of a configuration (connect.c). */
struct reached_one {
    const char *name;
    const char *why_not; /* NULL: it was reached */
};
struct reached {
    struct reached_one *list;
    size_t n, n_failed;
};
/* Tries to reach them all, and prints a line for each unless there is --json. */
void connect_all(struct cli *cli, const struct config *config, struct reached *reached);

/* Adds to faults what is wrong with the programs, files and databases that a configuration names, also a
 * refused one (named.c). */
void named_check(struct cli *cli, const struct config *config);
/* What is wrong with one of them, in words; NULL: nothing. */
const char *named_fault(struct cli *cli, const struct config *config, const struct config_named *named);

/* False: the user is root, and neither --allow-root nor LETHE_ALLOW_ROOT=1 was given. */
bool cli_user_is_meant(const struct cli *cli);

/* ---- the API (api.c) ---- */

struct api;

struct api_request {
    enum http_method method;
    const char *path;       /* "/v1/states?dry_run=true" */
    const struct buf *body; /* NULL: none */
    bool may_come_twice;    /* a write outside /v1/ that does no harm when it is done again */
};

struct api_answer {
    unsigned status;
    const struct json *json; /* NULL: nothing was answered */
    const char *text;        /* the same as it came; "" */
};

/* Finds the server: --server, else the one of the data directory, else one started inside this process. */
enum rc api_open(struct cli *cli, struct api **out, struct err *err) MUST_CHECK;
/* A write below /v1/ carries an Idempotency-Key, so that it can be repeated when its answer was lost. The
 * answer lives in the arena. An error status becomes its rc with the server's words; *out has the answer then
 * too, if there was one. RC_UNAVAILABLE: there was no answer. */
enum rc api_call(struct api *api, struct arena *a, const struct api_request *request, struct api_answer *out,
                 struct err *err) MUST_CHECK;
/* The body of a POST while it is written: a map that is open. */
struct api_body {
    struct buf buf;
    struct json_out json;
};
void api_body_open(struct api_body *body);
void api_body_free(struct api_body *body);
/* Closes the body, posts it and frees it; else as api_call. */
enum rc api_post(struct api *api, struct arena *a, const char *path, struct api_body *body,
                 struct api_answer *out, struct err *err) MUST_CHECK;
enum rc api_patch(struct api *api, struct arena *a, const char *path, struct api_body *body,
                  struct api_answer *out, struct err *err) MUST_CHECK;
enum rc api_get(struct api *api, struct arena *a, const char *path, struct api_answer *out,
                struct err *err) MUST_CHECK;
/* One call and no more: opens, calls, closes. The answer lives in the command's arena. */
enum rc api_get_once(struct cli *cli, const char *path, struct api_answer *out, struct err *err) MUST_CHECK;
enum rc api_post_once(struct cli *cli, const char *path, struct api_body *body, struct api_answer *out,
                      struct err *err) MUST_CHECK;
void api_close(struct api **api);
/* The server that was started inside this process; NULL: another process has it. */
struct server *api_inside(const struct api *api);
/* If no server has the data directory any more, because the process that had it has ended, starts one. */
enum rc api_keep(struct api *api, struct err *err) MUST_CHECK;

/* One page of a list: GET path with after=N behind it, which must end with ? or &. *after becomes where the
 * next page begins, 0 behind the last one. RC_INTERNAL: the answer has no such list. */
enum rc api_get_page(struct api *api, struct arena *a, const char *path, const char *list_key, int64_t *after,
                     const struct json **list, struct err *err) MUST_CHECK;

/* A value of an answer that must be there and of this kind; RC_INTERNAL when the server did not keep to the
 * protocol. */
enum rc api_expect(const struct json *map, const char *key, enum json_kind kind, const struct json **out,
                   struct err *err) MUST_CHECK;
/* "" when it is absent or not a text. */
const char *api_text(const struct json *map, const char *key);
int64_t api_int(const struct json *map, const char *key); /* 0 when it is absent */

/* ---- the retirement or person that a command is about (chosen.c) ---- */

/* All retirements of a user name ("username", exact), an address ("email", any case) or a "uuid": the live
 * one first, then the newest. RC_NOT_FOUND when there is none. */
enum rc chosen_search(struct api *api, struct arena *a, const char *key, const char *value,
                      const struct json **list, struct err *err) MUST_CHECK;
/* One of the options, or else the first operand: a user name or an address. A command that reads it has the
 * options of CHOSEN_OPTIONS. */
#define CHOSEN_OPTIONS                                                                                       \
    { .name = "id", .value = "ID", .help = "the retirement's number, in place of a user name" },             \
        { .name = "uuid", .value = "UUID", .help = "the request's UUID, by which services know it" },        \
        { .name = "email", .value = "ADDRESS", .help = "the address, in any case" },                         \
    {                                                                                                        \
        .name = "username", .value = "NAME", .help = "the user name, exactly, where it looks like an option" \
    }
struct chosen {
    int64_t id;      /* 0: by name */
    const char *key; /* of the search; NULL: an operand */
    const char *value;
    size_t operands; /* how many operands it took */
};
unsigned chosen_options(const struct cli *cli); /* how many of them are given */
/* RC_INVALID: none or several, or a bad number. */
enum rc chosen_read(const struct cli *cli, struct chosen *out, struct err *err) MUST_CHECK;
/* The id of the retirement; RC_NOT_FOUND. */
enum rc chosen_find_id(struct api *api, struct arena *a, const struct chosen *chosen, int64_t *id,
                       struct err *err) MUST_CHECK;
/* POSTs body, which is freed, to /v1/retirements/ID/verb; the answer has JSON. */
enum rc chosen_post(struct cli *cli, const struct chosen *chosen, const char *verb, struct api_body *body,
                    struct api_answer *answer, struct err *err) MUST_CHECK;

/* Writes a new person, from --username, --email, --name and --account-id, into the open map. RC_INVALID: one
 * of the first two is missing. */
enum rc put_new_person(const struct cli *cli, struct json_out *o, struct err *err) MUST_CHECK;

/* ---- retirements that failed for the same cause (failures.c) ---- */

/* "83 people: RETIRING_FORUMS, 502 from forum", a line for each group; nothing if no one is ERRORED. */
enum rc failures_print(struct cli *cli, struct api *api, struct err *err) MUST_CHECK;

/* ---- asking first (ask.c) ---- */

/* Is a person to be asked? Not without a terminal, and not with --yes. */
bool cli_asks(const struct cli *cli);
/* what: "83 people will be moved to ABORTED." RC_CONFLICT: the answer is not yes. */
enum rc cli_ask(const char *what, struct err *err) MUST_CHECK;

/* ---- for people to read (print.c) ---- */

/* The text with "\x1b" in place of each control character: names and answers come from strangers. */
const char *print_harmless(struct arena *a, const char *text);
void print_text(FILE *out, const char *text); /* harmless */
/* Several harmless lines, each after the indent. */
void print_block(FILE *out, const char *indent, const char *text);
/* "  title     value" on a line of standard output, harmless; nothing when the value is empty. */
void print_field(int width, const char *title, const char *value);
/* "2026-11-21 13:04:05" of the API's form of a time; "-" for none. */
const char *print_time(struct arena *a, const char *text);
/* "1 person", "2 people". */
const char *print_count(struct arena *a, int64_t n, const char *one, const char *many);

/* JSON as it is, and a line end. */
void print_json(const struct json *value);
void print_buf(const struct buf *buf);
/* On a terminal: that what comes now takes long. */
void print_patience(void);
/* One JSON list over several pages: each value with how many were printed before it, then the end. */
void print_item(int64_t before, const struct json *value);
void print_items_end(int64_t n);

/* ---- tables (table.c) ---- */

enum { TABLE_COLUMNS_MAX = 8 };
struct table {
    struct arena arena;
    unsigned n_columns;
    const char *titles[TABLE_COLUMNS_MAX];
    size_t width[TABLE_COLUMNS_MAX]; /* characters; the widest so far */
    size_t max_width;                /* of a line: that of the terminal; 0: no limit */
    const char **cells;              /* rows that are not printed yet */
    size_t n_rows, cap_rows;
    bool titled; /* the titles have been printed */
};
/* titles ends with NULL and is borrowed. */
void table_open(struct table *t, const char *const *titles);
void table_add(struct table *t, const char *const *cells); /* n_columns of them; copied */
/* Prints what was added since the last time; later rows keep at least these widths. */
void table_print(struct table *t, FILE *out);
void table_close(struct table *t);

/* ---- commands by their words (find.c) ---- */

/* "retirement show"; in the arena. */
const char *cli_command_name(struct arena *a, const struct cli_command *command);
bool cli_is_group(const struct cli *cli, const char *word);
/* By its one or two words (second may be NULL); *words says how many were its name. RC_INVALID: no such
 * command, with the nearest one. */
enum rc cli_find_command(struct cli *cli, const char *first, const char *second,
                         const struct cli_command **out, unsigned *words, struct err *err) MUST_CHECK;

/* ---- help (help.c) ---- */

void help_everything(const struct cli *cli, FILE *out);
void help_group(const struct cli *cli, FILE *out, const char *group);
void help_command(FILE *out, const struct cli_command *command);

/* ---- rows of people in a CSV file (people_file.c) ---- */

enum people_column { PEOPLE_USERNAME, PEOPLE_EMAIL, PEOPLE_NAME, PEOPLE_ORGS, PEOPLE_ID, PEOPLE_COLUMNS };

struct people_row {
    unsigned line;
    const char *field[PEOPLE_COLUMNS]; /* NULL: there is no such column, or it is empty */
};

struct people {
    struct people_row *rows;
    size_t n;
};

/* columns: how many there may be without a header row, in the order of the enum. A header row is known by its
 * words, and may name the columns in any order, and others, which are ignored. RC_INVALID: names file:line,
 * never a person. */
enum rc people_file_parse(struct arena *a, const char *name, const char *text, size_t len, unsigned columns,
                          struct people *out, struct err *err) MUST_CHECK;
enum rc people_file_read(struct arena *a, const char *path, unsigned columns, struct people *out,
                         struct err *err) MUST_CHECK;

typedef void people_put_fn(struct arena *a, struct json_out *o, const struct people_row *row);
/* Writes a JSON list of the rows from `from` on, until it is as big as a request may be; returns the first
 * row that is not in it. */
size_t people_file_put_chunk(struct arena *a, const struct people *people, size_t from, people_put_fn *put,
                             struct json_out *o);

/* ---- the picture of the states (graph.c) ---- */

struct graph_state {
    const char *name;
    const char *role; /* as the API calls it */
    int64_t count;    /* people in it */
};
/* In Graphviz's language. */
void graph_dot(struct buf *out, const struct graph_state *states, size_t n);
enum rc graph_svg(const char *dot, struct buf *out, struct err *err) MUST_CHECK;

#endif
