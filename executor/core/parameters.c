/* parameters.c - name and value pairs, and the types that a value can have */
#include "core/command.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

int parameters_add(struct parameters *p, const char *name, const char *value)
{
    struct parameter *items = reallocarray(p->items, p->n + 1, sizeof(*items));

    if (!items)
        return -ENOMEM;
    p->items = items;
    items[p->n] = (struct parameter){strdup(name), strdup(value)};
    p->n++;
    return items[p->n - 1].name && items[p->n - 1].value ? 0 : -ENOMEM;
}

const char *parameters_get(const struct parameters *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (text_equal(p->items[i].name, name))
            return is_set(p->items[i].value) ? p->items[i].value : NULL;
    return NULL;
}

void parameters_clear(struct parameters *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->items[i].name);
        free(p->items[i].value);
    }
    free(p->items);
    *p = (struct parameters){0};
}

bool parameter_is_common(const char *name)
{
    static const char *const common[] = {
        "Format",
        "Version",
        "Timestamp",
        "AccessKeyId",
        "Signature",
        "SignatureMethod",
        "SignatureVersion",
        "SignatureNonce",
        "SignatureType",
        "SecurityToken",
        "BearerToken",
        "RegionId",
        "ResourceGroupId",
        "OwnerId",
        "OwnerAccount",
        "ResourceOwnerId",
        "ResourceOwnerAccount",
    };

    return text_index(common, ELEMENTSOF(common), name) >= 0;
}

int parameter_boolean(const char *name, const char *value, bool *ret, struct error **err)
{
    if (text_equal_case(value, "true"))
        *ret = true;
    else if (text_equal_case(value, "false"))
        *ret = false;
    else
        return error_set(err, ERROR_INVALID_PARAMETER, "The parameter %s must be true or false.",
                         name);
    return 0;
}

int parameter_integer(const char *name, const char *value, uint64_t least, uint64_t most,
                      uint64_t *ret, struct error **err)
{
    uint64_t number = 0;
    const char *c = value;

    for (; *c >= '0' && *c <= '9' && number <= most; c++)
        number = number * 10 + (uint64_t)(*c - '0');
    if (c == value || *c || number < least || number > most || c - value > 19)
        return error_set(err, ERROR_INVALID_PARAMETER,
                         "The parameter %s must be a whole number from %" PRIu64 " to %" PRIu64 ".",
                         name, least, most);
    *ret = number;
    return 0;
}
