/* SPDX-License-Identifier: Apache-2.0 */
/* Probes alone, in the place of an authority (probe.c). */
#ifndef LETHE_DRIVER_PROBE_H
#define LETHE_DRIVER_PROBE_H

#include "driver/authority/authority.h"

extern const struct authority_type probe_authority; /* its arg: struct probes */

#endif
