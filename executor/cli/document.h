/* document.h - reading the daemon's documents, in which anything may be missing
 *
 * What is null, absent, or of another type reads as nothing: a newer or older daemon's document is
 * shown as far as it is understood. */
#ifndef STOPD_CLI_DOCUMENT_H
#define STOPD_CLI_DOCUMENT_H

#include "base/json.h"

/* What is JSON from its first byte to its last, and an object; else NULL. The caller's. */
json_object *document_parse(const char *text, size_t n);

const char *document_text(json_object *object, const char *key);    /* the object's own; "" */
uint64_t document_number(json_object *object, const char *key);     /* 0 */
usec_t document_time(json_object *object, const char *key);         /* realtime; 0 */
json_object *document_object(json_object *object, const char *key); /* borrowed; NULL */
/* An array's elements; a member that is none has none of them. */
size_t document_count(json_object *object, const char *key);
json_object *document_element(json_object *object, const char *key, size_t i); /* borrowed */

#endif
