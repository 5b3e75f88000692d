/* utf8.h - what others say, fit for JSON documents
 *
 * A process may have any bytes for its name, a disk for its serial number, and a sentence may be
 * cut in the middle of a character; what is told of them ends up in the journal, answers and
 * events, and whoever reads those refuses what is not UTF-8. */
#ifndef STOPD_BASE_UTF8_H
#define STOPD_BASE_UTF8_H

#include <stddef.h>

/* Puts a '?' in the place of each byte that is no part of UTF-8. */
void utf8_repair(char *text, size_t n);

#endif
