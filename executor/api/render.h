/* render.h - an answer's body as text: JSON, or XML in the cloud's manner */
#ifndef STOPD_API_RENDER_H
#define STOPD_API_RENDER_H

#include "stopd/error.h"

#include <json-c/json.h>

/* The caller frees; NULL when out of memory. */
char *render_json(json_object *body);
/* Members become elements, an array repeats its member's element, null is an empty one. */
char *render_xml(const char *root, json_object *body);

/* {"RequestId", "HostId", "Code", "Message"}; an empty or NULL message is the table's. The caller
 * owns it; NULL when out of memory. */
json_object *render_error(const char *request_id, const char *host_id, enum error_code code,
                          const char *message);

#endif
