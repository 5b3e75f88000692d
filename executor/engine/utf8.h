/* utf8.h - what others say, fit for JSON documents
 *
 * A process may have any bytes for its name, a disk for its serial number, and what is told of them
 * ends up in answers and events. */
#ifndef STOPD_ENGINE_UTF8_H
#define STOPD_ENGINE_UTF8_H

#include <stddef.h>

/* Puts a '?' in the place of each byte that is no part of UTF-8. */
void utf8_repair(char *text, size_t n);

#endif
