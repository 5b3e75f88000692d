/* show-storage.h - the local disks of an operation, for a person */
#ifndef STOPD_CLI_SHOW_STORAGE_H
#define STOPD_CLI_SHOW_STORAGE_H

#include "cli/operation-view.h"

/* Which they are, how far each is and what went wrong; nothing where there are none. */
void show_storage(const struct operation_view *v);

#endif
