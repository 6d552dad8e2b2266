/* SPDX-License-Identifier: Apache-2.0 */
/* What readers of settings need to know of the file so far, and can add to it: warnings, services by name. */
#include "config/reading.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void reading_warn(struct reading *r, const struct yaml *at, const char *fmt, ...)
{
    struct config_warning **end = &r->config->warnings;
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    while (*end)
        end = &(*end)->next;
    *end = ARENA_NEW(r->arena, struct config_warning);
    (*end)->place = arena_printf(r->arena, "%s:%u", at->file, at->line);
    (*end)->what = arena_strdup(r->arena, text);
}

/* ---- faults ---- */

/* The code of an error whose text is among the faults. */
static const char noted[] = "noted";

/* Texts begin with the place, or else are about the part. */
static struct config_fault split_fault(struct arena *a, const struct yaml *part, const char *text)
{
    struct config_fault fault = { part->file, part->line, part->column, NULL };
    size_t len = strlen(part->file);
    unsigned line, column;
    int place = 0;
    if (strncmp(text, part->file, len) == 0 &&
        sscanf(text + len, ":%u:%u: %n", &line, &column, &place) == 2 && place > 0) {
        fault.line = line;
        fault.column = column;
        text += len + (size_t)place;
    }
    fault.what = arena_strdup(a, text);
    return fault;
}

void config_add_fault(struct config_faults *faults, struct config_fault fault)
{
    size_t i = 0;
    for (; i < faults->n; i++)
        if (faults->fault[i].line == fault.line && faults->fault[i].column == fault.column &&
            strcmp(faults->fault[i].what, fault.what) == 0)
            return;
    if (faults->n == CONFIG_FAULTS_MAX) {
        faults->more++;
        return;
    }
    for (i = faults->n++; i > 0; i--) {
        const struct config_fault *before = &faults->fault[i - 1];
        if (before->line < fault.line || (before->line == fault.line && before->column <= fault.column))
            break;
        faults->fault[i] = *before;
    }
    faults->fault[i] = fault;
}

void reading_go_on(struct reading *r, const struct yaml *part, enum rc rc, enum rc *all, struct err *err)
{
    if (rc && strcmp(err->code, noted) != 0)
        config_add_fault(r->faults, split_fault(r->arena, part, err->text));
    if (rc)
        *all = rc;
    /* A part that was read well may have left another text in err. */
    if (*all)
        snprintf(err->code, sizeof(err->code), "%s", noted);
}

struct config_named *reading_name(struct reading *r, const struct yaml *at, enum named_kind kind)
{
    struct config_named *named = ARENA_NEW(r->arena, struct config_named);
    *named = (struct config_named){
        .kind = kind, .file = at->file, .line = at->line, .column = at->column, .next = r->config->named
    };
    r->config->named = named;
    return named;
}

void reading_name_pair(struct reading *r, const struct yaml *section, const char *certificate,
                       const char *key)
{
    struct config_named *named = reading_name(r, yaml_get(section, "certificate_file"), NAMED_CERTIFICATE);
    named->text = certificate;
    named->key = key;
}

/* ---- services ---- */

/* It suits HTTP and SQL alike. */
struct service_conf reading_refused_service(const char *name)
{
    return (struct service_conf){ .name = name, .url = "https://refused.invalid", .odbc = "refused" };
}

const struct service_conf *reading_service(const struct reading *r, const char *name)
{
    const struct config *config = r->config;
    if (r->services_refused) {
        struct service_conf *any = ARENA_NEW(r->arena, struct service_conf);
        *any = reading_refused_service(name);
        return any;
    }
    for (size_t i = 0; i < config->n_services; i++)
        if (strcmp(config->services[i].name, name) == 0)
            return &config->services[i];
    return NULL;
}
