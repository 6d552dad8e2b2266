/* SPDX-License-Identifier: Apache-2.0 */
/* catalogue.yaml, embedded by the build (scripts/embed.py). */
#ifndef LETHE_CONFIG_CATALOGUE_H
#define LETHE_CONFIG_CATALOGUE_H

#include <stddef.h>

extern const char catalogue_yaml[];
extern const size_t catalogue_yaml_len;

#endif
