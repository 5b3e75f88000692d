/* faulty.h - a hypervisor around another one, with faults; for tests, and only in builds that are
 * made for them (STOPD_FAULTS) */
#ifndef STOPD_HYPERVISOR_FAULTY_H
#define STOPD_HYPERVISOR_FAULTY_H

#include "stopd/hypervisor.h"

/* faults: words, apart by spaces: "seed=NUMBER", and any number of WHERE:WHAT:WHEN[:MILLISECONDS].
 *
 * - WHERE is the call: connect, list, glance, look, find_volume, press_button, restore, wake,
 *   cut_power; or changed: the event.
 * - WHAT is error: nothing is done, and the answer is unknown; lost: all is done, and the answer
 *   is unknown, or the event does not come; delay: it is done later, by a second or as many
 *   MILLISECONDS; hang: the same, by an hour.
 * - WHEN is NUMBER%: this often; or @NUMBER: this time that it is called, counted from 1.
 *
 * Takes real, also where it fails: ERROR_CONFIGURATION for words that are none of these. */
int hypervisor_faulty_new(const char *faults, struct hypervisor *real, struct hypervisor **ret,
                          struct error **err);

#endif
