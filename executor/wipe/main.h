/* main.h - stopd-wipe, to be given a way to open devices */
#ifndef STOPD_WIPE_MAIN_H
#define STOPD_WIPE_MAIN_H

#include "wipe/wipe.h"

/* By hand with arguments, the protocol on descriptors 0 and 1 without. Returns the exit status. */
int wipe_main(int argc, char **argv, wipe_opener open_device);

#endif
