/* SPDX-License-Identifier: Apache-2.0 */
/* openapi.yaml, embedded by the build (scripts/embed.py). */
#ifndef LETHE_SERVER_OPENAPI_H
#define LETHE_SERVER_OPENAPI_H

#include <stddef.h>

extern const char openapi_yaml[];
extern const size_t openapi_yaml_len;

#endif
