/* report.h - what stopd-wipe says, a JSON object a line */
#ifndef STOPD_WIPE_REPORT_H
#define STOPD_WIPE_REPORT_H

#include "stopd/wipe-protocol.h"

/* Where the lines go. A line is whole or not there. */
struct report {
    int fd;
};

/* An object with its event set; NULL when out of memory, which report_say() then says. */
json_object *report_line(enum wipe_event event);
/* Takes line. A reader that has gone is an error: nobody would know how far we came. */
int report_say(struct report *r, json_object *line, struct error **err);

#endif
