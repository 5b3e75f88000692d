/* options.h - the command line of stopd-wipe */
#ifndef STOPD_WIPE_OPTIONS_H
#define STOPD_WIPE_OPTIONS_H

#include "stopd/wipe-protocol.h"

extern const char options_usage[];

/* Fills the same struct as the protocol's parser. *ret_done: --help or --version was all that was
 * asked. */
int options_parse(int argc, char **argv, struct wipe_request *ret, bool *ret_done,
                  struct error **err);

#endif
