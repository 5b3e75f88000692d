/* consent.h - what is lost for good is said before it is done, and agreed to */
#ifndef STOPD_CLI_CONSENT_H
#define STOPD_CLI_CONSENT_H

#include "cli/cli.h"

struct loss {
    bool power;       /* the power is cut now, and with it goes what was not written; … */
    bool power_maybe; /* … or it may be, after the grace */
    bool disks;       /* local disks are cleared; … */
    bool disks_maybe; /* … or they are, where the instance has any */
};

/* A line for each loss of these instances; then, unless yes, the question, where there is somebody
 * to answer it: a script has said --force or --confirm, and has nobody to ask. An error where it
 * was not agreed to. */
int consent_ask(struct cli *cli, const struct loss *loss, bool yes, char **ids, int n,
                struct error **err);

#endif
