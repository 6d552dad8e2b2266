/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a message is described: one row a field, by which it is put and read. When adding a field, also: the
 * struct in wire.h, server/openapi.yaml.
 */
#ifndef LETHE_WIRE_INT_H
#define LETHE_WIRE_INT_H

#include "wire/wire.h"

enum field_kind {
    FIELD_INT,   /* int64_t, from min to max; `none` when it is not said */
    FIELD_BOOL,  /* bool */
    FIELD_TEXT,  /* const char *, of max bytes at most; 0: of any length */
    FIELD_LINE,  /* const char *, one line of max characters at most */
    FIELD_WORD,  /* an enum that counts from 0, each value by its word */
    FIELD_TIME,  /* int64_t, us since 1970 */
    FIELD_TEXTS, /* const char *const *, ending with NULL; at_n: size_t */
    FIELD_ORGS,  /* put: const char *, JSON; read into at_n: const char *const *, ending with NULL */
    FIELD_MAP, /* a struct of another message. at_n: an int64_t that is 0 if there is none; 0: there always is
                  one */
    FIELD_LIST /* pointer to such structs, max of them at most (0: any number); at_n: size_t */
};

enum field_need {
    FIELD_REQUIRED, /* always put; an error when it is missing */
    FIELD_OPTIONAL, /* left out when it is not said */
    FIELD_NULLABLE  /* null when it is not said */
};

struct message;

struct field {
    const char *name;
    const char *key; /* ,"name": */
    size_t key_len;
    enum field_kind kind;
    enum field_need need;
    size_t at, at_n; /* offsets in the struct */
    int64_t min, max, none;
    const char *const *words; /* end with NULL */
    const struct message *of;
};

struct message {
    const struct field *fields;
    size_t n;
    size_t size;     /* of its struct */
    bool strict;     /* keys that are not known are refused */
    size_t at_fault; /* of its struct wire_fault; 0: a list with an item that cannot be read cannot be read
                        itself */
    /* What one field alone does not tell. NULL: nothing. */
    enum rc (*check)(const void *message, struct err *err);
};

/* The key of a field, ready to be put. */
#define KEY(text) .name = (text), .key = ",\"" text "\":", .key_len = sizeof(",\"" text "\":") - 1

#define FIELDS(f) .fields = (f), .n = sizeof(f) / sizeof((f)[0])

void wire_message_put(struct json_out *o, const struct message *m, const void *in);
/* out: zeroed and filled. */
enum rc wire_message_read(struct arena *a, const struct json *map, const struct message *m, void *out,
                          struct err *err) MUST_CHECK;
/* A list of them, brackets and all. */
void wire_list_put(struct json_out *o, const struct message *m, const void *in, size_t n);
/* Into a new array. */
enum rc wire_list_read(struct arena *a, const struct json *list, const struct message *m, void **out,
                       size_t *n, struct err *err) MUST_CHECK;

/* RC_INVALID: a request has too many reports; a list is not the answer to n of them. */
enum rc wire_check_reports(const struct json *list, struct err *err) MUST_CHECK;
enum rc wire_check_answers(const struct json *list, size_t n, struct err *err) MUST_CHECK;

/* The person of a claim or a delivery (claims.c). */
extern const struct message wire_user_message;

#endif
