/* render.c - an answer's body as text
 *
 * Theory of operation. An answer is built once, as a JSON object, and XML is a way to write it
 * down: so the two forms cannot say different things. There is no declaration before the root
 * element, as in the API reference's example; UTF-8 is what XML is without one.
 */
#include "api/render.h"

#include "base/json.h"

#include <libxml/tree.h>
#include <string.h>

char *render_json(json_object *body)
{
    const char *text = json_object_to_json_string_ext(body, JSON_C_TO_STRING_PLAIN |
                                                                JSON_C_TO_STRING_NOSLASHESCAPE);

    return text ? strdup(text) : NULL;
}

static bool is_noncharacter(const char *c)
{
    return strncmp(c, "\uFFFE", 3) == 0 || strncmp(c, "\uFFFF", 3) == 0;
}

/* XML has no way to write most control characters down, not even escaped, nor the last two of the
 * basic plane. */
static char *replace_unwritable(const char *text)
{
    char *copy = strdup(text);

    for (char *c = copy; c && *c; c++)
        if ((unsigned char)*c < 0x20 && *c != '\t' && *c != '\n' && *c != '\r')
            *c = '?';
        else if (is_noncharacter(c))
            memcpy(c, "???", 3);
    return copy;
}

static int add_element(xmlNode *parent, const char *name, json_object *value);

static int add_members(xmlNode *parent, json_object *object)
{
    json_object_object_foreach(object, name, value)
    {
        if (add_element(parent, name, value) < 0)
            return -1;
    }
    return 0;
}

static int add_element(xmlNode *parent, const char *name, json_object *value)
{
    _cleanup_(freep) char *text = NULL;
    xmlNode *element;

    if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++)
            if (add_element(parent, name, json_object_array_get_idx(value, i)) < 0)
                return -1;
        return 0;
    }
    element = xmlNewChild(parent, NULL, (const xmlChar *)name, NULL);
    if (!element)
        return -1;
    if (json_object_is_type(value, json_type_object))
        return add_members(element, value);
    if (!value)
        return 0;
    text = replace_unwritable(json_object_get_string(value));
    if (!text)
        return -1;
    xmlNodeAddContent(element, (const xmlChar *)text);
    return 0;
}

static void xmlFreeDoc_cleanup(xmlDoc **document)
{
    xmlFreeDoc(*document);
}

static void xmlBufferFree_cleanup(xmlBuffer **buffer)
{
    xmlBufferFree(*buffer);
}

char *render_xml(const char *root, json_object *body)
{
    _cleanup_(xmlFreeDoc) xmlDoc *document = xmlNewDoc((const xmlChar *)"1.0");
    _cleanup_(xmlBufferFree) xmlBuffer *buffer = xmlBufferCreate();
    xmlNode *top;

    if (!document || !buffer)
        return NULL;
    top = xmlNewNode(NULL, (const xmlChar *)root);
    if (!top)
        return NULL;
    xmlDocSetRootElement(document, top);
    if (add_members(top, body) < 0 || xmlNodeDump(buffer, document, top, 0, 0) < 0)
        return NULL;
    return strdup((const char *)xmlBufferContent(buffer));
}

json_object *render_error(const char *request_id, const char *host_id, enum error_code code,
                          const char *message)
{
    json_object *body = json_object_new_object();

    if (!is_set(message))
        message = error_public_message(code);
    if (!body || json_add_string(body, "RequestId", request_id) < 0 ||
        json_add_string(body, "HostId", host_id) < 0 ||
        json_add_string(body, "Code", error_public_code(code)) < 0 ||
        json_add_string(body, "Message", message) < 0) {
        json_object_put(body);
        return NULL;
    }
    return body;
}
