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

/* Finds the first one in a text: {{ name }}, ${name}, %(name)s and the like for one of the names, which end
 * with NULL; marked: also :name, @name and $name. If the whole text is one of these, the name needs only be
 * near. */
bool foreign_find(struct arena *a, const char *text, const char *const *names, bool marked,
                  struct foreign *out);

#endif
