/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the layer: places as the templates of other tools write them, which would be sent as they stand. */
#ifndef LETHE_CONFIG_FOREIGN_H
#define LETHE_CONFIG_FOREIGN_H

#include <stdbool.h>

#include "base/arena.h"

struct foreign {
    const char *written; /* "{{ original_email }}" */
    const char *meant;   /* the one of the names */
};

enum foreign_in {
    FOREIGN_IN_DATA,  /* a body, which may be GraphQL */
    FOREIGN_IN_XML,   /* a body in which <name> is a tag */
    FOREIGN_IN_QUERY, /* a path or a statement: :name, @name and $name are places too */
    FOREIGN_IN_WORDS  /* a header, or a text for people: what doubled braces are put around is a place */
};

/* Finds the first one in a text: {{ name }}, ${name}, %(name)s and the like for one of the names, which end
 * with NULL. If the whole text is one of these, or $name, the name needs only be near. */
bool foreign_find(struct arena *a, const char *text, const char *const *names, enum foreign_in in,
                  struct foreign *out);

#endif
