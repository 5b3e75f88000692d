/* certificate.h - what an auditor is told of a clear */
#ifndef STOPD_WIPE_CERTIFICATE_H
#define STOPD_WIPE_CERTIFICATE_H

#include "wipe/wipe.h"

/* Says the certificate of a clear that has ended well. */
int certificate_say(struct wipe *w, struct error **err);

#endif
