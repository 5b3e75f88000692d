/* certificate.h - what was certified of a clear, for a person, and whether that is genuine */
#ifndef STOPD_CLI_CERTIFICATE_H
#define STOPD_CLI_CERTIFICATE_H

#include "cli/cli.h"

/* A summary of one certificate: an envelope, see engine/certificate.h. */
int certificate_print(json_object *envelope, struct error **err);

/* Checks every certificate of a document that was saved by --json, or one envelope, against a
 * public key, with no daemon asked. Returns the exit status: 0 when there are some and all are
 * valid, else EXIT_STATUS_DISK; or an error, where a file cannot be read. */
int certificate_check_file(struct cli *cli, const char *file, const char *key_file,
                           struct error **err);

#endif
